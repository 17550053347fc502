package address

import (
	"context"
	"errors"
	"time"

	"causeway"
)

// announcements says when after an address was taken it is announced again, for the neighbours that missed the first time
// and against the answers of a machine whose lifetime has not yet ended.
var announcements = []time.Duration{50 * time.Millisecond, 250 * time.Millisecond, time.Second, 2500 * time.Millisecond}

// recheck is how long after a forced takeover, beyond the lifetime, another holder is looked for.
const recheck = time.Second

// keeper renews a held address and puts right what others do to it.
type keeper struct {
	m *Manager
	h *holding

	place     place
	seen      time.Duration // when the keeper last ran: a gap means that the process was stopped
	until     time.Duration // so long others certainly leave the address to this gateway, as of then
	reachable time.Duration // when the address was last known to be here, on a link that is up
	down      bool          // the interface is down

	troubled bool // the last renewal failed, and that was told

	announceFrom time.Duration // when it was taken, or its link came up
	announced    int           // of announcements
	recheckAt    time.Duration // zero: no
}

// startKeeper starts the keeper of an address that was added at the time begun or later.
func (m *Manager) startKeeper(h *holding, begun time.Duration, force bool) {
	k := &keeper{m: m, h: h, place: h.where(), seen: begun, until: begun, reachable: begun, announceFrom: m.cfg.Clock()}
	if k.ours(k.announceFrom) {
		k.until = k.announceFrom + m.cfg.Left()
	}
	if force {
		k.recheckAt = k.announceFrom + m.cfg.Lifetime + recheck
	}
	ctx, stop := context.WithCancel(context.Background())
	h.stop, h.done = stop, make(chan struct{})
	go func() {
		defer close(h.done)
		defer stop()
		k.run(ctx)
	}()
}

func (k *keeper) run(ctx context.Context) {
	timer := time.NewTimer(k.next())
	defer timer.Stop()
	for {
		woken := false
		select {
		case <-ctx.Done():
			return
		case <-k.h.wake:
			woken = true
		case <-timer.C:
		}
		if !k.step(ctx, woken) {
			return
		}
		timer.Reset(k.next())
	}
}

// next is the time until something is to be done.
func (k *keeper) next() time.Duration {
	now := k.m.cfg.Clock()
	at := k.seen + k.m.cfg.Renew
	if k.announced < len(announcements) {
		at = min(at, k.announceFrom+announcements[k.announced])
	}
	if k.recheckAt != 0 {
		at = min(at, k.recheckAt)
	}
	return max(at-now, time.Millisecond)
}

// step does what is due, and returns false when the address is not to be kept any more.
func (k *keeper) step(ctx context.Context, woken bool) bool {
	now := k.m.cfg.Clock()
	switch {
	case !k.ours(now):
		k.lapse(errAsleep)
		return false
	case !k.m.cfg.Entitled(k.h.addr):
		k.lapse(errNotEntitled)
		return false
	}
	k.until = now + k.m.cfg.Left()
	if woken || now-k.seen >= k.m.cfg.Renew {
		if goOn := k.renew(ctx, now); !goOn {
			return false
		}
	}
	if k.announced < len(announcements) && now >= k.announceFrom+announcements[k.announced] && !k.down {
		k.announced++
		k.announce()
	}
	if k.recheckAt != 0 && now >= k.recheckAt {
		k.recheckAt = 0
		k.lookForOther(ctx)
	}
	return true
}

// ours reports whether the address cannot have become another's. It has expired if the process was stopped for longer than its lifetime; but
// while others still leave it to this gateway, its connections wait for it, and it is added again.
func (k *keeper) ours(now time.Duration) bool { return now-k.seen <= k.m.cfg.Lifetime || now < k.until }

// renew gives the address its whole lifetime again, wherever it stands, and adds a missing one. On a link that stays down it
// expires, as others may take it over; when the link is back it is added again if no other machine answers for it by then.
func (k *keeper) renew(ctx context.Context, now time.Duration) bool {
	p, err := k.look(ctx, now)
	if conflict := (*ConflictError)(nil); errors.As(err, &conflict) {
		k.lapse(err)
		return false
	}
	if err == nil && p.present && !p.ours {
		k.m.cfg.Guard.drop(k.h.addr)
		k.h.become(Fixed, p)
		k.tell(Event{Kind: Seized, State: Fixed})
		return false
	}
	before := k.m.cfg.Clock()
	if k.m.cfg.Left() < k.m.cfg.Lifetime { // it lives on for now; if it expires before there is time again, it is added again
		k.seen = before
		return true
	}
	if err == nil && k.ours(before) {
		err = k.m.machine.put(p, k.h.addr, k.m.cfg.Lifetime, false)
	}
	if ctx.Err() != nil {
		return false
	}
	after := k.m.cfg.Clock()
	late := after-before > k.m.cfg.Lifetime-k.m.cfg.Renew && k.m.cfg.Left() < k.m.cfg.Lifetime // it may outlive what it is held by
	if !k.ours(after) || late {                                                                // stopped since the look at the clock before, or within the renewal
		k.lapse(errAsleep)
		return false
	}
	k.seen = before
	k.settle(p, err, now)
	return true
}

// look finds the address and its link, and fails if it must not be renewed.
func (k *keeper) look(ctx context.Context, now time.Duration) (place, error) {
	p, err := k.m.machine.survey(k.h.addr, k.place.name, k.m.cfg.Lifetime)
	away := now-k.reachable > k.m.cfg.Lifetime
	switch {
	case err != nil || p.present && !p.ours || !away:
		return p, err
	case !p.up:
		return p, &causeway.Error{Op: "add", Code: causeway.ErrNoDev, Err: errLinkDown}
	}
	return p, k.m.vacant(ctx, p, k.h.addr, k.probing())
}

var errLinkDown = errors.New("the link of its interface is down")

// probing is short enough to renew in time beside it.
func (k *keeper) probing() time.Duration { return min(k.m.cfg.Probe, k.m.cfg.Renew) }

// settle takes in what a renewal found.
func (k *keeper) settle(p place, err error, now time.Duration) {
	if err != nil {
		k.trouble(err)
		return
	}
	k.place, k.troubled = p, false
	if p.up {
		k.reachable = now
	}
	k.h.become(Held, p)
	k.link(p.up)
	if !p.present {
		k.m.guard(p, k.h.addr)
		k.announceAgain()
		k.tell(Event{Kind: Restored})
	}
}

// trouble tells about a failed renewal, once until one succeeds.
func (k *keeper) trouble(err error) {
	if errors.Is(err, causeway.ErrNoDev) {
		k.link(false)
	}
	if k.troubled {
		return
	}
	k.troubled = true
	k.tell(Event{Kind: Unrenewed, Err: failure("renew", k.h.addr, causeway.CodeOf(err), err)})
}

// link notes whether the interface is up.
func (k *keeper) link(up bool) {
	if up == !k.down {
		return
	}
	k.down = !up
	if k.down {
		k.tell(Event{Kind: LinkDown})
		return
	}
	k.announceAgain()
	k.tell(Event{Kind: LinkUp})
}

func (k *keeper) announceAgain() {
	k.announce()
	k.announceFrom, k.announced = k.m.cfg.Clock(), 0
}

func (k *keeper) announce() {
	if err := k.m.machine.announce(k.place, k.h.addr); err != nil {
		k.m.cfg.Logger.Warn("cannot announce a service address", "addr", k.h.addr, "interface", k.place.name, "err", err)
	}
}

// lookForOther tells if a gateway that was thought dead still answers for the address.
func (k *keeper) lookForOther(ctx context.Context) {
	holder, err := k.m.machine.probe(ctx, k.place, k.h.addr, k.probing())
	if err == nil && holder != "" {
		k.announceAgain()
		k.tell(Event{Kind: Conflict, Holder: holder})
	}
}

// lapse gives the address up: it is another's by now, or will be. It can only be held again by being told so.
func (k *keeper) lapse(why error) {
	k.h.become(Free, place{})
	err := k.m.take(k.h.addr, k.place)
	err = errors.Join(why, err, k.m.cfg.Listener.Close(k.h.addr))
	k.tell(Event{Kind: Lapsed, State: Free, Err: err})
}

func (k *keeper) tell(e Event) {
	e.Addr, e.Interface = k.h.addr, k.place.name
	if e.State == Free && e.Kind != Lapsed {
		e.State = Held
	}
	k.m.tell(e)
}
