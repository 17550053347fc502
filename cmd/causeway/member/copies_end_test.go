package member

import (
	"context"
	"testing"
	"time"

	"causeway"
	"causeway/gateway/shadow"
	"causeway/lockmgr"
)

// managed is what clients hold as a manager of locks knows it.
type managed struct {
	state
	locks *lockmgr.Manager
}

func (m *managed) Held(ctx context.Context, v causeway.VolumeID, gateway string) ([]causeway.Held, error) {
	_, _ = m.state.Held(ctx, v, gateway)
	return m.locks.Held(v, gateway), nil
}

// accepting is a network of gateways that take every copy.
type accepting struct{ shadow.Network }

func (accepting) Keep(context.Context, string, *shadow.Batch) error { return nil }

// TestEndBesideALock: a volume is given up while a lock of another one waits for a copy to begin: neither waits for the other for ever.
func TestEndBesideALock(t *testing.T) {
	const given, kept = causeway.VolumeID(3), causeway.VolumeID(4)
	locks, err := lockmgr.New(lockmgr.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(locks.Close)
	s := &managed{locks: locks}
	c := newCopies(t, &s.state)
	c.split.engines.State, c.split.engines.Locks = s, locks
	chosen, choose := make(chan struct{}, 100), make(chan struct{})
	if c.sender, err = shadow.New(shadow.Config{Network: accepting{}, All: c.whole, Choose: func(causeway.VolumeID) []string {
		chosen <- struct{}{}
		<-choose
		return []string{"g2"}
	}}); err != nil {
		t.Fatal(err)
	}
	locks.Observe(func(changes []causeway.Held) { c.observe(context.Background(), changes) })
	lock := func(v causeway.VolumeID) causeway.Code {
		h := causeway.Handle{Volume: v, Object: causeway.ObjectID{1}}
		_, code := locks.Lock(h, causeway.Owner{Kind: causeway.OwnerNLM, Client: "c"}, lockmgr.Request{Span: causeway.Span{Length: 1}, Exclusive: true})
		return code
	}
	if code := lock(given); code != causeway.OK { // before there are copies
		t.Fatal(code)
	}
	c.begin(given, at(5))
	c.begin(kept, at(6))
	s.entered, s.leave = make(chan struct{}), make(chan struct{})
	locked, ended := make(chan causeway.Code, 1), make(chan error, 1)
	go func() { locked <- lock(kept) }()
	<-chosen // whoever has something to tell now waits for this lock
	go func() { ended <- c.end(context.Background(), given) }()
	<-s.entered // and whoever begins a copy waits for this end
	close(choose)
	go func() {
		close(s.leave)
		for range s.entered {
		}
	}()
	for range 2 {
		select {
		case code := <-locked:
			if code != causeway.OK {
				t.Error("the lock:", code)
			}
		case err := <-ended:
			if err != nil {
				t.Error("the end:", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the lock of one volume and the end of another one wait for each other")
		}
	}
	if n := len(locks.Held(given, "")); n != 0 {
		t.Errorf("%d locks are held in a volume that was given up", n)
	}
	if n := len(locks.Held(kept, "")); n != 1 {
		t.Errorf("%d locks are held in the other one", n)
	}
}
