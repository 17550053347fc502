package rpc

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"causeway/gateway/nfs/xdr"
	"causeway/internal/buf"
)

// maxDatagram is the largest call or reply by UDP.
const maxDatagram = 64 << 10

// packets answers calls that come by UDP on one socket.
type packets struct {
	srv    *Server
	pc     net.PacketConn
	local  netip.AddrPort
	call   Call
	groups [maxGroups]uint32
	in     []byte
	reply  []byte
}

// ServePacket answers datagrams until Shutdown, or until the socket fails for good. It closes pc. A reply that does not fit a
// datagram is not sent.
func (s *Server) ServePacket(pc net.PacketConn) error {
	if err := s.listen(pc); err != nil {
		return err
	}
	defer s.unlisten(pc)
	p := &packets{srv: s, pc: pc, local: addrPort(pc.LocalAddr()), in: make([]byte, maxDatagram), reply: make([]byte, 0, 4<<10)}
	for {
		n, from, err := pc.ReadFrom(p.in)
		switch {
		case err == nil:
			p.serve(p.in[:n], from)
		case s.draining.Load():
			return ErrServerClosed
		case errors.Is(err, net.ErrClosed):
			return err
		default: // an ICMP error of an earlier reply, no memory
			s.cfg.Logger.Debug("receive failed", "err", err)
			time.Sleep(time.Millisecond)
		}
	}
}

// serve answers one datagram, in a goroutine if it would block. Where there is no slot for that it is dropped: the client asks
// again.
func (p *packets) serve(record []byte, from net.Addr) {
	s := p.srv
	s.counts.datagrams.Add(1)
	p.call.Reply = xdr.NewEncoder(p.reply[:0])
	p.call.Remote, p.call.Local, p.call.Datagram, p.call.NoWait = addrPort(from), p.local, true, true
	switch s.answerDatagram(&p.call, &p.groups, record) {
	case Done:
		p.send(&p.call, from)
	case Park:
		if !s.calls.take(1, nil) {
			return
		}
		copied := s.pool.Get(len(record))
		s.running.Add(1)
		go p.serveLater(copied, copy(copied.B, record), from)
	}
}

// serveLater runs a call that may block.
func (p *packets) serveLater(record *buf.Buffer, n int, from net.Addr) {
	s := p.srv
	defer s.running.Done()
	defer s.calls.give(1)
	defer record.Release()
	q := newParked()
	defer q.recycle()
	q.call.Remote, q.call.Local, q.call.Datagram = addrPort(from), p.local, true
	if s.answerDatagram(&q.call, &q.groups, record.B[:n]) == Done {
		p.send(&q.call, from)
	}
}

// answerDatagram survives a panic of the handler, and tells the observer.
func (s *Server) answerDatagram(c *Call, groups *[maxGroups]uint32, record []byte) (v Verdict) {
	start := c.Reply.Len()
	defer func() {
		if r := recover(); r != nil {
			s.logPanic(c, r)
			c.releaseFile()
			c.Reply.Truncate(start)
			accept(&c.Reply, c.XID, acceptSystemErr)
			v = Done
		}
	}()
	began := s.now()
	v = s.answer(s.ctx, c, groups, record)
	if s.cfg.Observer != nil && v <= Drop && v != Park {
		s.observe(c, v, began, len(record), c.Reply.Len()-start)
	}
	return v
}

// send sends the reply. Files do not go into datagrams: such a reply is dropped.
func (p *packets) send(c *Call, to net.Addr) {
	if c.File.Hold != nil {
		c.releaseFile()
		return
	}
	if _, err := p.pc.WriteTo(c.Reply.Bytes(), to); err != nil {
		p.srv.cfg.Logger.Debug("reply not sent", "client", to.String(), "err", err)
	}
}
