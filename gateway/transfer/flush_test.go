package transfer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/faulty"
	"causeway/backend/mem"
	"causeway/gateway"
)

// flushing is an Engine whose storage fails or waits by rules, with a file. A delay is one of the test's time.
func flushing(t *testing.T) (*Engine, *faulty.Store, causeway.Handle) {
	t.Helper()
	s := faulty.New(mem.New(mem.Config{Mode: 0o777}), faulty.Config{Sleep: func(_ context.Context, d time.Duration) error {
		time.Sleep(d)
		return nil
	}})
	id, _, err := s.Create(t.Context(), s.Root(), "f", &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o666})
	if err != nil {
		t.Fatal(err)
	}
	e, _, _ := engine(t, &granting{}, Config{})
	e.Attach(2, s)
	return e, s, causeway.Handle{Volume: 2, Object: id}
}

type synced struct {
	gateway.SyncResult
	err error
}

func syncing(ctx context.Context, e *Engine, h causeway.Handle) <-chan synced {
	done := make(chan synced, 1)
	go func() {
		r, err := e.Sync(ctx, superuser, h, causeway.Span{})
		done <- synced{r, err}
	}()
	return done
}

func unstable(t *testing.T, e *Engine, h causeway.Handle) causeway.Verifier {
	t.Helper()
	r, err := e.Write(t.Context(), superuser, h, 0, []byte("data"), causeway.Unstable)
	if err != nil {
		t.Fatal(err)
	}
	return r.Verifier
}

// TestSyncBesideOneThatFails: storage tells one of two syncs that data was lost. Who asked by the other one finds another verifier.
func TestSyncBesideOneThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, s, h := flushing(t)
		before := unstable(t, e, h)
		s.SetRules(faulty.Rule{Op: faulty.OpSync, Times: 1, Delay: time.Minute, Code: causeway.ErrIO})
		first := syncing(t.Context(), e, h)
		synctest.Wait() // it has been told, and has told nobody yet
		second := syncing(t.Context(), e, h)
		if r := <-first; causeway.CodeOf(r.err) != causeway.ErrIO {
			t.Error("a sync that failed is told of", r.err)
		}
		if r := <-second; r.err == nil && r.Verifier == before {
			t.Error("success, under the verifier of data that was lost")
		}
	})
}

// TestStableWriteBesideSyncThatFails: a sync that runs when data is written may be told of its loss instead of the write's own.
func TestStableWriteBesideSyncThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, s, h := flushing(t)
		unstable(t, e, h)
		s.SetRules(faulty.Rule{Op: faulty.OpSync, Times: 1, Delay: time.Minute, Code: causeway.ErrIO})
		first := syncing(t.Context(), e, h)
		synctest.Wait()
		got := code(e.Write(t.Context(), superuser, h, 0, []byte("stable"), causeway.FileSync))
		if got != causeway.ErrDelay {
			t.Error("a write that may be lost is answered with", got)
		}
		if <-first; code(e.Write(t.Context(), superuser, h, 0, []byte("stable"), causeway.FileSync)) != causeway.OK {
			t.Error("it is not done when it is sent again")
		}
	})
}

// TestSyncsThatWaitShareOne: those that come while one runs cost one more, and whose maker gives up have another one make it.
func TestSyncsThatWaitShareOne(t *testing.T) {
	for name, test := range map[string]struct {
		leaves bool
		want   int
	}{"all stay": {false, 2}, "the first of them gives up": {true, 4}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, s, h := flushing(t)
				before := unstable(t, e, h)
				s.SetRules(faulty.Rule{Op: faulty.OpSync, Times: 1, Delay: time.Minute}, faulty.Rule{Op: faulty.OpSync, Times: 100, Delay: time.Second})
				if test.leaves {
					s.SetRules(faulty.Rule{Op: faulty.OpSync, Times: 1, Delay: time.Minute},
						faulty.Rule{Op: faulty.OpSync, Times: 1, Delay: time.Second, Code: causeway.ErrDelay}, faulty.Rule{Op: faulty.OpSync, Delay: time.Second})
				}
				list := []<-chan synced{syncing(t.Context(), e, h)}
				synctest.Wait()
				ctx, leave := context.WithCancel(t.Context())
				impatient := syncing(ctx, e, h)
				synctest.Wait()
				for range 8 {
					list = append(list, syncing(t.Context(), e, h))
				}
				synctest.Wait()
				if test.leaves {
					leave()
				}
				for i, done := range list {
					if r := <-done; r.err != nil || !test.leaves && r.Verifier != before {
						t.Error(i, r.err)
					}
				}
				if r := <-impatient; (r.err != nil) != test.leaves {
					t.Error("the first of those that waited:", r.err)
				}
				leave()
				if n := s.Fired(faulty.OpSync); n != test.want {
					t.Errorf("%d syncs, want %d", n, test.want)
				}
				if len(e.flushes.of) != 0 {
					t.Error("what ran is kept")
				}
			})
		})
	}
}
