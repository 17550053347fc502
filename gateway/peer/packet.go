package peer

import (
	"maps"
	"slices"
	"time"

	"causeway/gateway/peer/peerpb"
)

// maxPacket is about how many bytes are sent together.
const maxPacket = 128 << 10

// pushLocked queues a frame, and has it sent.
func (c *conduit) pushLocked(f *peerpb.Frame) {
	c.queueLocked(f)
	c.wakeLocked()
}

// queueLocked queues a frame for the stream there is. Without one it is dropped: questions are sent again, replies asked for again.
func (c *conduit) queueLocked(f *peerpb.Frame) {
	if c.carrier != nil {
		c.queue = append(c.queue, f)
	}
}

// wakeLocked has the writer send what is queued.
func (c *conduit) wakeLocked() {
	if c.carrier == nil || len(c.queue) == 0 {
		return
	}
	select {
	case c.carrier.wake <- struct{}{}:
	default:
	}
}

// flushLocked sends what is queued at once, unless somebody is sending: that saves waking the writer. It may wait where the other side does
// not read, as long as such a stream lasts, so it is not for who reads one: two gateways could wait for each other.
//
// It unlocks. Where it is not wanted, the writer is woken.
func (c *conduit) flushLocked(wanted bool) {
	k := c.carrier
	var p *peerpb.Packet
	if wanted {
		p = c.takeLocked(k)
	} else {
		c.wakeLocked()
	}
	c.mu.Unlock()
	if p == nil {
		return
	}
	if c.send(k, p) != nil {
		k.end() // its writer, or who reads it, tells of the error
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakeLocked() // for what came meanwhile
}

// write sends what is queued until the stream ends; all that is ready goes into one packet.
func (c *conduit) write(k *carrier) error {
	for {
		select {
		case <-k.wake:
		case <-k.gone:
			return errUnsent
		}
		for {
			p := c.take(k)
			if p == nil {
				break
			}
			if err := c.send(k, p); err != nil {
				return err
			}
		}
	}
}

// send sends what was taken: one at a time does.
func (c *conduit) send(k *carrier, p *peerpb.Packet) error {
	c.counts.packets.Add(1)
	c.counts.frames.Add(uint64(len(p.Frames)))
	err := k.Send(p)
	c.mu.Lock()
	k.sending = false
	c.mu.Unlock()
	return err
}

// take takes from the queue what goes into one packet. Before a request can be sent, the other side is told of all calls that have
// ended: so it never remembers more than the window holds.
func (c *conduit) take(k *carrier) *peerpb.Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.takeLocked(k)
}

func (c *conduit) takeLocked(k *carrier) *peerpb.Packet {
	if k == nil || c.carrier != k || k.sending || len(c.queue) == 0 {
		return nil
	}
	p, n, size := &peerpb.Packet{Ended: c.acks}, 0, 0
	for n < len(c.queue) && size < maxPacket {
		f := c.queue[n]
		n++
		if f.Request != nil {
			q := c.open[f.Id]
			if q == nil {
				continue // answered before it was sent again: the other side has forgotten it, and would begin anew
			}
			q.sent = true
		}
		size += weight(f)
		p.Frames = append(p.Frames, f)
	}
	k.sending = true
	if !k.begun {
		k.begun, p.First, p.Open = true, true, slices.Collect(maps.Keys(c.open))
	}
	if c.queue, c.acks = c.queue[n:], nil; len(c.queue) == 0 {
		c.queue = nil
	}
	return p
}

// weight is about how many bytes a frame has.
func weight(f *peerpb.Frame) int {
	w := 256
	if r := f.Request; r != nil {
		w += 5*len(r.Caller.GetGroups()) + len(r.Create.GetTarget()) + 40*len(r.Commit.GetExtents()) + 80*len(r.Held)
		for _, c := range r.Batch.GetRecords() {
			w += 32 + len(c.Name) + len(c.Data)
		}
	}
	if r := f.Reply; r != nil {
		w += 200*len(r.Entries) + 40*len(r.Grant.GetExtents()) + 100*len(r.Locks) + len(r.Target) + 80*len(r.Held)
	}
	return w
}

// read takes packets until the stream ends. It never waits for what a packet asks for.
func (c *conduit) read(k *carrier) error {
	for {
		p, err := k.Recv()
		if err != nil {
			return err
		}
		c.heard.Store(int64(time.Since(c.born)))
		c.forget(k, p)
		for _, f := range p.Frames {
			if err := c.receive(k, f); err != nil {
				return err
			}
			if c.unread(k) {
				return errUnread
			}
		}
		select {
		case <-k.gone:
			return errUnsent
		default:
		}
	}
}

// unread reports whether more waits to be sent than the other side can have asked for and this side ask: an end that asks on, and does not
// read, would fill the memory. The stream ends, and with it what waits.
func (c *conduit) unread(k *carrier) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.carrier == k && len(c.queue) > 8*c.most
}

func (c *conduit) receive(k *carrier, f *peerpb.Frame) error {
	switch {
	case f == nil:
		return errFrame
	case f.Reply != nil:
		c.answered(f)
	case f.Request.GetOp() == peerpb.Op_KEEP: // waits for nothing, and many wait for it
		c.keep(k, f)
	case f.Request != nil:
		return c.begin(k, f)
	case f.Cancel:
		c.mu.Lock()
		if t := c.tasks[f.Id]; t != nil {
			if t.given = true; t.cancel != nil {
				t.cancel()
			}
			c.counts.cancelled.Add(1)
		}
		c.mu.Unlock()
	case f.Beat:
		if !f.Answer {
			c.mu.Lock()
			c.pushLocked(&peerpb.Frame{Beat: true, Answer: true})
			c.mu.Unlock()
		}
	default: // of a later version
	}
	return nil
}
