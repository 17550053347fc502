package aware

import (
	"net/netip"
	"sync"
)

// gRPC takes in what clients send at once, up to the window of each stream: for a call that is never complete, or behind one that waits. So the frames
// (RFC 9113 §4.1) of each connection are looked at as they pass, to count what is held for calls that have not been answered.

// Costs of what is held, in bytes: of a call, whatever it says, and of a frame of data beside the data.
const (
	costOfCall  = 8 << 10
	costOfFrame = 64
)

// Of frames (RFC 9113 §6) and the preface of a client (§3.4).
const (
	frameData       = 0
	frameHeaders    = 1
	frameReset      = 3
	flagEndStream   = 1
	lengthOfHead    = 9
	lengthOfPreface = 24
)

// unanswered counts what calls hold that have not been answered.
type unanswered struct {
	mu    sync.Mutex
	most  int
	total int
	of    map[netip.Addr]int
}

// add counts, and returns the address that has most of all if it is too much.
func (u *unanswered) add(from netip.Addr, n int) (worst netip.Addr, over bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.total += n
	if u.of[from] += n; u.of[from] == 0 {
		delete(u.of, from)
	}
	if n <= 0 || u.total <= u.most {
		return worst, false
	}
	for a, has := range u.of {
		if !over || has > u.of[worst] {
			worst, over = a, true
		}
	}
	return worst, over
}

// calls are those of a connection that have not been answered.
type calls struct {
	in, out frames

	mu    sync.Mutex
	open  map[uint32]int // what each stream holds
	last  uint32         // the highest that was opened
	bytes int
	ended bool
}

// frames finds the heads of frames in what passes.
type frames struct {
	head [lengthOfHead]byte
	have int
	skip int
}

func (f *frames) pass(b []byte, see func(kind, flags byte, stream uint32, length int)) {
	for len(b) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(b))
			f.skip -= n
			b = b[n:]
			continue
		}
		n := copy(f.head[f.have:], b)
		f.have += n
		b = b[n:]
		if h := &f.head; f.have == len(h) {
			f.have, f.skip = 0, int(h[0])<<16|int(h[1])<<8|int(h[2])
			see(h[3], h[4], (uint32(h[5])<<24|uint32(h[6])<<16|uint32(h[7])<<8|uint32(h[8]))&(1<<31-1), f.skip)
		}
	}
}

// received looks at what a client sent, and returns how much more is held.
func (c *calls) received(b []byte) (more int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.bytes
	c.in.pass(b, func(kind, _ byte, stream uint32, length int) {
		held, known := c.open[stream]
		switch {
		case kind == frameHeaders && stream > c.last:
			c.last = stream
			c.holdLocked(stream, costOfCall)
		case kind == frameData && known:
			c.holdLocked(stream, held+buffer(length)+costOfFrame)
		case kind == frameReset:
			c.dropLocked(stream)
		}
	})
	return c.bytes - before
}

// buffer is the size of the one that gRPC takes for a frame.
func buffer(length int) int {
	switch {
	case length <= 1<<10:
		return length
	case length <= 4<<10:
		return 4 << 10
	}
	return max(length, 16<<10)
}

// sent looks at what is sent to a client, and returns how much less is held.
func (c *calls) sent(b []byte) (less int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.bytes
	c.out.pass(b, func(kind, flags byte, stream uint32, _ int) {
		if kind == frameReset || kind == frameHeaders && flags&flagEndStream != 0 {
			c.dropLocked(stream)
		}
	})
	return before - c.bytes
}

func (c *calls) holdLocked(stream uint32, bytes int) {
	if c.ended {
		return
	}
	c.bytes += bytes - c.open[stream]
	c.open[stream] = bytes
}

func (c *calls) dropLocked(stream uint32) {
	c.bytes -= c.open[stream]
	delete(c.open, stream)
}

// end forgets all, and returns how much that was.
func (c *calls) end() (less int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	less, c.bytes, c.ended = c.bytes, 0, true
	clear(c.open)
	return less
}

// holds is how much is held.
func (c *calls) holds() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if more := c.calls.received(b[:n]); more != 0 {
		if worst, over := c.s.unanswered.add(c.from, more); over {
			c.s.relieve(worst)
		}
	}
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	if less := c.calls.sent(b); less != 0 {
		c.s.unanswered.add(c.from, -less)
	}
	return c.Conn.Write(b)
}

// cut ends a connection without a word: one that is not read would take none.
func (c *conn) cut() {
	c.forget()
	c.raw.Close()
}

// relieve hangs up on the connection that holds most, of those of an address.
func (s *Server) relieve(from netip.Addr) {
	var worst *conn
	most := 0
	s.mu.Lock()
	for c := range s.conns {
		if c.from != from {
			continue
		}
		if n := c.calls.holds(); n > most {
			worst, most = c, n
		}
	}
	s.mu.Unlock()
	if worst != nil {
		s.cfg.Log.Warn("an aware client asked for more at once than there is memory for", "client", worst.at, "bytes", most)
		worst.cut()
	}
}

// Unanswered returns how many bytes calls hold, at most, that have not been answered.
func (s *Server) Unanswered() int {
	s.unanswered.mu.Lock()
	defer s.unanswered.mu.Unlock()
	return s.unanswered.total
}
