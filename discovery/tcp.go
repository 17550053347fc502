package discovery

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
)

// connsOfNetwork is the part of all connections that one network (/24, /56) may have, as a divisor.
const connsOfNetwork = 4

// serveStreams accepts connections until the listener is closed.
func (s *Server) serveStreams(l net.Listener) {
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed) || s.closed.Load():
			if c != nil {
				c.Close()
			}
			return
		case err != nil: // descriptors are short
			s.cfg.Log.Debug("connection not accepted", "err", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		from := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		if !s.enter(c, from) {
			c.Close()
			continue
		}
		s.tasks.Go(func() {
			defer s.leave(c)
			s.serveStream(c, from)
		})
	}
}

// stream is a connection.
type stream struct {
	network netip.Prefix
	seq     uint64 // of its beginning
}

// enter counts a connection. Where there are too many, the oldest one of its network makes room, or of the network that has the most: who holds
// connections and asks nothing keeps nobody else from asking (RFC 7766 §6.2.3).
func (s *Server) enter(c net.Conn, from netip.Addr) bool {
	bits := 56
	if from.Is4() {
		bits = 24
	}
	network, err := from.WithZone("").Prefix(bits)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || s.closed.Load() {
		return false
	}
	switch {
	case s.counts[network] >= max(s.cfg.MaxConns/connsOfNetwork, 1):
		s.dropLocked(network)
	case len(s.conns) >= s.cfg.MaxConns:
		most := network
		for n, count := range s.counts {
			if count > s.counts[most] {
				most = n
			}
		}
		s.dropLocked(most)
	}
	if len(s.conns) >= s.cfg.MaxConns { // none of the one that has the most
		return false
	}
	s.seq++
	s.conns[c] = stream{network, s.seq}
	s.counts[network]++
	return true
}

// dropLocked ends the oldest connection of a network.
func (s *Server) dropLocked(network netip.Prefix) {
	var oldest net.Conn
	for c, of := range s.conns {
		if of.network == network && (oldest == nil || of.seq < s.conns[oldest].seq) {
			oldest = c
		}
	}
	if oldest != nil {
		s.forgetLocked(oldest)
		oldest.Close()
	}
}

func (s *Server) leave(c net.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked(c)
}

func (s *Server) forgetLocked(c net.Conn) {
	of, ok := s.conns[c]
	if !ok {
		return
	}
	delete(s.conns, c)
	if s.counts[of.network]--; s.counts[of.network] == 0 {
		delete(s.counts, of.network)
	}
}

// serveStream answers the questions of a connection (RFC 7766) in their order, until it has been idle or there for too long.
func (s *Server) serveStream(c net.Conn, from netip.Addr) {
	end := s.cfg.Now().Add(s.cfg.Life)
	var in, out []byte
	for {
		deadline := s.cfg.Now().Add(s.cfg.Idle)
		if deadline.After(end) {
			deadline = end
		}
		if c.SetDeadline(deadline) != nil {
			return
		}
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(size[:]))
		if n > maxQuery {
			return
		}
		if cap(in) < n {
			in = make([]byte, n, max(n, 512))
		}
		if _, err := io.ReadFull(c, in[:n]); err != nil {
			return
		}
		reply := s.answerStream(in[:n], from, out)
		if reply == nil || len(reply) > maxStream {
			return
		}
		out = reply
		if _, err := (&net.Buffers{binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply}).WriteTo(c); err != nil {
			return
		}
	}
}

func (s *Server) answerStream(query []byte, from netip.Addr, out []byte) (reply []byte) {
	defer s.recovered(&reply)
	reply, _ = s.reply(query, asker{addr: from, stream: true}, out)
	return reply
}
