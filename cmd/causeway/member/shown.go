package member

import (
	"context"
	"sync"
)

// shown knows up to which revision of the records this gateway's clients see them.
type shown struct {
	mu       sync.Mutex
	revision int64
	advance  chan struct{} // closed when revision rises; nil: nobody waits
}

func (s *shown) reach(revision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if revision <= s.revision {
		return
	}
	s.revision = revision
	if s.advance != nil {
		close(s.advance)
		s.advance = nil
	}
}

// await returns when a revision is reached.
func (s *shown) await(ctx context.Context, revision int64) error {
	for {
		s.mu.Lock()
		if s.revision >= revision {
			s.mu.Unlock()
			return nil
		}
		if s.advance == nil {
			s.advance = make(chan struct{})
		}
		wait := s.advance
		s.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
