package peer

import (
	"time"

	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// job is a call of the other side.
type job struct {
	frame *peerpb.Frame
	task  *task
}

// lane makes the changes of one volume for the other side, one after the other on one goroutine: what a packet brings together
// wakes one, and is made stable together. A change that would have to wait leaves the lane for a goroutine of its own. Where storage
// takes long over one change, other goroutines go on with the next ones.
type lane struct {
	volume  uint64
	waiting []job
	begun   uint64 // changes ever
	seen    uint64 // of them, when it was last looked whether the lane moves
	drivers int
	look    *time.Timer
}

// Bounds of a lane: how long a change keeps others waiting, and how many go on at the same time.
const (
	stuckAfter = 5 * time.Millisecond
	maxDrivers = 64
)

// enterLocked puts a change into its volume's lane.
func (c *conduit) enterLocked(j job) {
	v := j.frame.Request.Volume
	l := c.lanes[v]
	if l == nil {
		l = &lane{volume: v}
		c.lanes[v] = l
		l.look = time.AfterFunc(stuckAfter, func() { c.lookAfter(l) })
		c.driveLocked(l)
	}
	l.waiting = append(l.waiting, j)
}

func (c *conduit) driveLocked(l *lane) {
	l.drivers++
	c.jobs.Go(func() { c.drive(l) })
}

// lookAfter lets another goroutine go on where none has begun a change for long.
func (c *conduit) lookAfter(l *lane) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.drivers == 0 || c.over {
		return
	}
	if l.begun == l.seen && len(l.waiting) > 0 && l.drivers < maxDrivers {
		c.driveLocked(l)
	}
	l.seen = l.begun
	l.look.Reset(stuckAfter)
}

// drive makes changes until none waits.
func (c *conduit) drive(l *lane) {
	for {
		c.mu.Lock()
		if len(l.waiting) == 0 {
			if l.drivers--; l.drivers == 0 {
				delete(c.lanes, l.volume)
				l.look.Stop()
			}
			c.mu.Unlock()
			return
		}
		j := l.waiting[0]
		l.waiting = l.waiting[1:]
		l.begun++
		c.mu.Unlock()
		c.change(j)
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
