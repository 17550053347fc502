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

// ReleaseClient implements gateway.Locker: all gateways are told, for each may administer a volume in which the client held locks. While a
// volume moves its locks may be at none of them: it is done again then. A volume that nobody administers for so long is left out.
func (r *Router) ReleaseClient(ctx context.Context, kind causeway.OwnerKind, client string) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Patience)
	defer cancel()
	for {
		changed := r.table.Changed()
		whole, err := r.everywhere(ctx, wire.ReleaseClient(kind, client), func() error { return r.local.ReleaseClient(ctx, kind, client) })
		if err != nil || whole {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			r.peers.cfg.Log.Warn("locks of a client may stay in a volume that no gateway administers", "client", client)
			return nil
		}
	}
}

// ReleaseVia implements gateway.Locker, for what this gateway received: all gateways are told. What a copy says came by this gateway's name, when
// another one administered the volume, is meant too. ErrDelay while a volume moves: not all may be released.
func (r *Router) ReleaseVia(ctx context.Context, kind causeway.OwnerKind, client, gateway string) error {
	if gateway != "" && gateway != r.peers.cfg.Node {
		return causeway.ErrInval
	}
	whole, err := r.everywhere(ctx, wire.ReleaseVia(kind, client), func() error {
		return errors.Join(r.local.ReleaseVia(ctx, kind, client, ""), r.local.ReleaseVia(ctx, kind, client, r.peers.cfg.Node))
	})
	if err == nil && !whole {
		err = causeway.ErrDelay
	}
	return err
}

// everywhere tells all gateways something, this one too. whole: all volumes were administered by them meanwhile.
func (r *Router) everywhere(ctx context.Context, what *peerpb.Request, here func() error) (whole bool, err error) {
	meanwhile := r.administered()
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
	return meanwhile(others), errors.Join(errs...)
}

// administered returns what reports later whether these gateways and this one have administered all volumes from now until then.
func (r *Router) administered() func(others []string) bool {
	changed := r.table.Changed()
	return func(others []string) bool {
		whole := r.table.All(func(v causeway.VolumeID, s gateway.Standing) bool {
			return s.Open && (s.Here || slices.Contains(others, s.Node)) || !r.peers.cfg.Known(v)
		})
		select {
		case <-changed:
			return false
		default:
			return whole
		}
	}
}

// Locks implements gateway.Locker, for the volumes of all gateways. ErrDelay beside the list while a volume moves: not all may be in it.
func (r *Router) Locks(ctx context.Context) ([]gateway.Lock, error) {
	meanwhile := r.administered()
	others := r.peers.cfg.Others()
	lists, errs := make([][]gateway.Lock, len(others)+1), make([]error, len(others)+2)
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
	if !meanwhile(others) {
		errs[len(others)+1] = causeway.ErrDelay
	}
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
