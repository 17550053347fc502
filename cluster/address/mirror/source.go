package mirror

import (
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"causeway/cluster/address"
	"causeway/internal/boottime"
)

// source is this gateway's own state.
type source struct {
	looking sync.Mutex // held while the state is looked at

	mu      sync.Mutex
	table   address.Table
	last    address.Delta            // led to table
	held    []netip.Addr             // in order
	version uint64                   // of held
	left    map[netip.Addr]time.Time // addresses that were given up, and when their connections go
	changed chan struct{}            // closed with the next change
	failed  bool                     // the last look, and that was said
}

func (s *source) init() {
	s.left, s.changed, s.version = make(map[netip.Addr]time.Time), make(chan struct{}), 1
	s.last, _ = s.table.Update(nil)
}

// Look takes in what connections there are now. Who is about to give an address up calls it before.
func (m *Mirror) Look() {
	s := &m.source
	s.looking.Lock()
	defer s.looking.Unlock()
	held := m.cfg.Held()
	slices.SortFunc(held, netip.Addr.Compare)
	conns, err := m.cfg.Conns()
	s.mu.Lock()
	defer s.mu.Unlock()
	if failed := err != nil; failed != s.failed {
		if s.failed = failed; failed {
			m.cfg.Log.Warn("the connections of clients cannot be listed: those that are missing are not woken when their address moves", "err", err)
		}
	}
	if err != nil && len(conns) == 0 {
		conns = s.table.Conns(netip.Addr{})
	}
	s.update(held, conns, time.Now(), m.cfg.Linger)
}

// update makes the state what was seen. Connections of an address that left stay for a while: the next holder may learn of the
// change before it has used them.
func (s *source) update(held []netip.Addr, conns []address.Conn, now time.Time, linger time.Duration) {
	news := false
	if !slices.Equal(held, s.held) {
		for _, a := range s.held {
			s.left[a] = now.Add(linger)
		}
		for _, a := range held {
			delete(s.left, a)
		}
		s.held, news = held, true
		s.version++
	}
	for a, until := range s.left {
		if now.After(until) {
			delete(s.left, a)
			continue
		}
		conns = append(conns, s.table.Conns(a)...)
	}
	if d, _ := s.table.Update(conns); !d.Empty() {
		s.last, news = d, true
	}
	if news {
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// progress is how much of the state a peer has.
type progress struct{ seq, version uint64 }

// since appends the frames that bring a peer to the state of now, and returns what is closed with the next change.
func (s *source) since(p *progress, frames []byte) ([]byte, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch p.seq {
	case s.table.Seq():
	case s.last.Base:
		frames = appendFrame(frames, kindDelta, s.last.Append)
	default:
		frames = appendFrame(frames, kindDelta, s.table.Whole().Append)
	}
	if p.version != s.version {
		frames = appendFrame(frames, kindHeld, s.appendHeld)
	}
	*p = progress{s.table.Seq(), s.version}
	return frames, s.changed
}

func (s *source) appendHeld(dst []byte) []byte { return appendHeld(dst, s.held) }

// share bounds the part of a processor that is spent on looking.
const share = 50

// arrivals is the time between looks for the sake of new connections, at least.
const arrivals = 10 * time.Millisecond

// run looks at the state again and again, and keeps a sender for each peer.
func (m *Mirror) run() {
	runtime.LockOSThread() // whose processor time is read; the thread ends with this goroutine
	senders := make(map[string]*sender)
	defer func() {
		for _, s := range senders {
			s.cancel()
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var looked, surveyed time.Time
	var cost time.Duration // of the last look; not how long it took: where others are busy, clients are the sooner lost
	for {
		poked := false
		select {
		case <-m.ctx.Done():
			return
		case <-m.arrived:
			timer.Reset(max(arrivals, share*cost) - time.Since(looked))
			continue
		case <-m.poke:
			poked = true
		case <-timer.C:
		}
		looked = time.Now()
		used := boottime.Thread()
		m.Look()
		cost = boottime.Thread() - used
		if poked || looked.Sub(surveyed) > time.Second {
			surveyed = looked
			m.survey(senders)
			m.prune()
		}
		timer.Reset(max(m.cfg.Interval, share*cost))
	}
}
