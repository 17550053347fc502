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
	b     []byte
	own   *buf.Buffer      // released when the segment was sent
	cost  int64            // of own, taken by parked.reserve
	hold  gateway.Releaser // of the file that is sent behind b; nil if there is none
	fd    int
	off   int64
	left  int // bytes of the file not sent yet
	pad   int // zero bytes behind the file
	slots int // of calls, given back when the segment was sent
}

func (g *segment) size() int { return len(g.b) + g.left + g.pad }

// takeFile moves the file of a call's reply into the segment.
func (g *segment) takeFile(c *Call) {
	if f := &c.File; f.Hold != nil {
		g.hold, g.fd, g.off, g.left, g.pad = f.Hold, f.FD, f.Offset, max(0, f.N), padding(f.N)
		f.Hold = nil
	}
}

// padding is how many bytes XDR adds to n.
func padding(n int) int { return (4 - n&3) & 3 }

// output is the sending side of a connection. Whoever finds nobody flushing flushes for all.
//
// All fields are guarded by conn.mu.
type output struct {
	queue    *queue
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
	c.out.queue = c.out.queue.push(g)
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
		c.out.queued += len(b)
		if !c.out.queue.absorb(b) {
			var g segment
			g, took = c.keep(b, own)
			c.out.queue = c.out.queue.push(g)
		}
		c.mu.Unlock()
		return took
	}
	c.out.flushing = true
	c.mu.Unlock()

	n, err := c.port.write(b, false)
	c.bytesOut.Add(uint64(n))
	c.mu.Lock()
	switch {
	case err != nil && err != errFull:
		c.mu.Unlock()
		c.flushFailed(err)
		return false
	case n < len(b):
		var g segment
		g, took = c.keep(b[n:], own)
		c.out.queue = c.out.queue.pushFront(g)
		c.out.queued += len(b) - n
	}
	if c.out.queue.len() == 0 {
		c.out.flushing = false
		c.settleLocked()
		return took
	}
	c.mu.Unlock()
	c.flush()
	return took
}

// keep makes a segment of b, which stands in own. What is small moves to a buffer of its size: own has room for the replies of a
// whole visit, and a client that takes nothing could make the server keep one of them for each of its calls.
func (c *conn) keep(b []byte, own *buf.Buffer) (g segment, took bool) {
	if len(b) > len(own.B)/2 {
		return segment{b: b, own: own}, true
	}
	kept := c.srv.pool.Get(max(len(b), parkedReply))
	return segment{b: kept.B[:copy(kept.B, b)], own: kept}, false
}

// flush sends what is queued. The caller has set flushing.
func (c *conn) flush() {
	for {
		c.mu.Lock()
		if c.out.queue.len() == 0 || c.broken {
			c.out.flushing = false
			c.settleLocked()
			return
		}
		c.out.queue.join(c)
		head := *c.out.queue.head()
		c.mu.Unlock()

		n, err := c.sendSegment(&head)
		c.bytesOut.Add(uint64(n))
		if err != nil && err != errFull {
			c.flushFailed(err)
			return
		}
		c.advance(&head, n)
		if err == errFull && head.size() > 0 {
			c.stalledSince.CompareAndSwap(0, int64(c.srv.now()))
			if !c.port.awaitWritable() {
				return // the port calls flush again
			}
		}
	}
}

// fileIsNext reports that the next thing to send comes from a file.
func (c *conn) fileIsNext() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.queue.len() > 0 && c.out.queue.head().left > 0
}

// advance takes n sent bytes off the queue. head is the changed copy of the first segment.
func (c *conn) advance(head *segment, n int) {
	done := head.size() == 0
	c.mu.Lock()
	c.out.queued -= n
	if done {
		c.out.queue = c.out.queue.pop()
	} else {
		*c.out.queue.head() = *head
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
		c.port.wake()
	}
}

// drop gives back what a segment holds.
func (c *conn) drop(g *segment) {
	g.own.Release()
	c.giveReply(g.cost)
	if g.hold != nil {
		g.hold.Release()
	}
	if g.slots > 0 {
		c.giveSlots(g.slots)
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
			n, err = c.port.write(g.b, g.left+g.pad > 0)
			g.b = g.b[n:]
		case g.left > 0:
			n, err = c.port.sendFile(g.fd, g.off, g.left)
			g.off += int64(n)
			g.left -= n
			if n == 0 && err == nil { // the file shrank: its length was sent, so zeros follow
				g.pad += g.left
				g.left = 0
			}
		default:
			n, err = c.port.write(zeros[:min(g.pad, len(zeros))], g.pad > len(zeros))
			g.pad -= n
		}
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}
