package rpc

import (
	"errors"

	"causeway/gateway"
	"causeway/internal/buf"
)

// errFull is what a port's write returns when the socket takes no more now.
var errFull = errors.New("socket full")

// segment is a piece of output: bytes, then perhaps a range of a file.
type segment struct {
	b    []byte
	own  *buf.Buffer       // released when the segment was sent
	cost int64             // of own, taken from Server.bytes
	file gateway.FileRange // sent behind b if Hold is not nil
	left int               // bytes of the file not sent yet
	pad  int               // zero bytes behind the file
	slot bool              // the segment holds a slot of a call
}

func (g *segment) size() int { return len(g.b) + g.left + g.pad }

// output is the sending side of a connection. Whoever finds nobody flushing flushes for all.
//
// All fields are guarded by conn.mu.
type output struct {
	queue    []segment
	queued   int  // bytes in queue, of files too
	flushing bool // somebody owns the writing side of the socket
	wantLow  bool // the reader waits for queued to fall
}

// send queues a segment and flushes unless somebody does.
func (c *conn) send(g segment) {
	c.mu.Lock()
	if c.broken {
		c.mu.Unlock()
		c.drop(&g)
		return
	}
	c.out.queue = append(c.out.queue, g)
	c.out.queued += g.size()
	if c.out.flushing {
		c.mu.Unlock()
		return
	}
	c.out.flushing = true
	c.mu.Unlock()
	c.flush()
}

// sendNow writes b, which stands in own, without queueing it where it can. It reports whether it took own over.
func (c *conn) sendNow(b []byte, own *buf.Buffer) (took bool) {
	c.mu.Lock()
	if c.broken {
		c.mu.Unlock()
		return false
	}
	if c.out.flushing {
		c.out.queue = append(c.out.queue, segment{b: b, own: own})
		c.out.queued += len(b)
		c.mu.Unlock()
		return true
	}
	c.out.flushing = true
	c.mu.Unlock()

	n, err := c.port.write(b)
	c.bytesOut.Add(uint64(n))
	c.mu.Lock()
	switch {
	case err != nil && err != errFull:
		c.mu.Unlock()
		c.flushFailed(err)
		return false
	case n < len(b):
		c.out.queue = append(c.out.queue, segment{})
		copy(c.out.queue[1:], c.out.queue)
		c.out.queue[0] = segment{b: b[n:], own: own}
		c.out.queued += len(b) - n
		took = true
	}
	if len(c.out.queue) == 0 {
		c.out.flushing = false
		c.settleLocked()
		return took
	}
	c.mu.Unlock()
	c.flush()
	return took
}

// flush sends what is queued. The caller has set flushing.
func (c *conn) flush() {
	for {
		c.mu.Lock()
		if len(c.out.queue) == 0 || c.broken {
			c.out.flushing = false
			c.settleLocked()
			return
		}
		head := c.out.queue[0]
		c.mu.Unlock()

		n, err := c.sendSegment(&head)
		c.bytesOut.Add(uint64(n))
		if err != nil && err != errFull {
			c.flushFailed(err)
			return
		}
		c.advance(&head, n)
		if err == errFull {
			c.stalledSince.CompareAndSwap(0, int64(c.srv.now()))
			if !c.port.awaitWritable() {
				return // the port calls flush again
			}
		}
	}
}

// advance takes n sent bytes off the queue. head is the changed copy of the first segment.
func (c *conn) advance(head *segment, n int) {
	done := head.size() == 0
	c.mu.Lock()
	c.out.queued -= n
	if done {
		c.out.queue[0] = segment{}
		c.out.queue = c.out.queue[1:]
		if len(c.out.queue) == 0 {
			c.out.queue = nil
		}
	} else {
		c.out.queue[0] = *head
	}
	low := c.out.wantLow && c.out.queued <= c.srv.cfg.MaxQueued/2
	if low {
		c.out.wantLow = false
	}
	c.mu.Unlock()
	if n > 0 {
		c.stalledSince.Store(0)
	}
	if done {
		c.drop(head)
	}
	if low {
		c.wake()
	}
}

// drop gives back what a segment holds.
func (c *conn) drop(g *segment) {
	g.own.Release()
	if g.cost > 0 {
		c.srv.bytes.give(g.cost)
	}
	if g.file.Hold != nil {
		g.file.Hold.Release()
	}
	if g.slot {
		c.giveSlot()
	}
}

// flushFailed ends the connection; the caller was flushing.
func (c *conn) flushFailed(err error) {
	c.fail(err)
	c.mu.Lock()
	c.out.flushing = false
	c.settleLocked()
}

var zeros [16 << 10]byte

// sendSegment sends some of g and cuts off what was sent.
func (c *conn) sendSegment(g *segment) (sent int, err error) {
	for g.size() > 0 {
		var n int
		switch {
		case len(g.b) > 0:
			n, err = c.port.write(g.b)
			g.b = g.b[n:]
		case g.left > 0:
			n, err = c.port.sendFile(g.file.FD, g.file.Offset, g.left)
			g.file.Offset += int64(n)
			g.left -= n
			if n == 0 && err == nil { // the file shrank: its length was sent, so zeros follow
				g.pad += g.left
				g.left = 0
			}
		default:
			n, err = c.port.write(zeros[:min(g.pad, len(zeros))])
			g.pad -= n
		}
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}
