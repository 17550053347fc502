package peer

import (
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// job is a call of the other side.
type job struct {
	frame *peerpb.Frame
	task  *task
}

// lane makes the changes of one volume for the other side, one after the other on one goroutine: what a packet brings together
// wakes one, and is made stable together. A change that would have to wait leaves the lane for a goroutine of its own; storage that
// hangs holds up the changes of its volume alone.
type lane struct{ waiting []job }

// enterLocked puts a change into its volume's lane.
func (c *conduit) enterLocked(j job) {
	v := j.frame.Request.Volume
	l := c.lanes[v]
	if l == nil {
		l = &lane{}
		c.lanes[v] = l
		c.jobs.Go(func() { c.drive(v, l) })
	}
	l.waiting = append(l.waiting, j)
}

// drive makes changes until none waits.
func (c *conduit) drive(volume uint64, l *lane) {
	for {
		c.mu.Lock()
		jobs := l.waiting
		l.waiting = nil
		if len(jobs) == 0 {
			delete(c.lanes, volume)
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		for _, j := range jobs {
			c.change(j)
		}
	}
}

// change makes one change; its reply may be held.
func (c *conduit) change(j job) {
	var h held
	ok := true
	failed := c.safely(j.frame.Request, func() *peerpb.Reply {
		h, ok = c.work.begin(c.ctx, j.frame.Request)
		return nil
	})
	h.conduit, h.job = c, j
	switch {
	case failed != nil:
		h = held{conduit: c, job: j, reply: failed}
	case !ok:
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.over {
			c.goLocked(j)
		}
		return
	case h.later.Volume != 0:
		c.work.hold(h)
		return
	}
	c.answer([]held{h})
}

// answer sends replies together.
func (c *conduit) answer(list []held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range list {
		c.finishLocked(list[i].job, list[i].reply)
	}
}

// fail makes of a reply one that says that its change may be lost.
func (h *held) fail(err error) { h.reply = wire.Failed(err) }
