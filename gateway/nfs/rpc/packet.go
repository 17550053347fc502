package rpc

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"causeway/gateway/nfs/xdr"
	"causeway/internal/buf"
)

// maxDatagram is the largest call or reply by UDP.
const maxDatagram = 64 << 10

// packets answers calls that come by UDP on one socket.
type packets struct {
	srv     *Server
	pc      net.PacketConn
	local   netip.AddrPort
	call    Call
	groups  [maxGroups]uint32
	in      []byte
	control [controlSize]byte
	reply   []byte
}

// peer is where a datagram came from and how its reply goes back.
type peer struct {
	addr    net.Addr // of sockets that are not UDP
	remote  netip.AddrPort
	local   netip.AddrPort
	control []byte
}

// ServePacket answers datagrams until Shutdown, or until the socket fails for good. It closes pc. Calls that do not block are
// answered one after the other. A reply that does not fit a datagram is not sent.
func (s *Server) ServePacket(pc net.PacketConn) error {
	if err := s.listen(pc); err != nil {
		return err
	}
	defer s.unlisten(pc)
	if u, ok := pc.(*net.UDPConn); ok {
		wantLocal(u)
	}
	p := &packets{srv: s, pc: pc, local: addrPort(pc.LocalAddr()), in: make([]byte, maxDatagram), reply: make([]byte, 0, 4<<10)}
	for {
		n, from, err := p.receive()
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

// receive reads one datagram into p.in.
func (p *packets) receive() (n int, from peer, err error) {
	from.local = p.local
	u, ok := p.pc.(*net.UDPConn)
	if !ok {
		n, from.addr, err = p.pc.ReadFrom(p.in)
		if err == nil {
			from.remote = addrPort(from.addr)
		}
		return n, from, err
	}
	n, control, _, remote, err := u.ReadMsgUDPAddrPort(p.in, p.control[:])
	if err != nil {
		return 0, from, err
	}
	from.remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	if control > 0 {
		if local, reply := parseLocal(p.control[:control]); local.IsValid() {
			from.local, from.control = netip.AddrPortFrom(local, p.local.Port()), reply
		}
	}
	return n, from, nil
}

// serve answers one datagram, in a goroutine if it would block. Where there is no slot for that it is dropped: the client asks
// again.
func (p *packets) serve(record []byte, from peer) {
	s := p.srv
	s.counts.datagrams.Add(1)
	p.call.Reply = xdr.NewEncoder(p.reply[:0])
	p.call.Remote, p.call.Local, p.call.Datagram, p.call.NoWait = from.remote, from.local, true, true
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
func (p *packets) serveLater(record *buf.Buffer, n int, from peer) {
	s := p.srv
	defer s.running.Done()
	defer s.calls.give(1)
	defer record.Release()
	q := newParked()
	defer q.recycle()
	q.call.Remote, q.call.Local, q.call.Datagram = from.remote, from.local, true
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
func (p *packets) send(c *Call, to peer) {
	if c.File.Hold != nil {
		c.releaseFile()
		return
	}
	var err error
	if u, ok := p.pc.(*net.UDPConn); ok {
		_, _, err = u.WriteMsgUDPAddrPort(c.Reply.Bytes(), slices.Clip(to.control), to.remote)
	} else {
		_, err = p.pc.WriteTo(c.Reply.Bytes(), to.addr)
	}
	if err != nil {
		p.srv.cfg.Logger.Debug("reply not sent", "client", to.remote.String(), "err", err)
	}
}
