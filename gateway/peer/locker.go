package peer

import (
	"context"
	"errors"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// Lock implements gateway.Locker.
func (r *Router) Lock(ctx context.Context, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) (gateway.Lock, error) {
	var to wire.Result
	err := r.call(ctx, c, h.Volume, false, &to, func() (err error) {
		to.Conflict, err = r.local.Lock(ctx, c, h, s)
		return err
	}, func() *peerpb.Request { return wire.Lock(peerpb.Op_LOCK, c, h, s) })
	return to.Conflict, err
}

// Unlock implements gateway.Locker.
func (r *Router) Unlock(ctx context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) error {
	return r.call(ctx, c, h.Volume, false, &wire.Result{}, func() error { return r.local.Unlock(ctx, c, h, s) },
		func() *peerpb.Request { return wire.Lock(peerpb.Op_UNLOCK, c, h, gateway.LockSpec{Span: s}) })
}

// TestLock implements gateway.Locker.
func (r *Router) TestLock(ctx context.Context, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) (gateway.Lock, error) {
	var to wire.Result
	err := r.call(ctx, c, h.Volume, false, &to, func() (err error) {
		to.Conflict, err = r.local.TestLock(ctx, c, h, s)
		return err
	}, func() *peerpb.Request { return wire.Lock(peerpb.Op_TESTLOCK, c, h, s) })
	return to.Conflict, err
}

// Cancel implements gateway.Locker.
func (r *Router) Cancel(ctx context.Context, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) error {
	return r.call(ctx, c, h.Volume, false, &wire.Result{}, func() error { return r.local.Cancel(ctx, c, h, s) },
		func() *peerpb.Request { return wire.Lock(peerpb.Op_CANCEL, c, h, s) })
}

// ReleaseClient implements gateway.Locker: all gateways are told, for each may administer a volume in which the client held locks.
func (r *Router) ReleaseClient(ctx context.Context, kind causeway.OwnerKind, client string) error {
	return r.everywhere(ctx, wire.ReleaseClient(kind, client), func() error { return r.local.ReleaseClient(ctx, kind, client) })
}

// ReleaseVia implements gateway.Locker, for what this gateway received: all gateways are told. What a copy says came by this gateway's name, when
// another one administered the volume, is meant too.
func (r *Router) ReleaseVia(ctx context.Context, kind causeway.OwnerKind, client, gateway string) error {
	if gateway != "" && gateway != r.peers.cfg.Node {
		return causeway.ErrInval
	}
	return r.everywhere(ctx, wire.ReleaseVia(kind, client), func() error {
		return errors.Join(r.local.ReleaseVia(ctx, kind, client, ""), r.local.ReleaseVia(ctx, kind, client, r.peers.cfg.Node))
	})
}

// everywhere tells all gateways something, this one too.
func (r *Router) everywhere(ctx context.Context, what *peerpb.Request, here func() error) error {
	others := r.peers.cfg.Others()
	errs := make([]error, len(others)+1)
	var all sync.WaitGroup
	for i, node := range others {
		all.Go(func() {
			reply, err := r.peers.ask(ctx, node, proto.Clone(what).(*peerpb.Request))
			if err != nil {
				errs[i] = noAnswer(err)
				return
			}
			errs[i] = wire.Error(reply)
		})
	}
	errs[len(others)] = here()
	all.Wait()
	return errors.Join(errs...)
}

// Locks implements gateway.Locker, for the volumes of all gateways.
func (r *Router) Locks(ctx context.Context) ([]gateway.Lock, error) {
	others := r.peers.cfg.Others()
	lists, errs := make([][]gateway.Lock, len(others)+1), make([]error, len(others)+1)
	var all sync.WaitGroup
	for i, node := range others {
		all.Go(func() {
			reply, err := r.peers.ask(ctx, node, &peerpb.Request{Op: peerpb.Op_LOCKS})
			if err != nil {
				errs[i] = noAnswer(err)
				return
			}
			if errs[i] = wire.Error(reply); errs[i] == nil {
				lists[i], errs[i] = wire.Locks(reply)
			}
		})
	}
	lists[len(others)], errs[len(others)] = r.local.Locks(ctx)
	all.Wait()
	return slices.Concat(lists...), errors.Join(errs...)
}

// Subscribe implements gateway.Access.
func (r *Router) Subscribe(kind causeway.OwnerKind, e gateway.Events) { r.peers.Subscribe(kind, e) }

// Persist implements gateway.Persister. A volume may have moved since the change was made: its new owner shares the storage.
func (r *Router) Persist(ctx context.Context, v causeway.VolumeID, ids ...causeway.ObjectID) error {
	return r.route(ctx, &asked{
		volume: v, local: func() error { return r.local.Persist(ctx, v, ids...) },
		remote: func() *peerpb.Request { return wire.Persist(v, ids) },
		accept: wire.Error,
	})
}
