package smb

import (
	"context"
	"sync"
	"time"

	"causeway"
	"causeway/gateway"
)

// quiet is how long a client without opens asks nothing before its connection is one that nobody will miss.
const quiet = time.Second

// maxRecalls bounds the breaks that one Recall waits for at a time.
const maxRecalls = 64

// Recall has clients write back what they cache, and waits for that: the leases and oplocks of this server's opens that let them cache writes
// are broken, the rest they keep. No more are granted until Return. When ctx ends, what is not written back yet is not waited for any more.
func (s *Server) Recall(ctx context.Context) {
	s.leaving.Store(true)
	slots := make(chan struct{}, maxRecalls)
	var running sync.WaitGroup
	defer running.Wait()
	for _, h := range s.files.leasedHandles() {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		running.Go(func() {
			defer func() { <-slots }()
			s.recall(ctx, h)
		})
	}
}

// recall reads a byte that no file has on behalf of nobody: whoever caches writes has to write them back for that.
func (s *Server) recall(ctx context.Context, h causeway.Handle) {
	inside := s.cfg.Enter()
	defer inside.Leave()
	nobody := gateway.Caller{Owner: causeway.Owner{Kind: causeway.OwnerSMB, Client: "a gateway that drains"}}
	if err := s.cfg.Access.Admit(ctx, &nobody, h, causeway.Span{Offset: 1<<63 - 2, Length: 1}, false); err != nil {
		s.cfg.Logger.Debug("a lease is not returned", "op", "drain", "volume", h.Volume, "err", err)
	}
}

// leasedHandles are the files whose clients may cache something.
func (f *files) leasedHandles() (all []causeway.Handle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for h, opens := range f.byHandle {
		for _, o := range opens {
			if o.lease.Kind != 0 && !o.dir {
				all = append(all, h)
				break
			}
		}
	}
	return all
}

// Drain makes clients go elsewhere. Nobody logs on any more and nothing is cached unwritten; a connection is closed as soon as its client
// has nothing open and asks nothing for a second, and when ctx ends all of them are, the requests that run answered. Opens that were promised
// to outlive their connection do. Return ends it; connections that come meanwhile are the listener's affair.
func (s *Server) Drain(ctx context.Context) {
	s.Recall(ctx)
	seen := map[*conn]uint64{}
	tick := time.NewTicker(quiet)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		case <-ctx.Done():
			if s.leaving.Load() {
				s.closeConns(func(*conn) bool { return true })
			}
			return
		}
		left := s.closeConns(func(c *conn) bool {
			before, known := seen[c]
			seen[c] = c.window.lowest()
			return known && before == seen[c] && !c.hasOpens()
		})
		if left == 0 {
			return
		}
	}
}

// closeConns closes those connections that may go, and returns how many are left.
func (s *Server) closeConns(may func(*conn) bool) (left int) {
	s.mu.Lock()
	conns := s.connsLocked()
	s.mu.Unlock()
	for _, c := range conns {
		if may(c) {
			c.drain()
		} else {
			left++
		}
	}
	return left
}

// Return ends what Drain or Recall began: clients are welcome again.
func (s *Server) Return() { s.leaving.Store(false) }

// hasOpens reports whether a session of the connection has files open.
func (c *conn) hasOpens() bool {
	for _, ch := range c.channels() {
		ch.session.mu.Lock()
		n := len(ch.session.opens)
		ch.session.mu.Unlock()
		if n > 0 {
			return true
		}
	}
	return false
}

// lowest is the first id that was not used yet.
func (w *window) lowest() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.low
}
