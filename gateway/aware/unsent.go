package aware

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"causeway"
)

// Bounds of what was answered and is not sent yet, since its client does not take it.
const (
	unsentOfClient = 4               // one address may have that part of Config.MaxUnsent
	maxHeldUp      = 4096            // calls that wait until others' answers are sent
	maxListing     = 512 << 10       // about what maxEntries of a directory need
	takeWithin     = 2 * time.Minute // who takes an answer no faster than that is hung up on
)

// unsent counts the bytes of answers that wait for their clients to take them: a call has ended by then, and its slot is another one's.
type unsent struct {
	mu     sync.Mutex
	most   int
	total  int
	of     map[netip.Addr]int
	holds  map[netip.AddrPort]map[*hold]bool // by connection
	heldUp int
	less   chan struct{} // closed when there is less
}

// hold is the bytes of one answer.
type hold struct {
	u     *unsent
	from  netip.AddrPort
	bytes int
	since time.Time
}

// reserve waits until an answer of so many bytes may be made. It fails with ErrDelay if too many wait.
func (u *unsent) reserve(ctx context.Context, from netip.AddrPort, bytes int, now time.Time) (*hold, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for u.total+bytes > u.most || u.of[from.Addr()]+bytes > u.most/unsentOfClient {
		if u.heldUp >= maxHeldUp {
			return nil, causeway.ErrDelay
		}
		less := u.less
		u.heldUp++
		u.mu.Unlock()
		select {
		case <-less:
		case <-ctx.Done():
		}
		u.mu.Lock()
		u.heldUp--
		if ctx.Err() != nil {
			return nil, causeway.ErrDelay
		}
	}
	h := &hold{u, from, bytes, now}
	u.total += bytes
	u.of[from.Addr()] += bytes
	if u.holds[from] == nil {
		u.holds[from] = map[*hold]bool{}
	}
	u.holds[from][h] = true
	return h, nil
}

// release ends a hold, if it has not ended.
func (h *hold) release() {
	h.u.mu.Lock()
	defer h.u.mu.Unlock()
	h.u.releaseLocked(h)
}

func (u *unsent) releaseLocked(h *hold) {
	if !u.holds[h.from][h] {
		return
	}
	if delete(u.holds[h.from], h); len(u.holds[h.from]) == 0 {
		delete(u.holds, h.from)
	}
	u.total -= h.bytes
	if u.of[h.from.Addr()] -= h.bytes; u.of[h.from.Addr()] == 0 {
		delete(u.of, h.from.Addr())
	}
	close(u.less)
	u.less = make(chan struct{})
}

// gone ends the holds of a connection that has ended.
func (u *unsent) gone(from netip.AddrPort) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for h := range u.holds[from] {
		u.releaseLocked(h)
	}
}

// stuck lists the connections that do not take what they have asked for.
func (u *unsent) stuck(now time.Time) (out []netip.AddrPort) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for from, holds := range u.holds {
		for h := range holds {
			if now.Sub(h.since) > takeWithin {
				out = append(out, from)
				break
			}
		}
	}
	return out
}

// Unsent returns how many bytes of answers, at most, wait for their clients to take them.
func (s *Server) Unsent() int {
	s.unsent.mu.Lock()
	defer s.unsent.mu.Unlock()
	return s.unsent.total
}

// held is an answer with what it holds.
type held struct {
	reply any
	hold  *hold
}

// codec is that of protobuf, which knows when an answer has been sent.
type codec struct{ encoding.CodecV2 }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	h, ok := v.(*held)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	m := h.reply.(proto.Message)
	pool := &holding{mem.DefaultBufferPool(), h.hold}
	size := proto.Size(m)
	if mem.IsBelowBufferPoolingThreshold(size) {
		h.hold.release()
		return c.CodecV2.Marshal(m)
	}
	buf := pool.Get(size)
	packed, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend((*buf)[:0], m)
	if err != nil {
		pool.Put(buf)
		return nil, err
	}
	*buf = packed
	return mem.BufferSlice{mem.NewBuffer(buf, pool)}, nil
}

// holding is a pool that gets a buffer back when it has been sent, or will never be.
type holding struct {
	mem.BufferPool
	hold *hold
}

// Put implements mem.BufferPool.
func (p *holding) Put(b *[]byte) {
	p.BufferPool.Put(b)
	p.hold.release()
}
