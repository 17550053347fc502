package transfer

import (
	"context"
	"sync"
	"time"

	"causeway"
	"causeway/gateway"
)

// margin is how much earlier a lease is taken to end here than where it was given: clocks differ in speed.
func margin(lease time.Duration) time.Duration { return lease / 50 }

// valid reports whether I/O may be done now, and whether what was done until now counts. It costs nothing where grants have
// no leases.
func (o *object) valid() bool { return !o.leased || o.validAt(o.engine.recent()) }

// lasts reports whether I/O that begins now will be over before the lease is, unless something holds it up: a grant that was not used for
// a while is not renewed, and a write that sees it end must be told to try later, which a client may take for seconds.
func (o *object) lasts() bool {
	if !o.leased || o.mapped != nil { // a list of extents is more than its lease
		return o.valid()
	}
	return o.validAt(o.engine.recent() + o.grant.Lease/8)
}

// validExactly is valid for writes, whose harm lasts.
func (o *object) validExactly() bool {
	alive := o.engine.cfg.Alive
	switch {
	case !o.leased && o.life != o.vol.life.Load():
		return false
	case !o.leased && alive == nil:
		return true
	}
	now := o.engine.cfg.Now()
	return (alive == nil || alive(now)) && (!o.leased || o.validAt(now))
}

func (o *object) validAt(now time.Duration) bool {
	return int64(now) < o.until.Load() && o.tenure.Load() == o.vol.tenure.Load()
}

// denied refuses I/O that a mandatory lock denies. Whose it is, and what leases it breaks, the guard knows.
func (o *object) denied(ctx context.Context, c *gateway.Caller, off uint64, n int, write bool) error {
	if len(o.grant.Deny) == 0 && !o.grant.Guarded {
		return nil
	}
	s := causeway.Span{Offset: off, Length: uint64(n)}
	if o.grant.Guarded && o.engine.cfg.Guard != nil {
		return o.engine.cfg.Guard.Admit(ctx, c, o.handle, s, write)
	}
	for _, d := range o.grant.Deny {
		if d.Overlaps(s) {
			return causeway.ErrLocked
		}
	}
	return nil
}

// CutOff ends all grants: this gateway was cut off from the others, who take for ended what they gave it. What runs under them does not
// count any more. It does not wait.
func (e *Engine) CutOff() {
	for _, v := range *e.volumes.Load() {
		v.mu.Lock()
		v.tenure.Add(1)
		v.life.Add(1)
		e.dropUnleased(v)
		v.mu.Unlock()
	}
}

func heldOf(g *causeway.Grant) gateway.Held {
	return gateway.Held{Handle: g.Handle, Mode: g.Mode, Span: g.Span, Seq: g.Seq}
}

// returns are grants that nobody here has use for any more.
type returns struct {
	mu   sync.Mutex
	list []returned
	some chan struct{}
}

type returned struct {
	held   gateway.Held
	epoch  causeway.Epoch
	commit gateway.Commit
	vol    *volume
}

// failed notes that what was to be committed was not.
func (r *returned) failed() {
	if r.commit.Written {
		r.vol.verifier.bump()
	}
}

// maxReturns bounds the list. What is not given back ends with its lease, or when somebody asks for it.
const maxReturns = 4096

func (r *returns) add(x returned) {
	r.mu.Lock()
	if len(r.list) < maxReturns {
		r.list = append(r.list, x)
	} else {
		x.failed()
	}
	r.mu.Unlock()
	select {
	case r.some <- struct{}{}:
	default:
	}
}

func (e *Engine) giveBack(o *object) {
	r := returned{held: heldOf(&o.grant), epoch: o.grant.Epoch, vol: o.vol}
	if o.mapped != nil {
		r.commit, r.epoch = o.mapped.finish(), *o.mapped.epoch.Load()
	}
	e.returns.add(r)
}

// keep renews what is in use and gives back what is not.
func (e *Engine) keep() {
	tick := time.NewTicker(e.cfg.Renew)
	defer tick.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	e.cache.running.Go(func() { // calls to other gateways end when the engine does
		<-e.cache.stop
		cancel()
	})
	for {
		select {
		case <-e.cache.stop:
			return
		case <-tick.C:
			e.renew(ctx)
			for id := range *e.volumes.Load() {
				e.cache.forgetHanded(id)
			}
		case <-e.returns.some:
			e.sendReturns(ctx)
		}
	}
}

func (e *Engine) sendReturns(ctx context.Context) {
	e.returns.mu.Lock()
	list := e.returns.list
	e.returns.list = nil
	e.returns.mu.Unlock()
	for _, r := range list {
		if ctx.Err() != nil {
			r.failed() // else it ends by itself
		} else if err := e.cfg.Grants.Return(ctx, e.cfg.Node, r.epoch, r.held, &r.commit); err != nil {
			r.failed()
		}
	}
}

// renew lengthens the leases of what was used since the last time; the rest ends by itself.
func (e *Engine) renew(ctx context.Context) {
	byVolume := map[*volume][]*object{}
	var commit []*mapped
	for i := range e.cache.shards {
		s := &e.cache.shards[i]
		s.mu.RLock()
		for _, o := range s.objects {
			used := o.leased && o.active.Swap(false)
			if o.mapped != nil { // one that ends by itself is fenced: it lasts until it is given back
				if !used && o.mapped.dirty() {
					commit = append(commit, o.mapped)
				}
				used = true
			}
			if used && o.valid() {
				byVolume[o.vol] = append(byVolume[o.vol], o)
			} else if o.wrote.Swap(false) {
				e.written.add(o.handle)
			}
		}
		s.mu.RUnlock()
	}
	var running sync.WaitGroup
	for v, objects := range byVolume { // a volume whose owner does not answer holds up no other
		running.Go(func() { e.renewOf(ctx, v, objects) })
	}
	for v, handles := range e.written.take() {
		running.Go(func() { e.tellWritten(ctx, v, handles) })
	}
	running.Wait()
	for _, m := range commit {
		if m.commit(ctx) != nil {
			break // who syncs will learn why
		}
	}
}

// renewBatch is how many grants are renewed with one message.
const renewBatch = 1024

func (e *Engine) renewOf(ctx context.Context, v *volume, objects []*object) {
	for len(objects) > 0 {
		batch := objects[:min(len(objects), renewBatch)]
		objects = objects[len(batch):]
		held := make([]gateway.Held, len(batch))
		for i, o := range batch {
			held[i] = heldOf(&o.grant)
			held[i].Written = o.wrote.Swap(false)
		}
		sent, tenure, epoch := e.cfg.Now(), v.tenure.Load(), v.known()
		ctx, cancel := context.WithTimeout(ctx, batch[0].grant.Lease)
		ended, err := e.cfg.Grants.Renew(ctx, e.cfg.Node, epoch, held)
		cancel()
		if err != nil { // the leases end, and whoever needs them asks anew
			for i, h := range held {
				if h.Written {
					batch[i].wrote.Store(true)
				}
			}
			return
		}
		lost := make(map[causeway.Handle]bool, len(ended))
		for _, h := range ended {
			lost[h.Handle] = true
		}
		for _, o := range batch {
			if !lost[o.handle] && o.tenure.Load() == tenure { // else it ends when it would have, or by the recall that comes
				lengthen(o, sent)
			}
		}
	}
}

func lengthen(o *object, sent time.Duration) {
	next := int64(sent + o.grant.Lease - margin(o.grant.Lease))
	for {
		now := o.until.Load()
		if next <= now || o.until.CompareAndSwap(now, next) {
			return
		}
	}
}
