package peer

import (
	"time"

	"causeway/gateway/peer/peerpb"
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
		c.driveLocked(l)
	} else if l.look == nil { // nothing waited before
		l.seen = l.begun
		l.look = time.AfterFunc(stuckAfter, func() { c.lookAfter(l) })
	}
	l.waiting = append(l.waiting, j)
}

func (c *conduit) driveLocked(l *lane) {
	l.drivers++
	c.crew.Do(&c.jobs, func() { c.drive(l) })
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

// together is how many changes are made before any of them is made stable.
const together = 16

// drive makes changes until none waits. Those that were made right after each other are handed on together: fewer syncs.
func (c *conduit) drive(l *lane) {
	var made []held
	for {
		j, ok := c.next(l, made)
		if !ok {
			return
		}
		if j.frame == nil || len(made) == together {
			c.work.hold(c, made)
			made = nil
		}
		if j.frame == nil {
			continue
		}
		if h := c.change(j); h.later.Volume != 0 {
			made = append(made, h)
		}
	}
}

// next takes a change from a lane; one without a frame if there is none, but some are made and not handed on; false at the end.
func (c *conduit) next(l *lane, made []held) (j job, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(l.waiting) > 0 {
		j = l.waiting[0]
		l.waiting = l.waiting[1:]
		l.begun++
		return j, true
	}
	if len(made) > 0 {
		return j, true
	}
	if l.drivers--; l.drivers == 0 {
		delete(c.lanes, l.volume)
		if l.look != nil {
			l.look.Stop()
		}
	}
	return j, false
}

// change makes one change, and answers it unless its reply is to be held: then its later has a volume.
func (c *conduit) change(j job) (h held) {
	ok := true
	failed := c.safely(j.frame.Request, func() *peerpb.Reply {
		h, ok = c.work.begin(c.ctx, j.frame.Request)
		return nil
	})
	if failed != nil {
		h = held{reply: failed}
	}
	h.job = j
	if h.later.Volume != 0 {
		return h
	}
	c.mu.Lock()
	if ok {
		c.finishLocked(j, h.reply)
	} else if !c.over {
		c.goLocked(j)
	}
	l := c.lanes[j.frame.Request.Volume]
	c.flushLocked(l == nil || len(l.waiting) == 0)
	return h
}

// answer sends replies together.
func (c *conduit) answer(list []held) {
	c.mu.Lock()
	for i := range list {
		c.finishLocked(list[i].job, list[i].reply)
	}
	c.wakeLocked() // other replies of the round share the packet
	c.mu.Unlock()
}
