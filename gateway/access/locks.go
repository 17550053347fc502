package access

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/lockmgr"
)

// locker is the part of the engine about byte-range locks: it decides who may lock, the lock manager decides what can be
// locked.
type locker struct {
	locks *lockmgr.Manager
	attr  func(context.Context, *gateway.Caller, causeway.Handle) (causeway.Attr, error)
}

var _ gateway.Locker = (*locker)(nil)

// newLocker returns a locker on m, or on a manager of its own if m is nil; attr reads the attributes of an object for the
// question who may lock it.
func newLocker(m *lockmgr.Manager, attr func(context.Context, *gateway.Caller, causeway.Handle) (causeway.Attr, error)) *locker {
	if m == nil {
		m, _ = lockmgr.New(lockmgr.Config{}) // defaults are valid
	}
	return &locker{m, attr}
}

// mayLock refuses what is not a regular file (ErrInval), and callers who could not have opened the file. NLM does not say how
// it was opened, so any right to its data is enough.
func (l *locker) mayLock(ctx context.Context, c *gateway.Caller, h causeway.Handle) error {
	a, err := l.attr(ctx, c, h)
	switch {
	case err != nil:
		return err
	case a.Type != causeway.TypeRegular:
		return causeway.ErrInval
	case c.Open != causeway.OpenID{}: // rights were decided when it was opened
		return nil
	case causeway.PermitOwner(&c.Cred, &a, causeway.MayRead|causeway.MayWrite) == 0:
		return causeway.ErrAccess
	}
	return nil
}

// Lock implements gateway.Locker. A reclaim is not asked for rights: they were when the lock was taken first, and may have
// been taken away since.
func (l *locker) Lock(ctx context.Context, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) (gateway.Lock, error) {
	if !s.Reclaim {
		if err := l.mayLock(ctx, c, h); err != nil {
			return gateway.Lock{}, err
		}
	}
	if err := l.locks.Break(ctx, h, byOf(c), lockmgr.OpLock, c.NoWait); err != nil {
		return gateway.Lock{}, err
	}
	by, code := l.locks.LockFrom(c.Gateway, h, c.Owner, lockmgr.Request(s))
	return gateway.Lock(by), errorOf(code)
}

// Unlock implements gateway.Locker. Whoever holds a lock may give it back, whatever became of his rights and of the file.
func (l *locker) Unlock(_ context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) error {
	return errorOf(l.locks.Unlock(h, c.Owner, s))
}

// TestLock implements gateway.Locker.
func (l *locker) TestLock(ctx context.Context, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) (gateway.Lock, error) {
	if err := l.mayLock(ctx, c, h); err != nil {
		return gateway.Lock{}, err
	}
	by, code := l.locks.Test(h, c.Owner, lockmgr.Request(s))
	return gateway.Lock(by), errorOf(code)
}

// Cancel implements gateway.Locker.
func (l *locker) Cancel(_ context.Context, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) error {
	return errorOf(l.locks.Cancel(h, c.Owner, lockmgr.Request(s)))
}

// ReleaseClient implements gateway.Locker.
func (l *locker) ReleaseClient(_ context.Context, kind causeway.OwnerKind, client string) error {
	l.locks.ReleaseClient(lockmgr.Client{Kind: kind, Name: client})
	return nil
}

// ReleaseVia implements gateway.Locker.
func (l *locker) ReleaseVia(_ context.Context, kind causeway.OwnerKind, client, gateway string) error {
	l.locks.ReleaseVia(lockmgr.Client{Kind: kind, Name: client}, gateway)
	return nil
}

// Locks implements gateway.Locker.
func (l *locker) Locks(context.Context) ([]gateway.Lock, error) {
	held := l.locks.Locks()
	list := make([]gateway.Lock, len(held))
	for i, h := range held {
		list[i] = gateway.Lock(h)
	}
	return list, nil
}

func errorOf(c causeway.Code) error {
	if c == causeway.OK {
		return nil
	}
	return c
}
