package discovery

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// servePackets answers datagrams one after the other until the socket is closed.
func (s *Server) servePackets(c *net.UDPConn) {
	in, out := make([]byte, maxQuery+1), make([]byte, 0, maxStream)
	for {
		n, from, err := c.ReadFromUDPAddrPort(in)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // an ICMP error of an earlier reply; anything else would not end
			if s.closed.Load() {
				return
			}
			s.cfg.Log.Debug("question not received", "err", err)
			time.Sleep(time.Millisecond)
		case n <= maxQuery && from.Port() != 0:
			if reply := s.answerPacket(in[:n], from.Addr().Unmap(), out); reply != nil {
				if _, err := c.WriteToUDPAddrPort(reply, from); err != nil {
					s.cfg.Log.Debug("answer not sent", "client", from, "err", err)
				}
			}
		}
	}
}

// answerPacket is respond within the limits of what may be sent to an address that was not proved. A panic costs its question only.
func (s *Server) answerPacket(query []byte, from netip.Addr, out []byte) (reply []byte) {
	defer s.recovered(&reply)
	reply, proved := s.reply(query, asker{addr: from}, out)
	if reply == nil || proved || s.limit == nil || s.exempt(from) {
		return reply
	}
	switch s.limit.admit(from, len(reply), s.cfg.Now()) {
	case sendTruncated:
		s.count(&s.stats.limited)
		return bareTruncated(query, out)
	case sendNothing:
		s.count(&s.stats.limited)
		return nil
	}
	return reply
}

func (s *Server) exempt(addr netip.Addr) bool {
	for _, p := range s.cfg.Exempt {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// bareTruncated makes a reply that is no longer than the question: the header and the question itself, marked as truncated.
func bareTruncated(query, out []byte) []byte {
	m := new(dns.Msg)
	if m.Unpack(query) != nil || len(m.Question) != 1 {
		return nil
	}
	r := new(dns.Msg).SetReply(m)
	r.Truncated = true
	packed, err := r.PackBuffer(out[:cap(out)])
	if err != nil || len(packed) > len(query) {
		return nil
	}
	return packed
}

func (s *Server) recovered(reply *[]byte) {
	if p := recover(); p != nil {
		*reply = nil
		s.cfg.Log.Error("a question could not be answered", "op", "dns", "err", p)
	}
}
