package peer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
	"causeway/internal/setting"
)

// RouterConfig says how a Router decides.
type RouterConfig struct {
	Peers *Peers
	// Near tells which volumes' names and attributes the access part here may read although another gateway administers them: those
	// whose storage is open here, and the same for all gateways at every moment. Nil: none. It must not block.
	Near func(causeway.VolumeID) bool
	// Taker gets the grants that come with the replies of CREATE. Nil: none are asked for.
	Taker gateway.Taker
	// Patience is how long a call waits for a volume that is closed, or whose owner does not answer; then it is ErrDelay. Default 20 s.
	Patience time.Duration
}

// Validate sets defaults and names the field at fault.
func (c *RouterConfig) Validate() error {
	if c.Peers == nil {
		return errors.New("peer: Peers is needed")
	}
	if c.Near == nil {
		c.Near = func(causeway.VolumeID) bool { return false }
	}
	return setting.Positive("peer: Patience", &c.Patience, 20*time.Second)
}

// Router implements gateway.Access for all volumes of the cluster: a call is answered here where this gateway administers the volume,
// else by the gateway that does. While a volume moves, its calls wait. With NoWait nothing is waited for and nobody asked.
type Router struct {
	cfg   RouterConfig
	peers *Peers
	local gateway.Access
	table Table
	born  time.Time

	watcher  watcher
	watching watching
}

var _ gateway.Access = (*Router)(nil)

// NewRouter returns a Router. Peers.Offer must have been called.
func NewRouter(cfg RouterConfig) (*Router, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Peers.services.Access == nil {
		return nil, errors.New("peer: Peers offer no Access")
	}
	return &Router{cfg: cfg, peers: cfg.Peers, local: cfg.Peers.services.Access, table: cfg.Peers.cfg.Table, born: time.Now()}, nil
}

// verdict is what became of an attempt to answer a call.
type verdict uint8

const (
	answered verdict = iota
	closed           // the volume's standing has to change first
	refused          // by a gateway that knows another standing
)

// asked is a call on its way: how it is answered here, and as a message to others.
type asked struct {
	volume causeway.VolumeID
	noWait bool
	near   bool           // a read that needs no owner where the storage is the same everywhere
	epoch  causeway.Epoch // if not zero, the only one in which the call makes sense
	op     causeway.OpID
	life   uint64 // of the caller
	local  func() error
	remote func() *peerpb.Request
	accept func(*peerpb.Reply) error

	begun time.Duration // of the router's time, when it was first not answered at once; a time.Time would move all of this to the heap
}

// until is when a call's patience ends, counted from the first time that it is not answered at once.
func (r *Router) until(a *asked) time.Time {
	if a.begun == 0 {
		a.begun = time.Since(r.born)
	}
	return r.born.Add(a.begun + r.cfg.Patience)
}

// route answers a call wherever its volume is now.
func (r *Router) route(ctx context.Context, a *asked) error {
	if !r.peers.cfg.Known(a.volume) {
		return causeway.ErrStale
	}
	life, pause := r.table.Life(), 2*time.Millisecond
	if life > 0 && !r.table.Valid() { // sent before this gateway was cut off, perhaps, and read only now
		if a.noWait {
			return causeway.ErrWouldBlock
		}
		return causeway.ErrDelay
	}
	for {
		if !a.noWait && gateway.Abandoned(ctx) {
			return causeway.ErrDelay
		}
		changed := r.table.Changed() // before the standing is looked at
		s, v, err := r.try(ctx, a)
		if v == answered {
			return err
		}
		switch {
		case a.noWait:
			return causeway.ErrWouldBlock
		case life != r.table.Life():
			return gateway.ErrUnknown
		}
		patience := r.until(a)
		if time.Now().After(patience) || ctx.Err() != nil {
			return causeway.ErrDelay
		}
		wait := lookAgain
		if v == refused {
			wait, pause = pause, min(2*pause, lookAgain)
		}
		r.await(ctx, changed, a.volume, s, min(wait, time.Until(patience)))
	}
}

// lookAgain is when a call is tried again without any news.
const lookAgain = 200 * time.Millisecond

// await waits until the volume's standing is not s any more, or until it is worth to try without that.
func (r *Router) await(ctx context.Context, changed <-chan struct{}, v causeway.VolumeID, s gateway.Standing, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for r.table.Now(v) == s {
		select {
		case <-changed:
			changed = r.table.Changed()
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// try answers a call if that is possible now.
func (r *Router) try(ctx context.Context, a *asked) (gateway.Standing, verdict, error) {
	s, pass := r.table.Enter(a.volume)
	if a.life != 0 && a.life != r.table.Life()+1 { // looked at now that who cuts this gateway off again waits for the call
		pass.Leave()
		if a.noWait {
			return s, answered, causeway.ErrWouldBlock
		}
		return s, answered, causeway.ErrDelay
	}
	if s.Open && s.Here || a.near && r.cfg.Near(a.volume) {
		defer pass.Leave()
		v, err := r.here(a)
		return s, v, err
	}
	pass.Leave()
	if !s.Open {
		return s, closed, nil
	}
	if a.noWait {
		return s, answered, causeway.ErrWouldBlock
	}
	if a.epoch != (causeway.Epoch{}) && a.epoch != s.Epoch {
		return s, answered, causeway.ErrStaleEpoch
	}
	v, err := r.away(ctx, a, s)
	return s, v, err
}

// here answers, unless the gateway may no longer: then the volume is about to be closed, and nobody must see what was done.
func (r *Router) here(a *asked) (verdict, error) {
	valid := r.table.Valid
	if a.near {
		valid = r.table.ValidNearly
	}
	if !valid() {
		return closed, nil
	}
	life := r.table.Life()
	err := a.local()
	if valid() && life == r.table.Life() || causeway.CodeOf(err) == causeway.ErrWouldBlock {
		return answered, err
	}
	if a.near {
		return closed, nil
	}
	return answered, gateway.ErrUnknown
}

// away asks the owner.
func (r *Router) away(ctx context.Context, a *asked, s gateway.Standing) (verdict, error) {
	m := a.remote()
	wire.SetEpoch(m, s.Epoch)
	ctx, cancel := context.WithDeadline(ctx, r.until(a))
	defer cancel()
	end := r.watch(a.volume, s, cancel)
	reply, err := r.peers.ask(ctx, s.Node, m)
	end()
	if log := r.peers.cfg.Log; log.Enabled(ctx, slog.LevelDebug) {
		log.LogAttrs(ctx, slog.LevelDebug, "the owner was asked", slog.String("op", m.Op.String()), slog.Any("volume", a.volume), slog.String("owner", s.Node),
			slog.Any("epoch", s.Epoch), slog.Any("call", a.op), slog.Int("code", int(reply.GetCode())), slog.Any("err", err))
	}
	switch {
	case err == nil:
	case errors.Is(err, errUnsent):
		return refused, nil
	case errors.Is(err, errLost):
		return r.lost(a, m)
	default:
		return answered, err
	}
	if causeway.Code(reply.Code) == causeway.ErrStaleEpoch && reply.Code <= 255 && a.epoch == (causeway.Epoch{}) {
		return refused, nil
	}
	if reply.Unknown {
		return r.lost(a, m)
	}
	return answered, a.accept(reply)
}

// lost decides about a call of which nobody knows whether it was executed. What has a name is remembered by whoever executed it.
func (r *Router) lost(a *asked, m *peerpb.Request) (verdict, error) {
	if wire.Repeatable(m) || a.op != (causeway.OpID{}) {
		return refused, nil
	}
	return answered, gateway.ErrUnknown
}
