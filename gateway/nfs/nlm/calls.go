package nlm

import (
	"context"
	"encoding/binary"
	"slices"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/rpc"
)

// Handle implements rpc.Handler for versions 1, 3 and 4 of [Program].
func (s *Service) Handle(ctx context.Context, c *rpc.Call) rpc.Verdict {
	switch {
	case c.Proc == procNull:
		return rpc.Done
	case c.Proc >= procShare && c.Vers < 3:
		return rpc.ProcUnavail
	case c.NoWait:
		return rpc.Park // records are synced, and locks may live at another gateway
	}
	switch c.Proc {
	case procTest, procLock, procCancel, procUnlock, procNMLock:
		return s.answer(ctx, c, c.Proc)
	case procTestMsg, procLockMsg, procCancelMsg, procUnlockMsg:
		return s.answerByCall(ctx, c, c.Proc-procTestMsg+procTest)
	case procGrantedRes:
		return s.grantedRes(c)
	case procTestRes, procLockRes, procCancelRes, procUnlockRes:
		return rpc.Done // we send no _MSG that they would answer
	case procShare, procUnshare:
		return s.share(c)
	case procFreeAll:
		return s.freeAll(ctx, c)
	}
	return rpc.ProcUnavail // GRANTED too: we wait for nobody's locks
}

// answer runs a procedure and replies with its result.
func (s *Service) answer(ctx context.Context, c *rpc.Call, proc uint32) rpc.Verdict {
	r, _, ok := s.run(ctx, c, proc)
	if !ok {
		return rpc.GarbageArgs
	}
	r.encode(&c.Reply, wide(c.Vers))
	return rpc.Done
}

// answerByCall runs a procedure that came as a _MSG: its result goes out as a call. Who may use nothing here is not called,
// since a forged sender would be the one to be bothered.
func (s *Service) answerByCall(ctx context.Context, c *rpc.Call, proc uint32) rpc.Verdict {
	r, admitted, ok := s.run(ctx, c, proc)
	if !ok {
		return rpc.GarbageArgs
	}
	if admitted {
		s.post(c, proc-procTest+procTestRes, &r)
	}
	return rpc.Done
}

// run decodes the arguments, admits the caller and runs one of TEST, LOCK, CANCEL, UNLOCK and NM_LOCK. The result borrows the
// record.
func (s *Service) run(ctx context.Context, c *rpc.Call, proc uint32) (r result, admitted, ok bool) {
	var a args
	if !a.decode(&c.Args, proc, wide(c.Vers)) {
		return result{}, false, false
	}
	r = result{cookie: a.cookie, test: proc == procTest}
	h, _, _, err := s.cfg.Guard.Admit(c, a.lock.handle)
	if err != nil {
		r.status = statusOf(err)
		return r, false, true
	}
	span, code := a.lock.span()
	if code != causeway.OK {
		r.status = statusOf(code)
		return r, true, true
	}
	c.Caller.Owner = ownerOf(&a.lock, c)
	l := gateway.Lock{Handle: h, Owner: c.Caller.Owner, Span: span, Exclusive: a.exclusive}
	switch proc {
	case procTest:
		r.holder, err = s.test(ctx, c, l)
	case procLock, procNMLock:
		err = s.lock(ctx, c, &a, l, proc == procLock)
	case procCancel:
		err = s.cancel(ctx, c, l)
	case procUnlock:
		err = s.unlock(ctx, c, l)
	}
	r.status = statusOf(err)
	return r, true, true
}

// ownerOf names the owner of a lock: a process (svid) of a host. The owner handle (oh) is not part of it: it need not be the
// same in all calls of one owner.
func ownerOf(l *lockArgs, c *rpc.Call) causeway.Owner {
	return causeway.Owner{
		Kind:   causeway.OwnerNLM,
		Client: clientName(l.caller, c.Remote.Addr()),
		Opaque: string(binary.BigEndian.AppendUint32(nil, l.svid)),
	}
}

func (s *Service) test(ctx context.Context, c *rpc.Call, l gateway.Lock) (holder, error) {
	by, err := s.cfg.Locker.TestLock(ctx, &c.Caller, l.Handle, gateway.LockSpec{Span: l.Span, Exclusive: l.Exclusive})
	h := holder{exclusive: by.Exclusive, span: by.Span}
	if by.Owner.Kind == causeway.OwnerNLM && len(by.Owner.Opaque) == 4 {
		h.svid = binary.BigEndian.Uint32([]byte(by.Owner.Opaque))
	}
	return h, err
}

// lock runs LOCK and NM_LOCK. A client that waits asks again now and then; it may find that it has the lock meanwhile.
func (s *Service) lock(ctx context.Context, c *rpc.Call, a *args, l gateway.Lock, monitor bool) error {
	h, err := s.enter(a.lock.caller, c.Remote)
	if err != nil {
		return err
	}
	defer s.leave(h)
	if err := s.prepare(ctx, h, c, a.state, monitor); err != nil {
		return err
	}
	spec := gateway.LockSpec{Span: l.Span, Exclusive: l.Exclusive, Wait: a.block && !a.reclaim, Reclaim: a.reclaim}
	var b *block
	made := false
	if spec.Wait {
		b, made = s.expect(h, l, a, c)
	} else {
		b = s.blockOf(l)
	}
	_, err = s.cfg.Locker.Lock(ctx, &c.Caller, l.Handle, spec)
	if b != nil && (err == nil || made && causeway.CodeOf(err) != causeway.ErrBlocked) {
		s.drop(b) // the reply tells all
	}
	return err
}

// cancel runs CANCEL. If the request was granted and the client does not know it yet, the lock is given back.
func (s *Service) cancel(ctx context.Context, c *rpc.Call, l gateway.Lock) error {
	b := s.blockOf(l)
	if b != nil {
		s.leaves(ctx, b)
	}
	err := s.cfg.Locker.Cancel(ctx, &c.Caller, l.Handle, gateway.LockSpec{Span: l.Span, Exclusive: l.Exclusive})
	switch {
	case err == nil:
		if b != nil {
			s.drop(b)
		}
		return nil
	case causeway.CodeOf(err) != causeway.ErrNoEnt:
		return err
	case b == nil:
		return causeway.ErrLocked // DENIED: nothing waits
	}
	s.drop(b)
	return s.cfg.Locker.Unlock(ctx, &c.Caller, l.Handle, l.Span)
}

// unlock runs UNLOCK. It also takes back what waits for exactly this range: the client's CANCEL may have been lost; and it
// acknowledges what was granted in it.
func (s *Service) unlock(ctx context.Context, c *rpc.Call, l gateway.Lock) error {
	for _, b := range s.blocksWithin(l) {
		s.leaves(ctx, b)
		if b.lock.Span == l.Span {
			spec := gateway.LockSpec{Span: b.lock.Span, Exclusive: b.lock.Exclusive}
			if err := s.cfg.Locker.Cancel(ctx, &c.Caller, l.Handle, spec); err == nil {
				s.drop(b)
				continue
			}
		}
		s.acknowledge(b, granted)
	}
	return s.cfg.Locker.Unlock(ctx, &c.Caller, l.Handle, l.Span)
}

// blocksWithin returns the blocks of l's owner on its object whose ranges lie in l's.
func (s *Service) blocksWithin(l gateway.Lock) (list []*block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hosts[l.Owner.Client]
	if h == nil {
		return nil
	}
	for k, b := range h.blocks {
		if k.Handle == l.Handle && k.Owner == l.Owner && k.Span.Offset >= l.Span.Offset && k.Span.End() <= l.Span.End() {
			list = append(list, b)
		}
	}
	return list
}

// grantedRes is the answer to GRANTED_MSG. Only the host that was called may give it.
func (s *Service) grantedRes(c *rpc.Call) rpc.Verdict {
	cookie, st := decodeResult(&c.Args)
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	if len(cookie) != 8 {
		return rpc.Done
	}
	s.mu.Lock()
	b := s.cookies[binary.BigEndian.Uint64(cookie)]
	s.mu.Unlock()
	if b != nil && b.host.record.Addr == c.Remote.Addr().Unmap() {
		s.acknowledge(b, st)
	}
	return rpc.Done
}

// share answers SHARE and UNSHARE, the share modes of DOS clients: there are none until the lock table has them, so that SHARE
// fails; UNSHARE always succeeds (XNFS §10.3.21).
func (s *Service) share(c *rpc.Call) rpc.Verdict {
	d := &c.Args
	r := result{cookie: slices.Clone(d.Opaque(maxNetobj)), share: true, status: failed}
	decodeName(d)
	d.Opaque(maxNetobj)
	d.Opaque(maxOH)
	d.Uint32() // mode
	d.Uint32() // access
	d.Bool()   // reclaim
	if !d.OK() {
		return rpc.GarbageArgs
	}
	if c.Proc == procUnshare {
		r.status = granted
	}
	r.encode(&c.Reply, wide(c.Vers))
	return rpc.Done
}

// freeAll runs FREE_ALL: a host that restarted without a status monitor gives up what it held. Its state number tells nothing,
// because such a host has nobody who would count.
func (s *Service) freeAll(ctx context.Context, c *rpc.Call) rpc.Verdict {
	name, _ := decodeName(&c.Args), c.Args.Uint32()
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	s.mu.Lock()
	h := s.hosts[clientName(name, c.Remote.Addr())]
	if h != nil && (c.Datagram || h.reserved && !isReserved(c.Remote)) {
		h = nil // who asks need not be the host, or not the one who locks for it
	}
	s.mu.Unlock()
	if h == nil {
		return rpc.Done
	}
	h.gate.Lock()
	defer h.gate.Unlock()
	if err := s.release(ctx, h, "FREE_ALL"); err != nil {
		s.cfg.Log.Error("locks of a client could not be released", "client", h.name, "op", "free all", "err", err)
		return rpc.SystemErr
	}
	return rpc.Done
}
