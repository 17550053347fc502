package rpc

import "causeway/internal/buf"

// readSize is how much is read at once: what has arrived of small calls. A larger record gets a buffer of its own size once this
// much of it is here, so that a peer which only announces one holds little.
const readSize = 64 << 10

// tailSize is the largest part of a record that is kept in a small buffer while its connection is idle.
const tailSize = 4 << 10

// input is the reading side of a connection.
type input struct {
	in      *buf.Buffer // nil while nothing is kept
	inCost  int64       // of in, taken by takeBytes
	frame   framer
	pending []byte // a record that could not be run yet; a view of in
	bulk    bool   // the last call moved Bulk bytes or more
	large   int    // length of the last record if it was large, so that the next one is read to its place at once
}

// room returns where to read next, or nil if there is no memory for it now: c is woken when there may be.
func (c *conn) room() []byte {
	if c.in == nil {
		if c.large == 0 {
			return c.grown(readSize, readSize)
		}
		return c.grown(markSize+c.large, markSize+c.large)
	}
	kept, missing := c.frame.kept(), c.frame.missing()
	if kept+missing <= readSize && kept < readSize {
		return c.grown(readSize, readSize)
	}
	size, n := max(readSize, kept+missing), missing
	if kept < readSize {
		size = readSize // until that much is here
	}
	if missing == 0 || !c.frame.last { // more fragments have to come
		size, n = max(size, kept+tailSize), max(missing, readSize)
	}
	return c.grown(size, n) // of a large record not more than to its end
}

// grown returns up to n bytes behind what is kept, in a buffer of at least size bytes.
func (c *conn) grown(size, n int) []byte {
	if c.in == nil || len(c.in.B) < size || len(c.in.B)-c.frame.end < min(n, size-c.frame.kept()) {
		if !c.grow(size) {
			return nil
		}
	}
	free := c.in.B[c.frame.end:]
	return free[:min(n, len(free))]
}

// grow moves what is kept to the start of a buffer of at least size bytes.
func (c *conn) grow(size int) bool {
	old := c.in
	if old != nil && len(old.B) >= size {
		c.frame.moveTo(old.B, old.B)
		return true
	}
	cost := int64(0)
	if size > readSize {
		cost = int64(buf.Size(size))
		taken := c.takeBytes(cost, c)
		c.passOn()
		if !taken {
			return false
		}
	}
	c.in = c.srv.pool.Get(size)
	if old == nil {
		c.frame = framer{}
	} else {
		c.frame.moveTo(c.in.B, old.B)
		old.Release()
		c.giveBytes(c.inCost)
	}
	c.inCost = cost
	return true
}

// rest is called when all that is complete was taken: it gives the buffer back, or keeps a small rest in a small one.
func (c *conn) rest() {
	if c.in == nil || c.pending != nil {
		return
	}
	kept := c.frame.kept()
	if c.frame.empty() {
		c.releaseInput()
		if c.recordSince.Load() != 0 {
			c.recordSince.Store(0)
		}
		return
	}
	if c.recordSince.Load() == 0 {
		c.recordSince.Store(int64(c.srv.now()))
	}
	if kept <= tailSize && len(c.in.B) > tailSize {
		small := c.srv.pool.Get(tailSize)
		c.frame.moveTo(small.B, c.in.B)
		c.in.Release()
		c.giveBytes(c.inCost)
		c.in, c.inCost = small, 0
	}
}

// took notes that a record was taken.
func (c *conn) took(n int) {
	c.large = 0
	if n > readSize {
		c.large = n
	}
	if c.recordSince.Load() != 0 {
		c.recordSince.Store(0)
	}
}

// releaseInput gives everything back.
func (c *conn) releaseInput() {
	c.in.Release()
	c.giveBytes(c.inCost)
	c.in, c.inCost, c.frame, c.pending = nil, 0, framer{}, nil
}

// takeBytes takes the bytes of a large buffer, from the client's share and from the whole, or lets w wait for them.
func (c *conn) takeBytes(cost int64, w waker) bool {
	if !c.client.bytes.take(cost, w) {
		return false
	}
	if !c.srv.bytes.take(cost, w) {
		c.client.bytes.give(cost)
		return false
	}
	return true
}

// giveBytes is takeBytes' inverse.
func (c *conn) giveBytes(cost int64) {
	if cost > 0 {
		c.srv.bytes.give(cost)
		c.client.bytes.give(cost)
	}
}
