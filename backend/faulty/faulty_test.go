package faulty_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/backendtest"
	"causeway/backend/faulty"
	"causeway/backend/mem"
)

func TestConformanceWithoutRules(t *testing.T) {
	backendtest.Run(t, backendtest.Options{
		New:  func(t testing.TB) backend.Store { return faulty.New(mem.New(mem.Config{}), faulty.Config{}) },
		Caps: backendtest.Full,
	})
}

func TestConformanceVolatile(t *testing.T) {
	backendtest.Run(t, backendtest.Options{
		New: func(t testing.TB) backend.Store { return faulty.NewVolatile(mem.Config{}) },
		Reopen: func(t testing.TB, s backend.Store) backend.Store {
			if err := s.(*faulty.Volatile).Crash(faulty.Keep{}); err != nil {
				t.Fatal(err)
			}
			return s
		},
		Caps: backendtest.Full,
	})
}

var ctx = context.Background()

func create(t *testing.T, s backend.Store, dir causeway.ObjectID, name string, typ causeway.FileType) causeway.ObjectID {
	t.Helper()
	id, _, err := s.Create(ctx, dir, name, &backend.CreateSpec{Type: typ, Mode: 0o755})
	if err != nil {
		t.Fatalf("create %q: %v", name, err)
	}
	return id
}

func TestRules(t *testing.T) {
	s := faulty.New(mem.New(mem.Config{}), faulty.Config{})
	f := create(t, s, s.Root(), "f", causeway.TypeRegular)
	g := create(t, s, s.Root(), "g", causeway.TypeRegular)
	stat := func(id causeway.ObjectID) causeway.Code {
		_, err := s.Stat(ctx, id)
		return causeway.CodeOf(err)
	}
	s.SetRules(faulty.Rule{Op: faulty.OpStat, Object: f, Skip: 1, Times: 2, Code: causeway.ErrIO})
	var got []causeway.Code
	for range 5 {
		got = append(got, stat(f))
		if stat(g) != causeway.OK {
			t.Error("a rule took the call of another object")
		}
	}
	for i, want := range []causeway.Code{causeway.OK, causeway.ErrIO, causeway.ErrIO, causeway.OK, causeway.OK} {
		if got[i] != want {
			t.Errorf("call %d: %v, want %v", i, got[i], want)
		}
	}
	if n := s.Fired(faulty.OpStat); n != 2 {
		t.Errorf("%d calls were taken, want 2", n)
	}
}

func TestAfter(t *testing.T) {
	s := faulty.New(mem.New(mem.Config{}), faulty.Config{Rules: []faulty.Rule{
		{Op: faulty.OpRemove, Times: 1, Code: causeway.ErrIO},
		{Op: faulty.OpRemove, Times: 1, Code: causeway.ErrDelay, After: true}}})
	create(t, s, s.Root(), "f", causeway.TypeRegular)
	for i, want := range []causeway.Code{causeway.ErrIO, causeway.ErrDelay, causeway.ErrNoEnt} {
		if err := s.Remove(ctx, s.Root(), "f", false); err != error(want) {
			t.Errorf("remove %d: %v, want %v", i, err, want)
		}
	}
}

func TestProbability(t *testing.T) {
	run := func(seed uint64) (failed string) {
		s := faulty.New(mem.New(mem.Config{}), faulty.Config{Seed: seed, Rules: []faulty.Rule{{Probability: 0.3, Code: causeway.ErrIO}}})
		for range 300 {
			if _, err := s.StatFS(ctx); err != nil {
				failed += "x"
			} else {
				failed += "."
			}
		}
		return failed
	}
	a, b, c := run(1), run(1), run(2)
	n := 0
	for i := range a {
		if a[i] == 'x' {
			n++
		}
	}
	if a != b || a == c || n < 50 || n > 150 {
		t.Errorf("%d of 300 failed; same seed equal: %v, other seed equal: %v", n, a == b, a == c)
	}
}

func TestDelay(t *testing.T) {
	var slept time.Duration
	stop := errors.New("interrupted")
	s := faulty.New(mem.New(mem.Config{}), faulty.Config{
		Sleep: func(ctx context.Context, d time.Duration) error {
			if slept += d; slept > time.Hour {
				return stop
			}
			return nil
		},
		Rules: []faulty.Rule{{Op: faulty.OpCreate, Delay: 40 * time.Minute}}})
	create(t, s, s.Root(), "f", causeway.TypeRegular)
	_, _, err := s.Create(ctx, s.Root(), "g", &backend.CreateSpec{Type: causeway.TypeRegular})
	if err != stop || slept != 80*time.Minute {
		t.Errorf("slept %v, error %v", slept, err)
	}
	if _, _, err := s.Lookup(ctx, s.Root(), "g"); err != error(causeway.ErrNoEnt) {
		t.Errorf("a call that was interrupted was carried out: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	s = faulty.New(mem.New(mem.Config{}), faulty.Config{Rules: []faulty.Rule{{Delay: time.Hour}}})
	if _, err := s.StatFS(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting without a caller ends with %v", err)
	}
}

func TestNoWaitReadMeetsRules(t *testing.T) {
	s := faulty.New(mem.New(mem.Config{}), faulty.Config{})
	f := create(t, s, s.Root(), "f", causeway.TypeRegular)
	o, err := s.Open(ctx, f, causeway.IORead, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	r := o.(backend.NoWaitReader)
	if _, err := r.ReadAtNoWait(nil, 0); err != nil {
		t.Error(err)
	}
	s.SetRules(faulty.Rule{Op: faulty.OpReadAt, Code: causeway.ErrIO})
	if _, err := r.ReadAtNoWait(nil, 0); err != error(causeway.ErrWouldBlock) {
		t.Errorf("a read that must fail does not wait: %v", err)
	}
	if _, err := o.ReadAt(ctx, nil, 0); err != error(causeway.ErrIO) {
		t.Error(err)
	}
}
