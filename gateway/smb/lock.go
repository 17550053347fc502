package smb

import (
	"math"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// lock is [MS-SMB2] 3.3.5.14: all of its ranges, or none.
func (m *message) lock() error {
	var r wire.LockRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	if err := m.find(r.File); err != nil {
		return err
	}
	if m.open.pipe != nil || m.open.dir {
		return ntstatus.InvalidParameter
	}
	if err := m.mayWait(); err != nil {
		return err
	}
	var err error
	if r.Locks[0].Flags&wire.LockUnlock != 0 {
		err = m.unlockAll(r.Locks)
	} else {
		err = m.lockAll(r.Locks)
	}
	if err != nil {
		return err
	}
	m.b = wire.AppendEmpty(m.b)
	return nil
}

func spanOf(e *wire.LockElement) (causeway.Span, error) {
	if e.Length > 0 && e.Offset > math.MaxUint64-(e.Length-1) {
		return causeway.Span{}, ntstatus.InvalidLockRange
	}
	return causeway.Span{Offset: e.Offset, Length: e.Length}, nil
}

func (m *message) unlockAll(list []wire.LockElement) error {
	for i := range list {
		if list[i].Flags != wire.LockUnlock {
			return ntstatus.InvalidParameter
		}
		s, err := spanOf(&list[i])
		if err == nil {
			err = m.conn.srv.cfg.Access.Unlock(m.conn.ctx, &m.caller, m.open.handle, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *message) lockAll(list []wire.LockElement) error {
	for i := range list {
		e := &list[i]
		exclusive := e.Flags&wire.LockExclusive != 0
		if kind := e.Flags &^ wire.LockFailNow; kind != wire.LockShared && kind != wire.LockExclusive || e.Flags&wire.LockFailNow == 0 && len(list) > 1 {
			return ntstatus.InvalidParameter
		}
		s, err := spanOf(e)
		if err == nil {
			m.open.locked.Store(true)
			_, err = m.conn.srv.cfg.Access.Lock(m.conn.ctx, &m.caller, m.open.handle, gateway.LockSpec{Span: s, Exclusive: exclusive})
		}
		if err == nil {
			continue
		}
		for j := range i {
			if done, err := spanOf(&list[j]); err == nil {
				m.conn.srv.cfg.Access.Unlock(m.conn.ctx, &m.caller, m.open.handle, done)
			}
		}
		if causeway.CodeOf(err) == causeway.ErrLocked {
			return ntstatus.LockNotGranted
		}
		return err
	}
	return nil
}
