package transfer

import (
	"context"
	"math"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
)

// attempts is how often a call asks for a grant before it gives up.
const attempts = 16

// open returns the object of h under a grant that is valid now, with a reference for the caller, and its attributes of now. On
// a miss it asks for a grant; whoever can gives one for reading and writing, so that a later write needs no second question.
func (e *Engine) open(ctx context.Context, c *gateway.Caller, h causeway.Handle, mode causeway.IOMode, s causeway.Span) (*object, causeway.Attr, error) {
	o, attr, err := e.openFor(ctx, c, h, mode, s)
	for range attempts {
		if err != nil || o.align == 0 || o.grant.Mode < mode {
			return o, attr, err
		}
		want, more := o.lacks(mode, s, attr.Size)
		if !more {
			return o, attr, nil
		}
		full := o.full.Swap(false)
		o.Release()
		if full {
			return nil, attr, causeway.ErrNoSpc
		}
		if o, err = e.acquire(ctx, c.NoWait, h, mode, want); err != nil {
			return nil, attr, err
		}
		o.Release()
		o, attr, err = e.openFor(ctx, c, h, mode, s)
	}
	if err == nil {
		o.Release()
	}
	return nil, attr, causeway.ErrDelay
}

// openFor is open under whatever grant there is; a new one is asked for a span.
func (e *Engine) openFor(ctx context.Context, c *gateway.Caller, h causeway.Handle, mode causeway.IOMode, s causeway.Span) (*object, causeway.Attr, error) {
	o := e.cache.get(h)
	if o != nil && (o.grant.Mode < mode || !o.lasts() || o.mapped != nil && (o.mapped.lost() || o.mapped.ended.Load())) {
		o.Release()
		o = nil
	}
	if o == nil {
		var err error
		if o, err = e.acquire(ctx, c.NoWait, h, mode, s); err != nil {
			return nil, causeway.Attr{}, err
		}
	}
	attr, err := o.store.Stat(ctx)
	if err == nil && attr.Nlink == 0 {
		err = causeway.ErrStale
	}
	if err == nil {
		err = backend.LoadACL(ctx, o.vol.store, h.Object, &c.Cred, &attr)
	}
	if err != nil {
		if causeway.CodeOf(err) == causeway.ErrStale {
			e.cache.dropIf(o)
		}
		o.Release()
		return nil, attr, err
	}
	return o, attr, nil
}

// asking is a question for a grant, of which there is one at a time for an object: so no older reply comes after a newer one.
type asking struct {
	done  chan struct{}
	offer *offered // it need not be asked: this came before

	// guarded by the shard
	void   uint64 // grants up to this number were recalled meanwhile
	voided bool
}

func (a *asking) voids(seq uint64) bool { return a.voided && seq <= a.void }

// acquire gets a grant, or the object that somebody else got one for meanwhile.
func (e *Engine) acquire(ctx context.Context, noWait bool, h causeway.Handle, mode causeway.IOMode, span causeway.Span) (*object, error) {
	s := e.cache.shard(h)
	for range attempts {
		s.mu.Lock()
		if other := s.asking[h]; other != nil {
			s.mu.Unlock()
			if noWait {
				return nil, causeway.ErrWouldBlock
			}
			select {
			case <-other.done:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if o := e.cache.get(h); o != nil && o.grant.Mode >= mode && o.valid() {
				return o, nil
			} else if o != nil {
				o.Release()
			}
			continue
		}
		a := &asking{done: make(chan struct{}), offer: s.takeOfferLocked(h)}
		s.asking[h] = a
		s.mu.Unlock()
		o, err := e.ask(ctx, noWait, h, mode, span, a)
		s.mu.Lock()
		delete(s.asking, h)
		s.mu.Unlock()
		close(a.done)
		if err != nil || o != nil {
			return o, err
		}
	}
	return nil, causeway.ErrDelay
}

// ask asks for a grant and opens the object under it. nil without an error: the grant has ended already.
func (e *Engine) ask(ctx context.Context, noWait bool, h causeway.Handle, mode causeway.IOMode, span causeway.Span, a *asking) (*object, error) {
	v := (*e.volumes.Load())[h.Volume]
	if v == nil {
		return nil, causeway.ErrStale
	}
	if x := a.offer; e.usable(v, x) {
		forget(v.store, h)
		return e.use(ctx, v, &x.grant, mode, x.sent, x.tenure, x.life, a)
	}
	var key uint64 // got before the grant is asked for: a fence that comes between ends both
	if v.blocks == nil {
		span = whole
	} else {
		var err error
		span = aligned(span, v.blocks.BlockSize())
		if key, err = v.blocks.Register(ctx, v.lost.Load()); err != nil {
			return nil, err
		}
	}
	sent, tenure, life := e.cfg.Now(), v.tenure.Load(), v.life.Load()
	g, err := e.cfg.Grants.Grant(ctx, &gateway.GrantSpec{
		Holder: e.cfg.Node, Handle: h, Mode: mode, Span: span, NoWait: noWait,
	})
	if err != nil {
		return nil, err
	}
	if !e.follow(v, g.Epoch, &tenure) {
		return nil, nil
	}
	if g.Lease != 0 {
		forget(v.store, h) // what was read before is of others' time
	}
	if e.cfg.Granted != nil {
		e.cfg.Granted(h, g.Seq)
	}
	if v.blocks != nil && g.Lease != 0 {
		return e.useExtents(v, &g.Grant, key, lacksBlocks(mode, span, g.Extents), sent, tenure, a), nil
	}
	e.withoutExtents(h)
	return e.use(ctx, v, &g.Grant, mode, sent, tenure, life, a)
}

// use opens an object under a grant. mode is what it is wanted for.
func (e *Engine) use(ctx context.Context, v *volume, g *causeway.Grant, mode causeway.IOMode, sent time.Duration, tenure, life uint64, a *asking) (*object, error) {
	h := g.Handle
	bytes, err := v.store.Open(ctx, h.Object, g.Mode, g.Locator)
	if mode == causeway.IORead && unwritable(causeway.CodeOf(err)) {
		g.Mode = causeway.IORead
		bytes, err = v.store.Open(ctx, h.Object, g.Mode, g.Locator)
	}
	if err != nil {
		if g.Seq != 0 {
			e.returns.add(returned{held: heldOf(g), epoch: g.Epoch, vol: v})
		}
		if err == backend.ErrMoved {
			return nil, nil // the next grant says where it is
		}
		return nil, err
	}
	o := &object{handle: h, vol: v, grant: *g, store: bytes, engine: e, leased: g.Lease != 0, life: life, left: make(chan struct{}, 1)}
	if v.blocks != nil {
		o.align = v.blocks.BlockSize()
	}
	o.until.Store(int64(sent + g.Lease - margin(g.Lease)))
	o.tenure.Store(tenure)
	o.noWait, _ = bytes.(backend.NoWaitReader)
	o.fd, _ = bytes.(backend.Descriptor)
	return e.cache.put(o, a), nil
}

func forget(s backend.Store, h causeway.Handle) {
	if f, ok := s.(backend.Forgetter); ok {
		f.Forget(h.Object)
	}
}

// useExtents makes an object of a grant that says where the bytes are. It goes on with what is known from the one before, if
// that has not ended.
func (e *Engine) useExtents(v *volume, g *causeway.Grant, key uint64, full bool, sent time.Duration, tenure uint64, a *asking) *object {
	m := newMapped(e, v, g, key)
	if last := e.cache.peek(g.Handle); last != nil {
		switch {
		case last.mapped == nil:
		case last.valid() && last.tenure.Load() == tenure && last.mapped.key == key && last.mapped.add(g):
			m = last.mapped
		default:
			last.mapped.lose()
		}
		last.Release()
	}
	if m.seq.Load() != g.Seq {
		m.add(g)
	}
	o := &object{
		handle: g.Handle, vol: v, grant: *g, store: m, mapped: m, align: m.block, engine: e, leased: true, left: make(chan struct{}, 1),
	}
	o.grant.Extents = nil // m has them
	o.full.Store(full)
	o.until.Store(int64(sent + g.Lease - margin(g.Lease)))
	o.tenure.Store(tenure)
	return e.cache.put(o, a)
}

// withoutExtents ends what is done by extents where this gateway has become the owner, whose store finds the blocks by itself.
func (e *Engine) withoutExtents(h causeway.Handle) {
	if last := e.cache.peek(h); last != nil {
		if last.mapped != nil {
			last.mapped.lose()
		}
		last.Release()
	}
}

// unwritable reports that the storage lets nobody write a file which it may let read: it is immutable, a program that runs, or
// read-only for a server without privileges.
func unwritable(c causeway.Code) bool {
	return c == causeway.ErrPerm || c == causeway.ErrAccess || c == causeway.ErrBusy || c == causeway.ErrROFS
}

// Stats are counters since the start, and what is open now.
type Stats struct {
	Open         int
	Hits, Misses uint64
}

// Stats returns the state of the grant cache.
func (e *Engine) Stats() Stats {
	return Stats{Open: e.cache.open(), Hits: e.cache.hits.Load(), Misses: e.cache.misses.Load()}
}

// within returns how many of n bytes from off a file of this size has, and whether they reach its end.
func within(off uint64, n int, size uint64) (int, bool) {
	if off >= size || off > math.MaxInt64 {
		return 0, true
	}
	if left := size - off; uint64(n) >= left {
		return int(left), true
	}
	return n, false
}
