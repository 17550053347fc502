package transfer

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/gateway"
)

// granting gives every grant that is asked for, as an owner in whose table nobody is in the way.
type granting struct {
	gateway.Layouts
	lease    func(*causeway.Grant)
	mu       sync.Mutex
	seq      uint64
	asked    int
	returned []gateway.Held
	err      error
}

func (g *granting) Grant(_ context.Context, s *gateway.GrantSpec) (r gateway.GrantReply, err error) {
	if g.asked++; g.err != nil {
		return r, g.err
	}
	g.seq++
	r.Handle, r.Mode, r.Span, r.Seq, r.Epoch = s.Handle, s.Mode, whole, g.seq, causeway.Epoch{Revision: 1}
	if g.lease != nil {
		g.lease(&r.Grant)
	}
	return r, nil
}

func (g *granting) Return(_ context.Context, _ string, _ causeway.Epoch, h gateway.Held, _ *gateway.Commit) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.returned = append(g.returned, h)
	return nil
}

func (g *granting) Renew(_ context.Context, _ string, _ causeway.Epoch, held []gateway.Held) ([]gateway.Held, error) {
	return held, nil // nothing is lengthened
}

// doored is a store in which writes wait at a door.
type doored struct {
	backend.Store
	shut    chan struct{} // nil: it stands open
	waiting chan struct{}
}

type dooredObject struct {
	backend.Object
	s *doored
}

func (s *doored) Open(ctx context.Context, id causeway.ObjectID, m causeway.IOMode, l causeway.Locator) (backend.Object, error) {
	o, err := s.Store.Open(ctx, id, m, l)
	return &dooredObject{o, s}, err
}

func (o *dooredObject) WriteAt(ctx context.Context, p []byte, off uint64) (int, error) {
	if shut := o.s.shut; shut != nil {
		o.s.waiting <- struct{}{}
		<-shut
	}
	return o.Object.WriteAt(ctx, p, off)
}

var superuser = &gateway.Caller{Cred: causeway.Cred{}}

// engine is an Engine with a file, whose grants come from g.
func engine(t *testing.T, g *granting, cfg Config) (*Engine, *doored, causeway.Handle) {
	t.Helper()
	s := &doored{Store: mem.New(mem.Config{Mode: 0o777}), waiting: make(chan struct{}, 16)}
	id, _, err := s.Create(t.Context(), s.Root(), "f", &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o666})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Grants, cfg.Node = g, "here"
	e := New(cfg)
	e.Attach(1, s)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, s, causeway.Handle{Volume: 1, Object: id}
}

// recalled runs a recall beside the test, and tells when it is answered.
func recalled(e *Engine, r *gateway.Recall) <-chan error {
	done := make(chan error, 1)
	r.Epoch = causeway.Epoch{Revision: 1}
	go func() {
		_, err := e.Recall(context.Background(), r)
		done <- err
	}()
	return done
}

func answered(done <-chan error) bool {
	synctest.Wait()
	return len(done) > 0
}

// TestRecallWaits: a recall is answered when nothing runs any more under what it recalls, also one that follows another, or comes when
// the object has left the cache in another way.
func TestRecallWaits(t *testing.T) {
	for name, before := range map[string]func(t *testing.T, e *Engine, h causeway.Handle){
		"alone": func(*testing.T, *Engine, causeway.Handle) {},
		"after one for less": func(_ *testing.T, e *Engine, h causeway.Handle) {
			recalled(e, &gateway.Recall{Handle: h, Seq: 9, Mode: causeway.IORead})
		},
		"after one that nobody waits for any more": func(t *testing.T, e *Engine, h causeway.Handle) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := e.Recall(ctx, &gateway.Recall{Handle: h, Seq: 9, Epoch: causeway.Epoch{Revision: 1}}); err == nil {
				t.Error("answered while a write runs")
			}
		},
		"after new settings": func(_ *testing.T, e *Engine, h causeway.Handle) { e.Regrant(h.Volume) },
		"of a later grant": func(t *testing.T, e *Engine, h causeway.Handle) {
			o, err := e.acquire(t.Context(), false, h, causeway.IORead, whole)
			if err != nil {
				t.Fatal(err)
			}
			o.Release()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, s, h := engine(t, &granting{}, Config{})
				s.shut = make(chan struct{})
				wrote := make(chan error, 1)
				go func() {
					_, err := e.Write(context.Background(), superuser, h, 0, []byte("late"), causeway.Unstable)
					wrote <- err
				}()
				<-s.waiting
				before(t, e, h)
				synctest.Wait()
				first, second := recalled(e, &gateway.Recall{Handle: h, Seq: 10}), recalled(e, &gateway.Recall{Handle: h, Seq: 11})
				if answered(first) || answered(second) {
					t.Error("answered while a write runs")
				}
				close(s.shut)
				if !answered(first) || !answered(second) {
					t.Fatal("never answered")
				}
				if err := <-wrote; err != nil {
					t.Error(err)
				}
				if left := e.cache.leftOf(1); len(left) > 0 {
					t.Error("what nobody uses is kept:", len(left))
				}
			})
		})
	}
}

// TestRecallDoesNotWaitForSenders: what was read is not waited for until it is sent, also under an earlier grant.
func TestRecallDoesNotWaitForSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _, h := engine(t, &granting{}, Config{})
		o, err := e.acquire(t.Context(), false, h, causeway.IORead, whole)
		if err != nil {
			t.Fatal(err)
		}
		o.lent.Add(1) // as ReadRange does
		later, err := e.acquire(t.Context(), false, h, causeway.IOReadWrite, whole)
		if err != nil {
			t.Fatal(err)
		}
		later.Release()
		if !answered(recalled(e, &gateway.Recall{Handle: h, Seq: 10})) {
			t.Error("a recall waits for a client's window")
		}
		(*lentObject)(o).Release()
		if o.refs.Load() != 0 || later.refs.Load() != 0 {
			t.Error("somebody is still counted:", o.refs.Load(), later.refs.Load())
		}
	})
}
