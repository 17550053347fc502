package peer

import (
	"context"
	"runtime/debug"
	"time"

	"causeway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// task is a call of the other side: in execution until reply is set.
type task struct {
	cancel   context.CancelFunc // nil while it waits for its turn in a lane
	reply    *peerpb.Reply
	given    bool // up by the other side, before cancel was there
	unwanted bool // the call has ended at the other side
}

// begin starts a call of the other side, unless it was started before: a change in its volume's lane, others in goroutines of their
// own. What a stream brings that has been replaced is too late: it came again on the other one, and may have ended.
func (c *conduit) begin(k *carrier, f *peerpb.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.carrier != k {
		return errUnsent
	}
	if t := c.tasks[f.Id]; t != nil {
		c.counts.duplicates.Add(1)
		if t.reply != nil {
			c.pushLocked(&peerpb.Frame{Id: f.Id, Reply: t.reply})
		}
		return nil
	}
	if len(c.tasks) >= 4*c.most { // all given up by the other side, and still in execution here
		c.pushLocked(&peerpb.Frame{Id: f.Id, Reply: wire.Failed(causeway.ErrDelay)})
		return nil
	}
	t := &task{}
	c.tasks[f.Id] = t
	if wire.Prompt(f.Request) {
		c.enterLocked(job{f, t})
	} else {
		c.goLocked(job{f, t})
	}
	return nil
}

// goLocked executes a call in a goroutine of its own.
func (c *conduit) goLocked(j job) {
	ctx := c.ctx
	if ms := j.frame.Request.TimeoutMs; ms > 0 && !wire.Changes(j.frame.Request.Op) {
		ctx, j.task.cancel = context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
	} else {
		ctx, j.task.cancel = context.WithCancel(ctx)
	}
	if j.task.given {
		j.task.cancel()
	}
	c.crew.Do(&c.jobs, func() {
		reply := c.safely(j.frame.Request, func() *peerpb.Reply { return c.work.execute(ctx, j.frame.Request) })
		j.task.cancel()
		c.mu.Lock()
		c.finishLocked(j, reply)
		c.flushLocked(len(c.tasks) == 0)
	})
}

// keep takes a second copy at once.
func (c *conduit) keep(k *carrier, f *peerpb.Frame) {
	reply := c.safely(f.Request, func() *peerpb.Reply { return c.work.execute(c.ctx, f.Request) })
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.carrier == k {
		c.pushLocked(&peerpb.Frame{Id: f.Id, Reply: reply})
	}
}

// forget drops the replies of calls that have ended at the other side. What it said on a stream that broke may not have come, so it
// says on the next one what is open.
func (c *conduit) forget(k *carrier, p *peerpb.Packet) {
	if !p.First && len(p.Ended) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.carrier != k {
		return
	}
	if p.First {
		open := make(map[uint64]bool, min(len(p.Open), c.most))
		for _, id := range p.Open {
			open[id] = true
		}
		for id, t := range c.tasks {
			if !open[id] {
				c.endedLocked(id, t)
			}
		}
	}
	for _, id := range p.Ended {
		if t := c.tasks[id]; t != nil {
			c.endedLocked(id, t)
		}
	}
}

func (c *conduit) endedLocked(id uint64, t *task) {
	t.unwanted = true
	if t.reply != nil {
		delete(c.tasks, id)
	}
}

// finishLocked answers a call of the other side; flushLocked is to follow. The reply of what is no change is not kept: it is executed again.
func (c *conduit) finishLocked(j job, reply *peerpb.Reply) {
	j.task.reply = reply
	if !wire.Changes(j.frame.Request.Op) || j.task.unwanted {
		delete(c.tasks, j.frame.Id)
	}
	c.queueLocked(&peerpb.Frame{Id: j.frame.Id, Reply: reply})
}

// safely makes of a panic a failure of that call.
func (c *conduit) safely(r *peerpb.Request, f func() *peerpb.Reply) (reply *peerpb.Reply) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("a request of another gateway panicked", "op", r.Op.String(), "err", p, "stack", string(debug.Stack()))
			reply = wire.Failed(causeway.ErrServerFault)
		}
	}()
	return f()
}
