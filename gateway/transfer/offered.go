package transfer

import (
	"math"
	"time"

	"causeway"
	"causeway/gateway"
)

var _ gateway.Taker = (*Engine)(nil)

// offered is a grant that came unasked, of an object that nobody has used here yet: it is opened when somebody does. One that nobody uses
// ends with its lease, since it is not renewed.
type offered struct {
	grant  causeway.Grant
	sent   time.Duration // the question that it came with
	tenure uint64
	life   uint64
}

// maxOffered bounds those of a shard.
const maxOffered = 64

// Expect implements gateway.Taker.
func (e *Engine) Expect(id causeway.VolumeID) func(*causeway.Grant) {
	v := (*e.volumes.Load())[id]
	if v == nil || v.blocks != nil {
		return nil
	}
	x := offered{sent: e.cfg.Now(), tenure: v.tenure.Load(), life: v.life.Load()}
	return func(g *causeway.Grant) {
		if g.Handle.Volume != id || g.Lease <= 0 || g.Seq == 0 || g.Mode != causeway.IOReadWrite || !e.follow(v, g.Epoch, &x.tenure) {
			return
		}
		x.grant = *g
		if e.cache.offer(&x, e.cfg.Now()) && e.cfg.Granted != nil {
			e.cfg.Granted(g.Handle, g.Seq)
		}
	}
}

// lasts is object.lasts.
func (x *offered) lasts(now time.Duration) bool {
	return now+x.grant.Lease/8 < x.sent+x.grant.Lease-margin(x.grant.Lease)
}

// offer keeps a grant that came unasked, unless it has been recalled meanwhile, or one was asked for: that is newer then.
func (c *cache) offer(x *offered, now time.Duration) bool {
	h := x.grant.Handle
	s := c.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects[h] != nil || s.asking[h] != nil || s.leaving[h] != nil || s.recalled[h.Volume] >= x.grant.Seq {
		return false
	}
	if len(s.offers) >= maxOffered {
		for h, old := range s.offers {
			if !old.lasts(now) {
				delete(s.offers, h)
			}
		}
	}
	if len(s.offers) >= maxOffered {
		return false
	}
	s.offers[h] = x
	return true
}

// takeOfferLocked returns a grant that came unasked, for who is about to ask for one.
func (s *shard) takeOfferLocked(h causeway.Handle) *offered {
	x := s.offers[h]
	delete(s.offers, h)
	return x
}

// withdrawLocked ends a grant that came unasked, and any that is still to come and has a number up to seq: that it is of the object is not
// known before it comes, so what is recalled ends all of them.
func (s *shard) withdrawLocked(h causeway.Handle, seq uint64) {
	if seq != math.MaxUint64 { // which no other gateway says, and of which nothing comes unasked
		s.recalled[h.Volume] = max(s.recalled[h.Volume], seq)
	}
	if x := s.offers[h]; x != nil && x.grant.Seq <= seq {
		delete(s.offers, h)
	}
}

// dropOffers ends what came unasked of a volume.
func (c *cache) dropOffers(id causeway.VolumeID) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for h := range s.offers {
			if h.Volume == id {
				delete(s.offers, h)
			}
		}
		s.mu.Unlock()
	}
}

// usable reports whether somebody who wants an object can have it by a grant that came unasked.
func (e *Engine) usable(v *volume, x *offered) bool {
	return x != nil && x.tenure == v.tenure.Load() && x.life == v.life.Load() && x.lasts(e.cfg.Now())
}
