package near

import (
	"context"
	"sync"
	"time"

	"causeway"
	"causeway/gateway"
)

// Recall implements gateway.Holder: leases end here, bytes at the holder of bytes.
func (n *Cache) Recall(ctx context.Context, r *gateway.Recall) (gateway.Commit, error) {
	if n.known.before(r.Handle.Volume, r.Epoch) {
		return gateway.Commit{}, causeway.ErrStaleEpoch
	}
	n.known.recall(r)
	if n.cfg.Holder == nil || r.Mode >= causeway.IOReadWrite && r.Leases != 0 {
		return gateway.Commit{}, nil
	}
	return n.cfg.Holder.Recall(ctx, r)
}

// Reassert implements gateway.Holder. Leases on names and attributes end: to ask for them again costs little.
func (n *Cache) Reassert(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) ([]gateway.Held, error) {
	if !n.known.follow(v, e) {
		return nil, causeway.ErrStaleEpoch
	}
	n.known.forgetVolume(v)
	if n.cfg.Holder == nil {
		return nil, nil
	}
	return n.cfg.Holder.Reassert(ctx, v, e)
}

// Granted is told by the holder of bytes that it got a grant: attributes that were leased before are no longer to be relied on.
func (n *Cache) Granted(h causeway.Handle, seq uint64) {
	n.known.recall(&gateway.Recall{Handle: h, Seq: seq, Leases: causeway.LeaseAttr})
}

// recall ends leases.
func (k *known) recall(r *gateway.Recall) {
	if r.Leases == 0 {
		return
	}
	k.mu.Lock()
	v := k.volume(r.Handle.Volume)
	if v.epoch.Before(r.Epoch) { // what it recalls may be the first that comes of this ownership
		v.begin(r.Epoch)
	}
	if len(v.byHandle) >= maxRecalled {
		for h, seq := range v.byHandle {
			v.floor = max(v.floor, seq)
			delete(v.byHandle, h)
		}
	}
	v.byHandle[r.Handle] = max(v.byHandle[r.Handle], r.Seq)
	k.mu.Unlock()
	s := k.shard(r.Handle)
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[r.Handle]
	if o == nil {
		return
	}
	if r.Leases&causeway.LeaseAttr != 0 && o.attrSeq <= r.Seq {
		o.attrSeq = 0
	}
	if r.Leases&causeway.LeaseNames != 0 && o.namesSeq <= r.Seq {
		s.names -= o.kept
		o.namesSeq, o.kept, o.names, o.pages = 0, 0, nil, nil
	}
}

// volume returns the recalls of a volume. k.mu is held.
func (k *known) volume(id causeway.VolumeID) *recalled {
	v := k.volumes[id]
	if v == nil {
		v = &recalled{byHandle: map[causeway.Handle]uint64{}}
		k.volumes[id] = v
	}
	return v
}

// begin forgets the recalls of an earlier ownership.
func (v *recalled) begin(e causeway.Epoch) {
	v.epoch, v.floor = e, 0
	clear(v.byHandle)
}

// isRecalled reports whether a lease that comes now was recalled before. The object's shard is locked, so that a recall that
// comes now ends what is remembered after.
func (k *known) isRecalled(h causeway.Handle, epoch causeway.Epoch, seq uint64) bool {
	k.mu.Lock()
	v := k.volume(h.Volume)
	newer := v.epoch.Before(epoch)
	if newer {
		v.begin(epoch)
	}
	recalled := epoch.Before(v.epoch) || seq <= v.floor || seq <= v.byHandle[h]
	k.mu.Unlock()
	return recalled
}

// before reports whether an epoch is older than the one known.
func (k *known) before(id causeway.VolumeID, e causeway.Epoch) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return e.Before(k.volume(id).epoch)
}

// follow notes a new epoch; false if there is a newer one.
func (k *known) follow(id causeway.VolumeID, e causeway.Epoch) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	v := k.volume(id)
	if e.Before(v.epoch) {
		return false
	}
	if v.epoch != e {
		v.begin(e)
	}
	return true
}

// Drop forgets all of a volume: its settings or its owner have changed.
func (n *Cache) Drop(v causeway.VolumeID) { n.known.forgetVolume(v) }

func (k *known) forgetVolume(id causeway.VolumeID) {
	k.tenure.Add(1) // before the shards: who learns looks while he has one
	for i := range k.shards {
		s := &k.shards[i]
		s.mu.Lock()
		for h := range s.objects {
			if h.Volume == id {
				s.forget(h)
			}
		}
		s.mu.Unlock()
	}
}

// renewing renews leases of what was used since the last time.
func (n *Cache) renewing(ctx context.Context) {
	tick := time.NewTicker(n.cfg.Renew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			var running sync.WaitGroup
			for v, held := range n.known.inUse(n.cfg.Now()) {
				running.Go(func() { n.renew(ctx, v, held) })
			}
			running.Wait()
		}
	}
}

// inUse returns the leases that were used since it was called last, and forgets what has ended.
func (k *known) inUse(now time.Duration) map[causeway.VolumeID][]gateway.Held {
	out := map[causeway.VolumeID][]gateway.Held{}
	for i := range k.shards {
		s := &k.shards[i]
		s.mu.Lock()
		for h, o := range s.objects {
			attr, names := o.attrSeq != 0 && now < o.attrUntil, o.namesSeq != 0 && now < o.namesUntil
			switch {
			case !attr && !names:
				s.forget(h)
				continue
			case !o.used.Swap(false):
				continue
			}
			if attr {
				out[h.Volume] = append(out[h.Volume], gateway.Held{Handle: h, Leases: causeway.LeaseAttr, Seq: o.attrSeq})
			}
			if names && o.namesSeq == o.attrSeq {
				last := &out[h.Volume][len(out[h.Volume])-1]
				last.Leases |= causeway.LeaseNames
			} else if names {
				out[h.Volume] = append(out[h.Volume], gateway.Held{Handle: h, Leases: causeway.LeaseNames, Seq: o.namesSeq})
			}
		}
		s.mu.Unlock()
	}
	return out
}

// renewBatch is how many leases are renewed with one message.
const renewBatch = 1024

func (n *Cache) renew(ctx context.Context, v causeway.VolumeID, held []gateway.Held) {
	for len(held) > 0 {
		batch := held[:min(len(held), renewBatch)]
		held = held[len(batch):]
		lease, epoch := n.known.terms(v)
		sent := n.cfg.Now()
		ended, err := n.next.Renew(ctx, n.cfg.Node, epoch, batch)
		if err != nil {
			return // they end, and whoever needs them asks anew
		}
		lost := make(map[gateway.Held]bool, len(ended))
		for _, h := range ended {
			lost[h] = true
		}
		for _, h := range batch {
			if !lost[h] {
				n.known.lengthen(h, sent+lease-lease/50)
			}
		}
	}
}

// terms returns how long leases of a volume last, and under which ownership.
func (k *known) terms(id causeway.VolumeID) (time.Duration, causeway.Epoch) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v := k.volume(id)
	return v.lease, v.epoch
}

func (k *known) lengthen(h gateway.Held, until time.Duration) {
	s := k.shard(h.Handle)
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[h.Handle]
	if o == nil {
		return
	}
	if h.Leases&causeway.LeaseAttr != 0 && o.attrSeq == h.Seq {
		o.attrUntil = max(o.attrUntil, until)
	}
	if h.Leases&causeway.LeaseNames != 0 && o.namesSeq == h.Seq {
		o.namesUntil = max(o.namesUntil, until)
	}
}
