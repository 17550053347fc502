package lockmgr

import (
	"context"

	"causeway"
	"causeway/lockmgr/table"
)

// LeaseState is the state of a lease; its fields are those of gateway.LeaseState.
type LeaseState = table.LeaseState

// OpenRequest is an open that is asked for. Held.Open is chosen if it is zero, and Held.Owner's Opaque with it for SMB.
type OpenRequest = table.OpenRequest

// LeaseRequest is the caching that comes with an open; its fields are those of gateway.LeaseSpec.
type LeaseRequest = table.LeaseRequest

// By is who does something that leases of others may conflict with.
type By = table.By

// Op is something that is done to an object beside opening it.
type Op = table.Op

// The operations.
const (
	OpRead    = table.OpRead
	OpWrite   = table.OpWrite
	OpLock    = table.OpLock
	OpName    = table.OpName
	OpEntries = table.OpEntries
)

// await tries until the answer is not ErrBlocked. A try that answers it has put a claim on the object.
func (m *Manager) await(ctx context.Context, h causeway.Handle, try func(claim uint64) causeway.Code) error {
	claim := m.claims.Add(1)
	for {
		var code causeway.Code
		var gate chan struct{}
		m.step(func() {
			if code = try(claim); code != causeway.ErrBlocked {
				m.table.Unclaim(h, claim)
			} else if gate = m.gates[h]; gate == nil {
				gate = make(chan struct{})
				m.gates[h] = gate
			}
		})
		if code == causeway.OK {
			return nil
		} else if gate == nil {
			return code
		}
		select {
		case <-gate:
		case <-ctx.Done():
			m.step(func() { m.table.Unclaim(h, claim) })
			return ctx.Err()
		}
	}
}

// Open opens, and waits until leases that conflict have given way, or their holders' time is over. With r.Peek it fails with
// ErrWouldBlock instead. Other errors are those of [table.Table.Open] and ctx's.
func (m *Manager) Open(ctx context.Context, r OpenRequest) (h causeway.Held, l LeaseState, err error) {
	if r.Held.Open == (causeway.OpenID{}) {
		r.Held.Open = m.ids.next()
		if r.Held.Owner.Kind == causeway.OwnerSMB {
			r.Held.Owner.Opaque = string(r.Held.Open[:])
		}
	}
	err = m.await(ctx, r.Held.Handle, func(claim uint64) (code causeway.Code) {
		r.Claim = claim
		h, l, code = m.table.Open(&r)
		return code
	})
	return h, l, err
}

// Upgrade gives the open r.Held.Open more access and lets it share less, and waits like Open.
func (m *Manager) Upgrade(ctx context.Context, r OpenRequest) (h causeway.Held, l LeaseState, err error) {
	err = m.await(ctx, r.Held.Handle, func(claim uint64) (code causeway.Code) {
		r.Claim = claim
		h, l, code = m.table.Upgrade(&r)
		return code
	})
	return h, l, err
}

// Break breaks the leases that an operation conflicts with, and waits for those that hold what it needs. With noWait it
// fails with ErrWouldBlock before it breaks any. Where there are no leases it costs one atomic load.
func (m *Manager) Break(ctx context.Context, h causeway.Handle, by By, op Op, noWait bool) error {
	if !m.guards.any(h) {
		return nil
	}
	return m.await(ctx, h, func(claim uint64) causeway.Code {
		return m.breakLocked(h, by, op, noWait, claim)
	})
}

func (m *Manager) breakLocked(h causeway.Handle, by By, op Op, noWait bool, claim uint64) causeway.Code {
	if breaks, waits := m.table.Conflicts(h, by, op); !breaks {
		return causeway.OK
	} else if waits && noWait {
		return causeway.ErrWouldBlock
	}
	if m.table.Break(h, by, op) {
		m.table.Claim(h, claim, op)
		return causeway.ErrBlocked
	}
	return causeway.OK
}

// Admit says whether I/O may proceed, and breaks what conflicts with it, like Break. ErrLocked if a lock of an SMB open forbids it:
// for other callers only if locks are mandatory for them too. Where there are neither leases nor such locks it costs one
// atomic load.
func (m *Manager) Admit(ctx context.Context, h causeway.Handle, by By, s causeway.Span, write, mandatory, noWait bool) error {
	if by.Owner.Kind != causeway.OwnerSMB && !m.guards.any(h) {
		return nil
	}
	op := OpRead
	if write {
		op = OpWrite
	}
	return m.await(ctx, h, func(claim uint64) causeway.Code {
		if _, code := m.table.CheckIO(h, by.Owner, s, write, mandatory); code != causeway.OK {
			return code
		}
		return m.breakLocked(h, by, op, noWait, claim)
	})
}

// Deny returns the ranges of an object that locks of SMB opens deny to writers, or to readers, and whether I/O on it has to ask
// Admit.
func (m *Manager) Deny(h causeway.Handle, write bool) (ranges []causeway.Span, guarded bool) {
	if !m.guards.any(h) {
		return nil, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.Deny(h, write), m.table.Guarded(h)
}

// CloseOpen ends an open. removed: its name went with it.
func (m *Manager) CloseOpen(h causeway.Handle, id causeway.OpenID) (removed bool, code causeway.Code) {
	removed = m.step(func() { code = m.table.Close(h, id) })
	return removed, code
}

// Disconnect keeps an open without its client, or closes it.
func (m *Manager) Disconnect(h causeway.Handle, id causeway.OpenID) (kept bool, code causeway.Code) {
	m.step(func() { kept, code = m.table.Disconnect(h, id) })
	return kept, code
}

// Renew connects a disconnected open again, see [table.Table.Renew].
func (m *Manager) Renew(h causeway.Held) (renewed causeway.Held, l LeaseState, code causeway.Code) {
	m.step(func() { renewed, l, code = m.table.Renew(&table.RenewRequest{Held: h}) })
	return renewed, l, code
}

// Downgrade takes access from an open and lets it share more.
func (m *Manager) Downgrade(h causeway.Handle, id causeway.OpenID, access causeway.AccessMask, share causeway.Sharing) (code causeway.Code) {
	m.step(func() { code = m.table.Downgrade(h, id, access, share) })
	return code
}

// SetDelete dooms the name under which an object was opened, or spares it.
func (m *Manager) SetDelete(h causeway.Handle, id causeway.OpenID, on bool) (code causeway.Code) {
	m.step(func() { code = m.table.SetDelete(h, id, on) })
	return code
}

// Renamed tells that a name became another one.
func (m *Manager) Renamed(h, fromDir causeway.Handle, from string, toDir causeway.Handle, to string) {
	if m.opens.Load() == 0 {
		return
	}
	m.step(func() { m.table.Renamed(h, fromDir, from, toDir, to) })
}

// Acknowledge answers a break, see [table.Table.Acknowledge].
func (m *Manager) Acknowledge(h causeway.Handle, id causeway.LeaseID, c causeway.Caching) (l LeaseState, code causeway.Code) {
	m.step(func() { l, code = m.table.Acknowledge(h, id, c) })
	return l, code
}

// OnRemove registers who removes the name of an object that was to go with its last open; he answers whether he did. It is
// called before the first request.
func (m *Manager) OnRemove(remove func(causeway.Held) bool) { m.remove = remove }

// OnGuarded registers who is told, before the answer that it belongs to, that I/O on an object has to ask Admit from now on. It is
// called before the first request.
func (m *Manager) OnGuarded(guarded func(causeway.Handle)) { m.guarded = guarded }

// OpenOf returns what is known of an open; ErrBadOpen if there is none.
func (m *Manager) OpenOf(h causeway.Handle, id causeway.OpenID) (causeway.Held, LeaseState, causeway.Code) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.OpenOf(h, id)
}

// OpensOn counts the opens of an object.
func (m *Manager) OpensOn(h causeway.Handle) int {
	if m.opens.Load() == 0 {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.OpensOn(h)
}

// Refuses reports whether an open stands against somebody who would open the object with this access and share mode. Where there are
// no opens it costs one atomic load.
func (m *Manager) Refuses(h causeway.Handle, access causeway.AccessMask, share causeway.Sharing) bool {
	if m.opens.Load() == 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.Refuses(h, access, share)
}

// OpenDirs returns the directories in which something is open by name.
func (m *Manager) OpenDirs(v causeway.VolumeID) []causeway.Handle {
	if m.opens.Load() == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.OpenDirs(v)
}

// NameOf returns a name under which an object is open.
func (m *Manager) NameOf(h causeway.Handle) (dir causeway.Handle, name string, ok bool) {
	if m.opens.Load() == 0 {
		return dir, "", false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.NameOf(h)
}
