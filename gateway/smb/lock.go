package smb

import (
	"math"
	"slices"

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
	if m.repeats(r.Sequence) {
		m.b = wire.AppendEmpty(m.b)
		return nil
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
	m.done(r.Sequence)
	m.b = wire.AppendEmpty(m.b)
	return nil
}

// lockSequences are the numbers of the lock requests that have succeeded, plus one, by bucket ([MS-SMB2] 3.3.1.10,
// Open.LockSequenceArray): a client that has lost a reply repeats its request with the same one.
type lockSequences [64]uint8

// bucket returns where the sequence of a request is kept, nil if it is not checked.
func (m *message) bucket(sequence uint32) *uint8 {
	n := sequence >> 4
	if n == 0 || n > uint32(len(lockSequences{})) || m.conn.negotiated.dialect < wire.Dialect300 {
		return nil
	}
	if m.open.sequences == nil {
		m.open.sequences = new(lockSequences)
	}
	return &m.open.sequences[n-1]
}

// repeats reports whether the request has succeeded before. If it has not, what its bucket held counts no longer.
func (m *message) repeats(sequence uint32) bool {
	m.open.mu.Lock()
	defer m.open.mu.Unlock()
	b := m.bucket(sequence)
	if b == nil {
		return false
	}
	if *b == uint8(sequence&15)+1 {
		return true
	}
	*b = 0
	return false
}

func (m *message) done(sequence uint32) {
	m.open.mu.Lock()
	defer m.open.mu.Unlock()
	if b := m.bucket(sequence); b != nil {
		*b = uint8(sequence&15) + 1
	}
}

func spanOf(e *wire.LockElement) (causeway.Span, error) {
	if e.Length > 0 && e.Offset > math.MaxUint64-(e.Length-1) {
		return causeway.Span{}, ntstatus.InvalidLockRange
	}
	if e.Offset == math.MaxUint64 && e.Length == 1 {
		e.Offset-- // spans end below 2^64: the last two bytes, which no file has, are one
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
		if causeway.CodeOf(err) == causeway.ErrNoEnt {
			return ntstatus.RangeNotLocked
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lockAll takes ranges one after another. A single one may wait for others to go.
func (m *message) lockAll(list []wire.LockElement) error {
	for i := range list {
		spec, err := lockSpec(&list[i], len(list))
		if err == nil {
			_, err = m.conn.srv.cfg.Access.Lock(m.conn.ctx, &m.caller, m.open.handle, spec)
		}
		switch {
		case err == nil:
			continue
		case causeway.CodeOf(err) == causeway.ErrBlocked:
			return m.awaitLock(spec)
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

func lockSpec(e *wire.LockElement, of int) (spec gateway.LockSpec, err error) {
	wait := e.Flags&wire.LockFailNow == 0
	kind := e.Flags &^ wire.LockFailNow
	if kind != wire.LockShared && kind != wire.LockExclusive || wait && of > 1 {
		return spec, ntstatus.InvalidParameter
	}
	spec.Span, err = spanOf(e)
	spec.Exclusive, spec.Wait = kind == wire.LockExclusive, wait
	return spec, err
}

// awaitLock waits for a lock that was queued. It may have been granted already: the event then finds nobody, so it is
// remembered for him.
func (m *message) awaitLock(spec gateway.LockSpec) error {
	o, caller := m.open, m.caller
	takeBack := func(waits bool) {
		access, ctx := o.session.srv.cfg.Access, o.session.srv.ctx
		if access.Cancel(ctx, &caller, o.handle, spec) != nil {
			if waits {
				o.unwanted(spec.Span)
			}
			access.Unlock(ctx, &caller, o.handle, spec.Span) // granted meanwhile: nobody knows of it
		}
	}
	o.mu.Lock()
	p, err := m.suspend(func() { takeBack(o.forgetLock(spec.Span)) })
	if err != nil {
		o.mu.Unlock()
		takeBack(true)
		return err
	}
	defer o.mu.Unlock()
	o.lockWaits = append(o.lockWaits, lockWait{spec.Span, p})
	if o.grantedEarly(spec.Span) {
		o.lockWaits = o.lockWaits[:len(o.lockWaits)-1]
		p.finish(nil, emptyReply)
	}
	return ntstatus.Pending
}

// lockWait is a request that waits for a range.
type lockWait struct {
	span causeway.Span
	p    *pending
}

func emptyReply(m *message) error {
	m.b = wire.AppendEmpty(m.b)
	return nil
}

// granted tells who waits that he has the lock. If nobody waits yet, it is remembered for who is about to.
func (o *open) granted(l gateway.Lock) {
	o.mu.Lock()
	for i, w := range o.lockWaits {
		if w.span == l.Span {
			o.lockWaits = append(o.lockWaits[:i], o.lockWaits[i+1:]...)
			o.mu.Unlock()
			w.p.finish(nil, emptyReply)
			return
		}
	}
	if i := slices.Index(o.refused, l.Span); i >= 0 {
		o.refused = slices.Delete(o.refused, i, i+1)
	} else if len(o.early) < maxEarly {
		o.early = append(o.early, l.Span)
	}
	o.mu.Unlock()
}

// unwanted says that nobody waits any more for a lock that was granted: the news of it, come or to come, is for nobody. Else it would be
// taken for that of a later request.
func (o *open) unwanted(s causeway.Span) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.grantedEarly(s) && len(o.refused) < maxEarly {
		o.refused = append(o.refused, s)
	}
}

// maxEarly bounds the grants whose waiters are on their way.
const maxEarly = 64

// grantedEarly takes such a grant. It is called with the open's lock.
func (o *open) grantedEarly(s causeway.Span) bool {
	for i, e := range o.early {
		if e == s {
			o.early = append(o.early[:i], o.early[i+1:]...)
			return true
		}
	}
	return false
}

// forgetLock forgets who waits for a lock; false: it has been told already that he has it.
func (o *open) forgetLock(s causeway.Span) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, w := range o.lockWaits {
		if w.span == s {
			o.lockWaits = append(o.lockWaits[:i], o.lockWaits[i+1:]...)
			return true
		}
	}
	return false
}
