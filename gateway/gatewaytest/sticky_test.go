package gatewaytest_test

import (
	"context"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
)

// late is a store that does something else before it takes a name away.
type late struct {
	backend.Store
	first func()
}

func (s *late) Remove(ctx context.Context, dir causeway.ObjectID, name string, isDir bool) error {
	s.before()
	return s.Store.Remove(ctx, dir, name, isDir)
}

func (s *late) Rename(ctx context.Context, from causeway.ObjectID, name string, to causeway.ObjectID, newName string) error {
	s.before()
	return s.Store.Rename(ctx, from, name, to, newName)
}

func (s *late) before() {
	if first := s.first; first != nil {
		s.first = nil
		first()
	}
}

// TestStickyRace: what was decided for one's own file in a sticky directory is not done to the file that another one puts in its
// place meanwhile.
func TestStickyRace(t *testing.T) {
	ctx, mallory, alice := context.Background(), gatewaytest.User(1001, 100), gatewaytest.User(1000, 100)
	create := func(f gatewaytest.Fixture, who *gateway.Caller, dir causeway.Handle, name string) (gateway.Entry, error) {
		spec := gateway.CreateSpec{Type: causeway.TypeRegular, How: gateway.Guarded, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o644}}
		e, _, err := f.Access.Create(ctx, who, dir, name, &spec)
		return e, err
	}
	for name, take := range map[string]func(f gatewaytest.Fixture, dir causeway.Handle) error{
		"remove": func(f gatewaytest.Fixture, dir causeway.Handle) error {
			_, err := f.Access.Remove(ctx, mallory, dir, "x", gateway.RemoveFile)
			return err
		},
		"rename": func(f gatewaytest.Fixture, dir causeway.Handle) error {
			_, _, err := f.Access.Rename(ctx, mallory, dir, "x", dir, "loot")
			return err
		},
		"replace": func(f gatewaytest.Fixture, dir causeway.Handle) error {
			_, _, err := f.Access.Rename(ctx, mallory, dir, "mine", dir, "x")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := &late{Store: mem.New(mem.Config{Mode: 0o1777})}
			f := engines(t, store, true)
			dir := root(t, f)
			for _, own := range []string{"x", "mine"} {
				if _, err := create(f, mallory, dir, own); err != nil {
					t.Fatal(err)
				}
			}
			swapped := beside(func() (gateway.Entry, error) {
				if _, err := f.Access.Remove(ctx, mallory, dir, "x", gateway.RemoveFile); err != nil {
					return gateway.Entry{}, err
				}
				return create(f, alice, dir, "x")
			})
			store.first = swapped.start
			if err := take(f, dir); err != nil {
				t.Error(err)
			}
			e, err := swapped.wait()
			if err != nil {
				return // it came later, and found nothing of mallory's to remove
			}
			if got, _, err := f.Access.Lookup(ctx, alice, dir, "x"); err != nil || got.Handle != e.Handle {
				t.Errorf("alice's file has been taken away: %v", err)
			}
		})
	}
}

// aside is a call that runs beside another one.
type aside struct {
	call func() (gateway.Entry, error)
	done chan struct{}
	e    gateway.Entry
	err  error
}

func beside(call func() (gateway.Entry, error)) *aside {
	return &aside{call: call, done: make(chan struct{})}
}

// start runs the call, and waits for it as long as it would take if nothing stopped it.
func (a *aside) start() {
	go func() {
		defer close(a.done)
		a.e, a.err = a.call()
	}()
	select {
	case <-a.done:
	case <-time.After(200 * time.Millisecond):
	}
}

func (a *aside) wait() (gateway.Entry, error) {
	<-a.done
	return a.e, a.err
}
