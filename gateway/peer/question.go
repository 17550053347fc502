package peer

import (
	"context"
	"maps"
	"slices"
	"time"

	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// question is a call of this side. ready is closed when reply, or nil if there will be none, is set; where nobody waits, done is called.
type question struct {
	id    uint64
	frame *peerpb.Frame
	ready chan struct{}
	done  func(*peerpb.Reply, error)
	limit *time.Timer // of a question with done
	reply *peerpb.Reply
	sent  bool
}

// end tells who asked, not under the conduit's lock.
func (q *question) end() {
	if q.done == nil {
		close(q.ready)
		return
	}
	q.limit.Stop()
	q.done(q.result())
}

func (q *question) result() (*peerpb.Reply, error) {
	switch {
	case q.reply != nil:
		return q.reply, nil
	case q.sent:
		return nil, errLost
	}
	return nil, errUnsent
}

// ask sends a request and waits for the reply. When ctx ends, the other side is told.
func (c *conduit) ask(ctx context.Context, r *peerpb.Request) (*peerpb.Reply, error) {
	select {
	case c.window <- struct{}{}:
	default:
		select {
		case c.window <- struct{}{}:
		case <-ctx.Done():
			return nil, errUnsent
		case <-c.ended:
			return nil, errUnsent
		}
	}
	defer func() { <-c.window }()
	q := &question{frame: &peerpb.Frame{Request: r}, ready: make(chan struct{})}
	c.mu.Lock()
	if !c.beginLocked(q) {
		c.mu.Unlock()
		return nil, errUnsent
	}
	c.flushLocked(len(c.open) == 1) // else others are likely to ask now too, and share a packet
	select {
	case <-q.ready:
	case <-ctx.Done():
		if !c.giveUp(q) {
			<-q.ready // the reply came meanwhile, or the end
		}
	}
	return q.result()
}

// post sends a request and has done called with the reply, by whoever brings it. False: it would have to wait, or this is the end.
func (c *conduit) post(r *peerpb.Request, within time.Duration, done func(*peerpb.Reply, error)) bool {
	select {
	case c.window <- struct{}{}:
	default:
		return false
	}
	q := &question{frame: &peerpb.Frame{Request: r}, done: func(reply *peerpb.Reply, err error) {
		<-c.window
		done(reply, err)
	}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.beginLocked(q) {
		<-c.window
		return false
	}
	q.limit = time.AfterFunc(within, func() {
		if c.giveUp(q) {
			q.end()
		}
	})
	c.wakeLocked()
	return true
}

// beginLocked numbers a question and queues it; false after the end.
func (c *conduit) beginLocked(q *question) bool {
	if c.over {
		return false
	}
	c.last++
	q.id, q.frame.Id = c.last, c.last
	c.open[q.id] = q
	c.queueLocked(q.frame)
	return true
}

// giveUp ends a call that nobody waits for; false if it has ended.
func (c *conduit) giveUp(q *question) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[q.id] != q {
		return false
	}
	c.closeLocked(q)
	if q.sent {
		c.pushLocked(&peerpb.Frame{Id: q.id, Cancel: true})
	} else if i := slices.Index(c.queue, q.frame); i >= 0 {
		c.queue = slices.Delete(c.queue, i, i+1)
	}
	return true
}

func (c *conduit) closeLocked(q *question) {
	delete(c.open, q.id)
	if q.sent && wire.Changes(q.frame.Request.Op) {
		c.acks = append(c.acks, q.id)
	}
}

func (c *conduit) answered(f *peerpb.Frame) {
	c.mu.Lock()
	q := c.open[f.Id]
	if q != nil {
		c.closeLocked(q)
		q.reply = f.Reply
	}
	c.mu.Unlock()
	if q != nil {
		q.end()
	}
}

// lose fails all open calls: the other side knows nothing of this session.
func (c *conduit) lose() {
	c.mu.Lock()
	ended := slices.Collect(maps.Values(c.open))
	for _, q := range ended {
		c.closeLocked(q)
	}
	c.queue, c.acks = nil, nil
	c.mu.Unlock()
	for _, q := range ended {
		q.end()
	}
}
