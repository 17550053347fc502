package access

import (
	"context"
	"errors"
	"testing"

	"causeway"
	"causeway/gateway"
	"causeway/lockmgr"
)

type events chan gateway.Event

func (e events) Deliver(_ context.Context, ev gateway.Event) error {
	e <- ev
	return nil
}

func TestLocker(t *testing.T) {
	m, err := lockmgr.New(lockmgr.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	attrs := map[byte]causeway.Attr{
		1: {Type: causeway.TypeRegular, Mode: 0o640, UID: 10, GID: 20},
		2: {Type: causeway.TypeDirectory, Mode: 0o777, UID: 10},
	}
	l := newLocker(m, func(_ context.Context, _ *gateway.Caller, h causeway.Handle) (causeway.Attr, error) {
		if a, ok := attrs[h.Object[0]]; ok {
			return a, nil
		}
		return causeway.Attr{}, causeway.ErrStale
	})
	got := make(events, 1)
	l.Subscribe(causeway.OwnerNLM, got)
	ctx := context.Background()
	caller := func(uid, gid uint32) *gateway.Caller {
		return &gateway.Caller{
			Cred:  causeway.Cred{UID: uid, GID: gid},
			Owner: causeway.Owner{Kind: causeway.OwnerNLM, Client: "c", Opaque: string(rune(uid))},
		}
	}
	handle := func(n byte) causeway.Handle {
		return causeway.Handle{Volume: 1, Object: causeway.ObjectID{n}}
	}
	spec := gateway.LockSpec{Span: causeway.Span{Length: 5}, Exclusive: true}
	for _, c := range []struct {
		name   string
		caller *gateway.Caller
		handle causeway.Handle
		want   error
	}{
		{"others without rights", caller(11, 21), handle(1), causeway.ErrAccess},
		{"a directory", caller(10, 20), handle(2), causeway.ErrInval},
		{"nothing", caller(10, 20), handle(3), causeway.ErrStale},
		{"the owner", caller(10, 0), handle(1), nil},
		{"a reader of the group, conflict", caller(11, 20), handle(1), causeway.ErrLocked},
	} {
		if _, err := l.Lock(ctx, c.caller, c.handle, spec); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if by, err := l.TestLock(ctx, c.caller, c.handle, spec); !errors.Is(err, c.want) || (err == causeway.ErrLocked) != (by.Owner == caller(10, 0).Owner) {
			t.Errorf("%s: test: %v %v", c.name, by, err)
		}
	}
	spec.Wait = true
	if _, err := l.Lock(ctx, caller(11, 20), handle(1), spec); err != causeway.ErrBlocked {
		t.Fatal(err)
	}
	delete(attrs, 1) // the file is gone; what is held can be given back all the same
	if err := l.Unlock(ctx, caller(10, 0), handle(1), spec.Span); err != nil {
		t.Fatal(err)
	}
	if e := <-got; e.Kind != gateway.LockGranted || e.Lock.Owner != caller(11, 20).Owner {
		t.Fatal(e)
	}
	if err := l.Cancel(ctx, caller(11, 20), handle(1), spec); err != causeway.ErrNoEnt {
		t.Fatal(err)
	}
	if err := l.ReleaseClient(ctx, causeway.OwnerNLM, "c"); err != nil {
		t.Fatal(err)
	}
	if list, err := l.Locks(ctx); err != nil || len(list) != 0 {
		t.Fatal(list, err)
	}
}
