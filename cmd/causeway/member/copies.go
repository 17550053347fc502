package member

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"causeway"
	"causeway/cluster/record"
	"causeway/gateway"
	"causeway/gateway/replies"
	"causeway/gateway/shadow"
)

// copies are the second copies: those that others keep for this gateway, and those that it keeps for others.
type copies struct {
	split  *Split
	sender *shadow.Sender
	keeper shadow.Keeper

	ending sync.RWMutex // while what this gateway owns becomes what it keeps, nobody asks for it

	mu    sync.Mutex
	owned map[causeway.VolumeID]causeway.Epoch
}

// Add implements replies.Copies.
func (c *copies) Add(v causeway.VolumeID, op causeway.OpID, data []byte) {
	c.sender.Add(v, shadow.Record{Kind: shadow.KindReply, Name: string(op[:]), Data: data})
}

// Wait implements replies.Copies.
func (c *copies) Wait(ctx context.Context, v causeway.VolumeID) error { return c.sender.Wait(ctx, v) }

// Post implements replies.Copies.
func (c *copies) Post(v causeway.VolumeID) uint64 { return c.sender.Post(v) }

// Until implements replies.Copies.
func (c *copies) Until(ctx context.Context, v causeway.VolumeID, mark uint64) error {
	return c.sender.Until(ctx, v, mark)
}

// observe is told what clients hold and give up, before they are.
func (c *copies) observe(ctx context.Context, changes []causeway.Held) {
	volumes := make(map[causeway.VolumeID]bool, 1)
	for i := range changes {
		h := changes[i]
		c.sender.Add(h.Handle.Volume, c.held(h))
		volumes[h.Handle.Volume] = true
	}
	for v := range volumes {
		if err := c.sender.Wait(ctx, v); err != nil {
			c.split.m.log.Debug("a second copy is late", "volume", v, "err", err)
		}
	}
}

// renew begins copies anew where the gateway that kept them is gone.
func (c *copies) renew(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := c.sender.Refresh(ctx); err != nil && ctx.Err() == nil {
			c.split.m.log.Debug("a second copy is late", "err", err)
		}
	}
}

// held makes a record of what a client holds. Clients of this gateway are another one's there.
func (c *copies) held(h causeway.Held) shadow.Record {
	if h.Gateway == "" {
		h.Gateway = c.split.m.cfg.Cluster.Node
	}
	return shadow.HeldRecord(&h)
}

// all is everything that another gateway would have to know to take a volume over.
func (c *copies) all(ctx context.Context, v causeway.VolumeID) ([]shadow.Record, error) {
	var list []shadow.Record
	for _, r := range c.split.memory.Records(v) {
		list = append(list, shadow.Record{Kind: shadow.KindReply, Name: string(r.Op[:]), Data: r.Data})
	}
	held, err := c.split.engines.State.Held(ctx, v, "")
	for i := range held {
		list = append(list, c.held(held[i]))
	}
	return list, err
}

// whole is all of a volume that this gateway owns. A copy that is begun while the volume is given up must not begin with what is left of it
// then: it would be the newest, and empty.
func (c *copies) whole(ctx context.Context, v causeway.VolumeID) ([]shadow.Record, error) {
	c.ending.RLock()
	defer c.ending.RUnlock()
	if _, mine := c.epoch(v); !mine {
		return nil, causeway.ErrStaleEpoch
	}
	return c.all(ctx, v)
}

// restore takes a copy over. A record that cannot be read is worth a line, not the volume.
func (c *copies) restore(ctx context.Context, v causeway.VolumeID, copied shadow.Copy) error {
	var ended []replies.Record
	var held []causeway.Held
	log := c.split.m.log
	for _, r := range copied.Records {
		switch r.Kind {
		case shadow.KindReply:
			if len(r.Name) == len(causeway.OpID{}) {
				ended = append(ended, replies.Record{Op: causeway.OpID([]byte(r.Name)), Data: r.Data})
			}
		case shadow.KindHeld:
			h, err := shadow.HeldOf(r)
			if err != nil {
				log.Error("something that a client holds is lost", "volume", v, "err", err)
				continue
			}
			held = append(held, h)
		}
	}
	if err := c.split.memory.Restore(v, ended); err != nil {
		log.Error("how a change ended is lost", "volume", v, "err", err)
	}
	refused, err := c.split.engines.State.Assert(ctx, v, held)
	if len(refused) > 0 {
		log.Error("clients hold what contradicts", "volume", v, "refused", len(refused))
	}
	for _, h := range held { // its gateway may have died with the last owner, or before it
		if h.Gateway != "" && h.Gateway != c.split.m.cfg.Cluster.Node && !c.split.m.runs(h.Gateway) {
			c.split.engines.Layouts.Died(h.Gateway)
		}
	}
	if len(held) > 0 || len(ended) > 0 {
		log.Info("taken over from the last owner", "volume", v, "held", len(held)-len(refused), "replies", len(ended))
	}
	return err
}

// inherited is what of the newest copy the owner in epoch e takes over, of a volume whose record was created by revision born, and whether
// something is lost: copies before least do not count. How changes ended is true in an old copy too; what clients hold is not. A volume
// that is made again of a directory that was one before has the same id: what clients held in that one is nothing to this one.
func inherited(newest shadow.Copy, least shadow.Version, e causeway.Epoch, born int64) (_ shadow.Copy, lost bool) {
	unborn := func(last causeway.Epoch) bool {
		return last.Incarnation == e.Incarnation && last.Revision < uint64(born)
	}
	lost = newest.Version.Before(least) && !unborn(least.Epoch)
	switch {
	case unborn(newest.Version.Epoch):
		return shadow.Copy{}, lost
	case lost:
		newest.Records = slices.DeleteFunc(newest.Records, func(r shadow.Record) bool { return r.Kind == shadow.KindHeld })
	}
	return newest, lost
}

// least is the version before which no copy of a volume counts; zero if nobody has noted any.
func least(t *record.Table, v causeway.VolumeID) (w shadow.Version) {
	if r, _ := t.Shadow(v); r != nil {
		w = shadow.Version{Epoch: causeway.Epoch{Incarnation: r.Incarnation, Revision: r.Revision}, Term: r.Term}
	}
	return w
}

// note has the next owner know which copies count, as long as this gateway owns the volume.
func (c *copies) note(ctx context.Context, v causeway.VolumeID, w shadow.Version) error {
	cluster, key := c.split.m.Cluster(), record.Of(record.KindShadow, v)
	r := &record.Shadow{Incarnation: w.Epoch.Incarnation, Revision: w.Epoch.Revision, Term: w.Term}
	done, err := cluster.Transact(ctx, record.Txn{
		If:   []record.Cond{record.CreatedAt(record.Of(record.KindOwner, v), int64(w.Epoch.Revision)), record.Unchanged(key, cluster.Table().Mod(key))},
		Then: []record.Op{record.Put(key, r, 0)},
	})
	if err == nil && !done {
		err = causeway.ErrDelay // this gateway's copy of the records lags, or it is the owner no longer
	}
	return err
}

// retain forgets volumes that are no more.
func (c *copies) retain(t *record.Table) {
	c.keeper.Retain(func(v causeway.VolumeID) bool { return t.Volume(v) != nil })
}

func (c *copies) begin(v causeway.VolumeID, e causeway.Epoch) {
	c.mu.Lock()
	c.owned[v] = e
	c.mu.Unlock()
	c.sender.Begin(v, e)
}

// latest is the version of what the owner itself knows: newer than any copy of that ownership.
func latest(e causeway.Epoch) shadow.Version { return shadow.Version{Epoch: e, Term: math.MaxUint64} }

// end forgets what this gateway knew as the owner, but for a copy for the next one.
func (c *copies) end(ctx context.Context, v causeway.VolumeID) error {
	e, mine := c.epoch(v)
	if !mine {
		return nil
	}
	err := c.leave(ctx, v, e)
	// Who tells of a lock of another volume may be waiting for a copy of that one to begin, and this waits for him: so not while ending.
	c.split.engines.Locks.Drop(v)
	return err
}

// leave makes what this gateway owns what it keeps.
func (c *copies) leave(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) error {
	c.ending.Lock()
	defer c.ending.Unlock()
	list, err := c.all(ctx, v)
	if err == nil {
		err = c.keeper.Leave(&shadow.Batch{Volume: v, Version: latest(e), Whole: true, Seq: 1, Records: list})
	}
	if causeway.CodeOf(err) == causeway.ErrStaleEpoch {
		err = nil // the next owner serves already, and keeps its copy here
	}
	c.sender.End(v)
	c.mu.Lock()
	delete(c.owned, v)
	c.mu.Unlock()
	return err
}

func (c *copies) epoch(v causeway.VolumeID) (e causeway.Epoch, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, mine = c.owned[v]
	return e, mine
}

// Keep implements peer.Copies.
func (c *copies) Keep(b *shadow.Batch) error { return c.keeper.Keep(b) }

// Collect implements peer.Copies. The volume is paused when its owner is asked; it may be giving the volume up at this moment.
func (c *copies) Collect(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) (shadow.Copy, error) {
	c.ending.RLock()
	defer c.ending.RUnlock()
	own, mine := c.epoch(v)
	kept := c.keeper.Copy(v, e)
	if !mine || !own.Before(e) {
		return kept, nil
	}
	list, err := c.all(ctx, v)
	return shadow.Copy{Version: latest(own), Records: list}, err
}

var _ gateway.Observer = (&copies{}).observe
