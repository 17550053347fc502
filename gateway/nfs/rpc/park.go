package rpc

import (
	"sync"

	"causeway/gateway/nfs/xdr"
	"causeway/internal/buf"
)

// parkedReply is the buffer that a parked call's reply starts in; it grows where the program asks for more.
const parkedReply = 4 << 10

// parked is a call that runs in a goroutine of its own, with all that it needs in buffers of its own.
type parked struct {
	conn   *conn
	call   Call
	groups [maxGroups]uint32
	record *buf.Buffer
	cost   int64 // of record, taken by conn.takeBytes
	n, off int   // the record is record.B[off:off+n]

	out     *buf.Buffer
	outCost int64
	grow    func(b []byte, n int) []byte // reserve and run, bound once
	start   func()
}

var parkedPool sync.Pool

func newParked() *parked {
	if p, ok := parkedPool.Get().(*parked); ok {
		return p
	}
	p := &parked{}
	p.grow, p.start = p.reserve, p.run
	return p
}

// park hands a record to a goroutine; false if there is no slot for it now, and c will be woken.
func (c *conn) park(record []byte) bool {
	if !c.takeSlot(c) {
		return false
	}
	p := newParked()
	p.conn, p.n, p.off = c, len(record), 0
	if c.in != nil && len(record) > tailSize && c.frame.empty() {
		// The record is alone in its buffer, as large ones are: no copy.
		p.record, p.cost, p.off = c.in, c.inCost, c.frame.start
		c.in, c.inCost, c.frame = nil, 0, framer{}
	} else {
		p.record = c.srv.pool.Get(len(record))
		copy(p.record.B, record)
	}
	c.srv.running.Add(1)
	c.srv.crew.Do(&c.srv.running, p.start)
	return true
}

// run runs the call and sends its reply.
func (p *parked) run() {
	c := p.conn
	s := c.srv
	defer s.running.Done()
	p.out = s.pool.Get(parkedReply)
	p.call.Reply = xdr.NewGrowingEncoder(p.out.B[:0], p.grow)
	p.call.Remote, p.call.Local, p.call.Datagram, p.call.NoWait = c.remote, c.local, false, false
	p.call.conn, p.call.Life = c, c.life
	p.call.Reply.Uint32(0) // the record mark
	began := s.now()
	verdict := p.answer()
	if s.cfg.Observer != nil && verdict <= Drop {
		s.observe(&p.call, verdict, began, p.n, p.call.Reply.Len()-markSize)
	}
	p.record.Release()
	c.giveBytes(p.cost)
	p.record, p.cost = nil, 0
	if verdict == Done {
		p.send()
	} else {
		p.out.Release()
		c.giveReply(p.outCost)
		c.giveSlots(1)
	}
	p.recycle()
}

// answer survives a panic of the handler.
func (p *parked) answer() (v Verdict) {
	s := p.conn.srv
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		s.logPanic(&p.call, r)
		p.call.releaseFile()
		p.call.Reply.Truncate(markSize)
		accept(&p.call.Reply, p.call.XID, acceptSystemErr)
		p.conn.hangUp()
		v = Done
	}()
	record := p.record.B[p.off : p.off+p.n]
	before, end := p.conn.client.turns.take(p.conn, record)
	defer end()
	if !p.turn(before) || p.conn.abandoned() {
		return Drop
	}
	return s.answer(p.conn.context(), &p.call, &p.groups, record)
}

// send sends the reply; the slot is given back when it is sent.
func (p *parked) send() {
	b := p.call.Reply.Bytes()
	g := segment{b: b, own: p.out, cost: p.outCost, slots: 1}
	g.takeFile(&p.call)
	p.call.Reply.PatchUint32(0, lastFragment|uint32(g.size()-markSize))
	p.conn.send(g)
}

// reserve is how the reply grows: into a pooled buffer, and where too much is taken for large ones, by the client's replies or in
// total, not before some is given back.
func (p *parked) reserve(b []byte, n int) []byte {
	c, size := p.conn, len(b)+n
	old, oldCost := p.out, p.outCost
	c.giveReply(oldCost) // who waits for more counts for nothing, so that those who wait cannot block each other
	p.outCost = 0
	if size > readSize {
		cost := int64(buf.Size(size))
		c.srv.await(&c.replies, cost)
		c.srv.await(&c.client.bytes, cost)
		c.srv.await(&c.srv.bytes, cost)
		p.outCost = cost
	}
	p.out = c.srv.pool.Get(size)
	copy(p.out.B, b)
	old.Release()
	return p.out.B[:len(b)]
}

// giveReply gives back what reserve took.
func (c *conn) giveReply(cost int64) {
	if cost > 0 {
		c.giveBytes(cost)
		c.replies.give(cost)
	}
}

// await takes n of g, and waits where there is not as much.
func (s *Server) await(g *gate, n int64) {
	if g.take(n, nil) {
		return
	}
	for woken := newSignal(); !g.take(n, woken); {
		select {
		case <-woken:
		case <-s.ctx.Done():
			// Shutdown gave up waiting, and all connections are closed: nothing of this will be kept for long.
			g.force(n)
			return
		}
	}
}

func (p *parked) recycle() {
	*p = parked{grow: p.grow, start: p.start}
	parkedPool.Put(p)
}
