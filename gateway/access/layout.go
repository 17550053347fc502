package access

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/access/grants"
)

// holderOf returns the table's name of a gateway: this one's own is Local.
func (e *Engine) holderOf(node string) string {
	if node == e.cfg.Node {
		return grants.Local
	}
	return node
}

// asserted is the table's name for what a gateway took over into this ownership. What this gateway itself does by extents it does as any
// other: it ends with its lease, by changes and by fences, and the blocks that it was given are in use. What it is given from now on has
// none of that, and is Local.
func (e *Engine) asserted(v *volume, node string) string {
	if v.mapper != nil {
		return node
	}
	return e.holderOf(node)
}

// namesOf are all names of a gateway in the table.
func (e *Engine) namesOf(v *volume, node string) []string {
	if name := e.holderOf(node); name != node && v.mapper != nil {
		return []string{name, node}
	} else {
		return []string{name}
	}
}

// owned finds a volume whose ownership a gateway believes in.
func (e *Engine) owned(id causeway.VolumeID, epoch causeway.Epoch) (*volume, error) {
	v, err := e.volume(id)
	if err == nil && epoch != (causeway.Epoch{}) && epoch != v.epoch {
		return nil, causeway.ErrStaleEpoch
	}
	return v, err
}

// Grant implements gateway.Layouts. What this gateway's own engine gets has no lease: it lives as long as the process. Where
// nobody else holds anything that it could conflict with, no record of it is kept either.
func (e *Engine) Grant(ctx context.Context, s *gateway.GrantSpec) (gateway.GrantReply, error) {
	v, err := e.owned(s.Handle.Volume, s.Epoch)
	if err != nil {
		return gateway.GrantReply{}, err
	}
	if s.First && v.Exclusive { // it would be in the way of all who ask for attributes
		return gateway.GrantReply{}, causeway.ErrWouldBlock
	}
	attr, err := v.store.Stat(ctx, s.Handle.Object)
	if err != nil {
		return gateway.GrantReply{}, err
	}
	if err := checkKind(s, &attr); err != nil {
		return gateway.GrantReply{}, err
	}
	want := grants.Ask{
		Handle: s.Handle, Holder: e.holderOf(s.Holder), Mode: s.Mode, Span: s.Span, Leases: s.Leases, NoWait: s.NoWait, First: s.First,
	}
	if s.Mode == causeway.IOReadWrite && v.ReadOnly {
		want.Mode = causeway.IORead
	}
	if v.grants == nil && want.Holder != grants.Local {
		return gateway.GrantReply{}, causeway.ErrNotSupp // nobody could recall it
	}
	if v.grants == nil || want.Holder == grants.Local && !v.Exclusive {
		return e.unrecorded(ctx, v, &want, &attr)
	}
	return e.recorded(ctx, v, s, &want, &attr)
}

// checkKind refuses what an object of this type cannot be asked for.
func checkKind(s *gateway.GrantSpec, a *causeway.Attr) error {
	dir := a.Type == causeway.TypeDirectory
	switch {
	case s.Mode != 0 && dir:
		return causeway.ErrIsDir
	case s.Mode != 0 && a.Type != causeway.TypeRegular, s.Mode > causeway.IOReadWrite, s.Mode == 0 && s.Leases == 0, s.Leases&^allLeases != 0:
		return causeway.ErrInval
	case !dir && (s.Leases&causeway.LeaseNames != 0 || s.Name != "" || s.List > 0):
		return causeway.ErrNotDir
	}
	return nil
}

// unrecorded is a grant to this gateway itself, which no other's conflicts with.
func (e *Engine) unrecorded(ctx context.Context, v *volume, a *grants.Ask, attr *causeway.Attr) (r gateway.GrantReply, err error) {
	r.Handle, r.Span, r.Epoch = a.Handle, a.Span, v.epoch
	if r.Mode = a.Mode; r.Mode != 0 && !v.ReadOnly {
		r.Mode = causeway.IOReadWrite
	}
	if r.Attr = *attr; r.Attr.Extended {
		if err = v.complete(ctx, a.Handle.Object, &r.Attr); err != nil {
			return r, err
		}
	}
	return r, e.locate(ctx, v, &r.Grant, a)
}

// recorded is a grant that the table keeps. It is in the table before anything of its contents is read: what changes later
// recalls it. attr is what the object had before.
func (e *Engine) recorded(ctx context.Context, v *volume, s *gateway.GrantSpec, a *grants.Ask, attr *causeway.Attr) (r gateway.GrantReply, err error) {
	g, err := v.grants.give(ctx, *a)
	if err != nil {
		return r, err
	}
	if v.ReadOnly {
		g.Mode = min(g.Mode, causeway.IORead)
	}
	r.Handle, r.Span, r.Epoch, r.Mode, r.Leases = a.Handle, g.Span, v.epoch, g.Mode, g.Leases
	if g.Mode|causeway.IOMode(g.Leases) != 0 {
		r.Seq = g.Seq
	}
	if a.Holder != grants.Local {
		r.Lease = v.grants.table.Lease()
	}
	if r.Attr = *attr; !v.Exclusive && a.Mode != 0 { // who moves the bytes asks the storage
		r.Attr.Extended, err = false, e.locate(ctx, v, &r.Grant, a)
	} else {
		err = e.fill(ctx, v, s, a, &r)
	}
	if err != nil {
		v.grants.back(a.Holder, gateway.Held{Handle: a.Handle, Mode: g.Mode, Leases: g.Leases, Seq: g.Seq})
		return gateway.GrantReply{}, err
	}
	return r, nil
}

func (e *Engine) fill(ctx context.Context, v *volume, s *gateway.GrantSpec, a *grants.Ask, r *gateway.GrantReply) (err error) {
	if v.Exclusive {
		if err = e.settled(ctx, s.NoWait, a.Handle); err != nil {
			return err
		}
		if s.NoWait && v.asks(a.Handle) {
			return causeway.ErrWouldBlock
		}
	}
	if r.Attr, err = e.attrOf(ctx, v, a.Handle); err != nil {
		return err
	}
	if s.Name != "" || s.List > 0 {
		return e.leaseEntries(ctx, v, s, a.Holder, r)
	}
	return e.locate(ctx, v, &r.Grant, a)
}

// attrOf returns complete attributes of now.
func (e *Engine) attrOf(ctx context.Context, v *volume, h causeway.Handle) (causeway.Attr, error) {
	attr, err := v.store.Stat(ctx, h.Object)
	if err == nil {
		err = e.fresh(ctx, v, h, &attr)
	}
	if err == nil {
		err = named(&attr)
	}
	if err == nil {
		err = v.complete(ctx, h.Object, &attr)
	}
	return attr, err
}

// complete reads the ACL of an object, by which the holder of its attributes decides the rights of any caller.
func (v *volume) complete(ctx context.Context, id causeway.ObjectID, a *causeway.Attr) (err error) {
	if a.Extended {
		a.ACL, err = v.store.ACL(ctx, id)
		a.Extended = false
	}
	return err
}

// locate adds where the bytes lie, and which of them locks deny.
func (e *Engine) locate(ctx context.Context, v *volume, g *causeway.Grant, a *grants.Ask) (err error) {
	if g.Mode == 0 {
		return nil
	}
	// Asked after the grant got its place: whoever sets a guard from now on recalls it.
	g.Deny, g.Guarded = e.locks.Deny(g.Handle, g.Mode == causeway.IOReadWrite)
	switch {
	case v.mapper == nil:
		g.Extents, g.Locator, err = v.store.Extents(ctx, g.Handle.Object, g.Mode, g.Span)
	case a.Holder != grants.Local: // whose engine opens the file, and finds the blocks at each I/O
		// Blocks are given for what was asked for, not for all that may be held.
		g.Extents, g.Locator, err = v.store.Extents(ctx, g.Handle.Object, min(a.Mode, g.Mode), a.Span)
		if err == causeway.ErrNoSpc { // it holds what it held
			s := causeway.Span{Offset: a.Span.Offset, Length: causeway.ToEOF}
			g.Extents, g.Locator, err = v.store.Extents(ctx, g.Handle.Object, min(a.Mode, g.Mode), s)
		}
	}
	return err
}

// leaseEntries adds entries of a directory with leases on their attributes.
func (e *Engine) leaseEntries(ctx context.Context, v *volume, s *gateway.GrantSpec, holder string, r *gateway.GrantReply) (err error) {
	for range lookAgain {
		if err = e.leaseEntriesOnce(ctx, v, s, holder, r); s.Name == "" || causeway.CodeOf(err) != causeway.ErrStale {
			return err
		}
		if _, statErr := v.store.Stat(ctx, s.Handle.Object); statErr != nil {
			return statErr
		}
	}
	return err
}

// lookAgain bounds how often a name is looked up again because its object was gone when it was looked at: another one may have the name.
const lookAgain = 100

func (e *Engine) leaseEntriesOnce(ctx context.Context, v *volume, s *gateway.GrantSpec, holder string, r *gateway.GrantReply) (err error) {
	r.Entries = nil
	if s.Name != "" {
		if err := checkName(s.Name); err != nil {
			return err
		}
		name, err := e.spelt(ctx, &gateway.Caller{}, s.Handle, s.Name)
		if err != nil {
			return err
		}
		id, attr, err := v.store.Lookup(ctx, s.Handle.Object, name)
		switch causeway.CodeOf(err) {
		case causeway.OK:
		case causeway.ErrNoEnt:
			return nil
		default:
			return err
		}
		r.Entries = []gateway.GrantEntry{{DirEntry: causeway.DirEntry{Name: s.Name, Object: id, Attr: attr, FileID: attr.FileID, Type: attr.Type}}}
	} else {
		r.EOF, err = v.store.List(ctx, s.Handle.Object, s.Cookie, true, func(x *causeway.DirEntry) bool {
			if len(r.Entries) == min(s.List, gateway.MaxGrantList) {
				return false
			}
			kept := *x
			kept.Name = strings.Clone(x.Name) // a buffer's, which the next entries are read into
			r.Entries = append(r.Entries, gateway.GrantEntry{DirEntry: kept})
			return true
		})
		if err != nil {
			return err
		}
	}
	for i := range r.Entries {
		if err := e.leaseEntry(ctx, v, s, holder, &r.Entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// leaseEntry gives a lease on an entry's attributes if it can be had at once; an object that vanished meanwhile has none.
func (e *Engine) leaseEntry(ctx context.Context, v *volume, s *gateway.GrantSpec, holder string, x *gateway.GrantEntry) error {
	if x.Object.IsZero() {
		return nil
	}
	h := causeway.Handle{Volume: v.ID, Object: x.Object}
	g, err := v.grants.give(ctx, grants.Ask{Handle: h, Holder: holder, Leases: causeway.LeaseAttr, NoWait: true})
	if err != nil {
		g = grants.Given{}
	}
	if g.Leases != 0 {
		x.Seq = g.Seq
		if err := e.settled(ctx, s.NoWait, h); err != nil {
			return err
		}
	}
	if x.Attr, err = e.attrOf(ctx, v, h); err != nil {
		x.Attr, x.Seq = causeway.Attr{}, 0
		if s.Name == "" {
			return nil
		}
	}
	return err
}

// Renew implements gateway.Layouts.
func (e *Engine) Renew(ctx context.Context, holder string, epoch causeway.Epoch, held []gateway.Held) (ended []gateway.Held, err error) {
	if len(held) == 0 {
		return nil, nil
	}
	v, err := e.owned(held[0].Handle.Volume, epoch)
	if err != nil {
		return nil, err
	}
	for _, h := range held {
		if h.Written && h.Handle.Volume == v.ID {
			e.modified(ctx, h.Handle, gateway.NoticeSize|gateway.NoticeLastWrite)
		}
	}
	if v.grants == nil {
		return held, nil
	}
	names := e.namesOf(v, holder)
	v.grants.step(func(now time.Duration, table *grants.Table) {
		for _, h := range held {
			renewed := func(name string) bool { return table.Renew(now, h.Handle, name, h.Mode, h.Leases, h.Seq) }
			if h.Handle.Volume != v.ID || !slices.ContainsFunc(names, renewed) {
				ended = append(ended, h)
			}
		}
	})
	return ended, nil
}

// Commit implements gateway.Layouts.
func (e *Engine) Commit(ctx context.Context, holder string, epoch causeway.Epoch, held gateway.Held, c *gateway.Commit) error {
	v, err := e.owned(held.Handle.Volume, epoch)
	if err != nil || !c.Written {
		return err
	}
	if v.grants == nil {
		return causeway.ErrStale
	}
	return v.grants.commitHeld(ctx, e.asserted(v, holder), held, c)
}

// Return implements gateway.Layouts.
func (e *Engine) Return(ctx context.Context, holder string, epoch causeway.Epoch, held gateway.Held, c *gateway.Commit) error {
	v, err := e.owned(held.Handle.Volume, epoch)
	if err != nil || v.grants == nil {
		return err
	}
	if c != nil && c.Written {
		err = e.Commit(ctx, holder, epoch, held, c)
	}
	for _, name := range e.namesOf(v, holder) {
		v.grants.back(name, held)
	}
	return err
}

// AssertGrants takes over what a gateway held of a volume under its last owner, before the volume is served (see
// gateway.Holder.Reassert). It returns what the gateway must give up, since it conflicts with what another has asserted.
func (e *Engine) AssertGrants(holder string, epoch causeway.Epoch, held []gateway.Held) (refused []gateway.Held, err error) {
	if len(held) == 0 {
		return nil, nil
	}
	v, err := e.owned(held[0].Handle.Volume, epoch)
	if err != nil || v.grants == nil {
		return held, err
	}
	writes := false
	v.grants.step(func(now time.Duration, table *grants.Table) {
		if v.grants.settled { // what it wrote to may be another file's
			refused = held
			return
		}
		for _, h := range held {
			a := grants.Ask{Handle: h.Handle, Holder: e.asserted(v, holder), Mode: h.Mode, Span: h.Span, Leases: h.Leases}
			if h.Handle.Volume != v.ID || h.Seq == math.MaxUint64 || !table.Assert(now, a, h.Seq) {
				refused = append(refused, h)
			}
		}
	})
	for _, h := range refused {
		writes = writes || h.Mode == causeway.IOReadWrite
	}
	if v.mapper != nil && writes { // it believes in it already
		return refused, v.mapper.Fence(context.Background(), holder)
	}
	return refused, nil
}

// Lost tells that a gateway is surely stopped: nobody waits for what it held.
func (e *Engine) Lost(node string) {
	e.Died(node)
	for _, v := range *e.volumes.Load() {
		if v.grants != nil && e.holderOf(node) != grants.Local {
			v.grants.step(func(now time.Duration, table *grants.Table) { table.Lost(now, node) })
		}
	}
}

// Died ends what SMB clients had open through a gateway that is no member any more, but for what is kept for them.
func (e *Engine) Died(node string) { e.locks.Died(node) }

// Denied tells that what locks deny has changed: what is held of the object ends, so that whoever goes on learns
// of them. It returns when no I/O runs under an earlier grant.
func (e *Engine) Denied(ctx context.Context, h causeway.Handle) error {
	v, err := e.volume(h.Volume)
	if err != nil {
		return err
	}
	if v.grants != nil && v.grants.foreign.Load() != 0 {
		if err := v.grants.end(ctx, h); err != nil {
			return err
		}
	}
	_, err = e.ask(ctx, grants.Local, &gateway.Recall{Handle: h, Epoch: v.epoch, Seq: math.MaxUint64})
	return err
}
