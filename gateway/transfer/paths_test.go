package transfer

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/transfer/path"
)

// scripted is storage by a path: it fails with what is set, and counts.
type scripted struct {
	gateway.Transfer
	mu    sync.Mutex
	err   error
	calls int
	hangs chan struct{} // nil: it answers
}

// hang makes the storage answer when a channel is closed; nil: at once.
func (s *scripted) hang(until chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangs = until
}

// await returns when the storage answers.
func (s *scripted) await() {
	s.mu.Lock()
	hangs := s.hangs
	s.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
}

func (s *scripted) Write(context.Context, *gateway.Caller, causeway.Handle, uint64, []byte, causeway.Stability) (gateway.WriteResult, error) {
	s.await()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	return gateway.WriteResult{N: 1}, s.err
}

func (s *scripted) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// ways is a gateway with its own path and two others.
type ways struct {
	*Paths
	own, b, c scripted
	probe     scripted // err is what a probe finds
	lost      int
	told      []error
}

func newWays(t *testing.T) *ways {
	w := &ways{}
	var err error
	w.Paths, err = NewPaths(PathsConfig{
		Here: &w.own, Open: func(causeway.VolumeID) bool { return true },
		Via: func(node string) gateway.Transfer {
			if node == "b" {
				return &w.b
			}
			return &w.c
		},
		Else: func(causeway.VolumeID) []string { return []string{"b", "c"} },
		Test: func(context.Context, causeway.VolumeID) error {
			w.probe.await()
			w.probe.mu.Lock()
			defer w.probe.mu.Unlock()
			w.probe.calls++
			return w.probe.err
		},
		Lost: func(causeway.VolumeID) { w.lost++ }, Changed: func(_ causeway.VolumeID, err error) { w.told = append(w.told, err) },
		Now: func() time.Duration { return time.Duration(time.Now().UnixNano()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *ways) write() error {
	_, err := w.Write(context.Background(), &gateway.Caller{}, causeway.Handle{Volume: 1}, 0, []byte("x"), causeway.Unstable)
	return err
}

// TestErrorsOfPaths: which errors reach the client, which other paths are asked, and whose path is probed.
func TestErrorsOfPaths(t *testing.T) {
	eio := &causeway.Error{Op: "posix write", Code: causeway.ErrIO, Err: syscall.EIO}
	late := &causeway.Error{Op: "posix write", Code: causeway.ErrDelay, Err: syscall.ETIMEDOUT}
	for name, c := range map[string]struct {
		own, b, c, probe error
		want             causeway.Code
		asked            [3]int // own, b, c
		probed           bool
	}{
		"EIO of the path":         {own: eio, probe: eio, asked: [3]int{1, 1, 0}, probed: true},
		"EIO of one block":        {own: eio, b: causeway.ErrIO, c: causeway.ErrIO, want: causeway.ErrIO, asked: [3]int{1, 1, 1}, probed: true},
		"ENXIO":                   {own: causeway.ErrNXIO, b: causeway.ErrMoved, probe: eio, asked: [3]int{1, 1, 1}, probed: true},
		"ETIMEDOUT":               {own: late, probe: late, asked: [3]int{1, 1, 0}, probed: true},
		"ESTALE of a file":        {own: causeway.ErrStale, want: causeway.ErrStale, asked: [3]int{1, 0, 0}, probed: true},
		"ESTALE of the storage":   {own: causeway.ErrStale, probe: eio, asked: [3]int{1, 1, 0}, probed: true},
		"ENOSPC":                  {own: causeway.ErrNoSpc, want: causeway.ErrNoSpc, asked: [3]int{1, 0, 0}},
		"EDQUOT":                  {own: causeway.ErrDQuot, want: causeway.ErrDQuot, asked: [3]int{1, 0, 0}},
		"EROFS of this mount":     {own: causeway.ErrROFS, asked: [3]int{1, 1, 0}},
		"EROFS everywhere":        {own: causeway.ErrROFS, b: causeway.ErrROFS, c: causeway.ErrROFS, want: causeway.ErrROFS, asked: [3]int{1, 1, 1}},
		"nobody else is there":    {own: eio, b: ErrUnreached, c: ErrUnreached, want: causeway.ErrIO, asked: [3]int{1, 1, 1}, probed: true},
		"another one has no room": {own: eio, b: causeway.ErrNoSpc, probe: eio, want: causeway.ErrNoSpc, asked: [3]int{1, 1, 0}, probed: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWays(t)
				defer w.Close()
				w.own.err, w.b.err, w.c.err, w.probe.err = c.own, c.b, c.c, c.probe
				if err := w.write(); causeway.CodeOf(err) != c.want {
					t.Errorf("%v, not %v", err, c.want)
				}
				synctest.Wait()
				if got := [3]int{w.own.calls, w.b.calls, w.c.calls}; got != c.asked || w.probe.calls > 0 != c.probed {
					t.Errorf("asked %v, not %v; probed %d", got, c.asked, w.probe.calls)
				}
				if dead := !w.Reaches(1); dead != (c.probe != nil) || w.lost > 0 != dead || len(w.told) > 0 != dead {
					t.Error("dead", dead, "lost", w.lost, "told", w.told)
				}
			})
		})
	}
}

// TestDeadPath: nothing but probes uses a dead path, nobody waits for it, and all is as before when it is back.
func TestDeadPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWays(t)
		defer w.Close()
		w.own.fail(causeway.ErrIO)
		w.probe.fail(causeway.ErrIO)
		for range 10 {
			if err := w.write(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if w.own.calls != 1 || w.b.calls != 10 || w.lost != 1 {
			t.Error(w.own.calls, w.b.calls, w.lost)
		}
		c := &gateway.Caller{NoWait: true}
		if _, err := w.Write(t.Context(), c, causeway.Handle{Volume: 1}, 0, []byte("x"), causeway.Unstable); err != error(causeway.ErrWouldBlock) {
			t.Error(err)
		}
		w.b.fail(ErrUnreached)
		w.c.fail(causeway.ErrMoved)
		begun := time.Now()
		if err := w.write(); causeway.CodeOf(err) != causeway.ErrDelay || time.Since(begun) > time.Minute {
			t.Error("without any path:", err, time.Since(begun))
		}
		w.own.fail(nil)
		w.probe.fail(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if err := w.write(); err != nil || w.own.calls != 2 || !w.Reaches(1) || len(w.told) != 2 || w.told[1] != nil {
			t.Error(err, w.own.calls, w.told)
		}
		if s := w.Stats(); s.Dead != 0 || s.Died != 1 || s.Back != 1 || s.Away != 10 || s.Failed != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestStuckProbe: storage that hangs is dead, and no probe is begun beside one that hangs.
func TestStuckProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWays(t)
		defer w.Close()
		release, begun := make(chan struct{}), atomic.Int32{}
		w.cfg.Test = func(context.Context, causeway.VolumeID) error { begun.Add(1); <-release; return nil }
		w.own.fail(causeway.ErrIO)
		if err := w.write(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if w.Reaches(1) || begun.Load() != 1 {
			t.Error(w.Reaches(1), begun.Load())
		}
		w.own.fail(nil)
		close(release)
		time.Sleep(time.Minute)
		if !w.Reaches(1) {
			t.Error("not back")
		}
	})
}

// TestPinned: while a write may still come by another gateway, no other path writes the object; others it does not concern.
func TestPinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWays(t)
		defer w.Close()
		w.own.fail(causeway.ErrIO)
		over := false
		w.b.fail(&path.Unsettled{Err: errors.New("no answer"), Over: func() bool { return over }})
		if err := w.write(); causeway.CodeOf(err) != causeway.ErrDelay || w.c.calls != 0 {
			t.Error(err, w.c.calls)
		}
		w.own.fail(nil)
		own := w.own.calls
		if err := w.write(); causeway.CodeOf(err) != causeway.ErrDelay || w.own.calls != own {
			t.Error("by its own path, before the other one is over:", err)
		}
		if _, err := w.Write(t.Context(), &gateway.Caller{}, causeway.Handle{Volume: 2}, 0, []byte("x"), causeway.Unstable); err != nil {
			t.Error("another object:", err)
		}
		over = true
		if err := w.write(); err != nil || w.own.calls == own || w.Stats().Unsettled != 0 {
			t.Error(err)
		}
	})
}

// TestDoubt: errors of names are to be tried later while it is found out whether the path is dead, and are told when it is not.
func TestDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWays(t)
		defer w.Close()
		ask := func() causeway.Code { return causeway.CodeOf(w.Doubt(1, causeway.ErrIO)) }
		if ask() != causeway.ErrDelay {
			t.Error("told before it was probed")
		}
		synctest.Wait()
		if ask() != causeway.ErrIO {
			t.Error("one object's error is kept from the client")
		}
		w.probe.fail(causeway.ErrIO)
		time.Sleep(2 * believed)
		if ask() != causeway.ErrDelay {
			t.Error("believed for ever")
		}
		synctest.Wait()
		if ask() != causeway.ErrDelay || causeway.CodeOf(w.Doubt(1, causeway.ErrStale)) != causeway.ErrDelay || w.Reaches(1) {
			t.Error("a dead path's errors are told")
		}
		if causeway.CodeOf(w.Doubt(1, causeway.ErrNoEnt)) != causeway.ErrNoEnt || causeway.CodeOf(w.Doubt(2, causeway.ErrStale)) != causeway.ErrStale {
			t.Error("answers are doubted")
		}
		w.probe.fail(nil)
		for !w.Reaches(1) {
			time.Sleep(time.Second)
		}
		if ask() != causeway.ErrDelay {
			t.Error("a path that was dead a moment ago is believed")
		}
	})
}

// TestHangs: storage that does not answer at all is taken for dead if probes do not end either, and used again when it answers.
func TestHangs(t *testing.T) {
	for name, dead := range map[string]bool{"the path": true, "one call": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWays(t)
				defer w.Close()
				if err := w.write(); err != nil {
					t.Fatal(err)
				}
				answers := make(chan struct{})
				w.own.hang(answers)
				if dead {
					w.probe.hang(answers)
				}
				stuck := make(chan error, 1)
				go func() { stuck <- w.write() }()
				time.Sleep(10 * time.Second)
				if !w.Reaches(1) {
					t.Error("it is taken for dead at once")
				}
				time.Sleep(50 * time.Second)
				if w.Reaches(1) == dead {
					t.Errorf("reached: %v", w.Reaches(1))
				}
				if dead && (w.write() != nil || w.b.calls+w.c.calls != 1 || w.lost != 1 || len(w.told) != 1) {
					t.Errorf("asked are others %d and %d times, lost is what was written %d times, told are %v", w.b.calls, w.c.calls, w.lost, w.told)
				}
				w.own.hang(nil)
				w.probe.hang(nil)
				close(answers)
				if err := <-stuck; err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				if !w.Reaches(1) || w.write() != nil || w.own.calls != 3 {
					t.Errorf("it answers, and is asked %d times", w.own.calls)
				}
			})
		})
	}
}
