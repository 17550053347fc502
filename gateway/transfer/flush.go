package transfer

import (
	"context"
	"sync"

	"causeway"
)

// flushes has the syncs of one object made one after the other; those that arrive while one runs share the next, which begins after they
// came. So none begins before one that failed has changed the verifier. Beside each other, one could be told of success in between:
// storage tells of what it lost once, and not necessarily who waits for it.
type flushes struct {
	mu sync.Mutex
	of map[causeway.Handle]*turns // where one runs or waits
}

// turns are the sync of an object that runs, and the one that comes next.
type turns struct{ running, next *flush }

// flush is one sync and who waits for it.
type flush struct {
	done chan struct{}
	by   *object // under one grant: another one's storage may know of other failures
	full bool    // with what is not needed to read the data back
	err  error
	left bool // who made it did not wait for the end: that says nothing to the others
}

// sync makes earlier writes stable, and changes the volume's verifier when they may be lost instead: clients send again what
// they hold, whoever's write it was.
func (o *object) sync(ctx context.Context, dataOnly bool) error {
	s := &o.engine.flushes
	for {
		f, before, leads := s.join(o, !dataOnly)
		if leads {
			return o.lead(ctx, f, before)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if f.by == o && !f.left {
			return f.err
		}
	}
}

// syncStable is sync after a write that is to be stable and that came when the verifier was this one. Since then another sync may have
// been told of its loss: its client writes again.
func (o *object) syncStable(ctx context.Context, dataOnly bool, came causeway.Verifier) error {
	err := o.sync(ctx, dataOnly)
	if err == nil && o.vol.verifier.get() != came {
		return causeway.ErrDelay
	}
	return err
}

// join returns the sync that begins after now, or one to wait for in front of it. leads: the caller makes it, after the one before, if
// there is one.
func (s *flushes) join(o *object, full bool) (f, before *flush, leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.of[o.handle]
	if t == nil {
		t = &turns{}
		s.of[o.handle] = t
	}
	if f = t.next; f != nil {
		f.full = f.full || full && f.by == o
		return f, nil, false
	}
	f = &flush{done: make(chan struct{}), by: o, full: full}
	if before = t.running; before == nil {
		t.running = f
	} else {
		t.next = f
	}
	return f, before, true
}

// lead makes a sync in its turn.
func (o *object) lead(ctx context.Context, f, before *flush) error {
	s := &o.engine.flushes
	if before != nil {
		<-before.done
		s.begin(o.handle)
	}
	defer func() {
		if f.err != nil {
			o.vol.verifier.bump()
			f.left = ctx.Err() != nil
		}
		s.end(o.handle, f)
	}()
	f.err = causeway.ErrServerFault // if the storage panics
	f.err = o.store.Sync(ctx, !f.full)
	return f.err
}

// begin makes the next sync the one that runs: nobody joins it any more.
func (s *flushes) begin(h causeway.Handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.of[h]
	t.running, t.next = t.next, nil
}

func (s *flushes) end(h causeway.Handle, f *flush) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.of[h]
	if t.running = nil; t.next == nil {
		delete(s.of, h)
	}
	close(f.done)
}
