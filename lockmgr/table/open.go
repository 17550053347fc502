package table

import (
	"cmp"
	"slices"

	"causeway"
)

// open is an object that a client has open. What is known of it to others is its Held.
type open struct {
	causeway.Held
	object *object
	client *client
	lease  *lease
	left   int // ticks, while disconnected
}

// OpenRequest is an open that is asked for. Of Held, what an open has; Lease and what follows it there is decided by the table.
type OpenRequest struct {
	Held    causeway.Held
	Lease   LeaseRequest
	Empties bool // the open throws the content away
	Dir     bool // the object is a directory
	Reclaim bool
	Claim   uint64 // of the caller that waits for breaks, see Claim; 0 for who cannot wait
	Peek    bool   // ErrWouldBlock instead of a break that has to be waited for, or of the loss of a disconnected open
}

// Open opens: OK; ErrBlocked if holders of leases have to give way first: the caller asks again after Unblocked, and ends its
// claim then; ErrSharing, ErrDeletePending, ErrWouldBlock, ErrGrace, ErrNoGrace, ErrNoLocks, ErrInval if the lease's key is
// another object's.
func (t *Table) Open(r *OpenRequest) (causeway.Held, LeaseState, causeway.Code) {
	h := &r.Held
	if code := t.admit(h.Handle.Volume, ClientOf(h.Owner), r.Reclaim); code != causeway.OK {
		return causeway.Held{}, LeaseState{}, code
	}
	if l := t.keys[r.Lease.ID]; l != nil && l.object.handle != h.Handle {
		return causeway.Held{}, LeaseState{}, causeway.ErrInval // [MS-SMB2] 3.3.5.9.8
	}
	h.Parent = r.Lease.Parent
	obj := t.object(h.Handle)
	defer func() { t.dropIfUnused(obj) }()
	if code := t.makeWay(obj, r); code != causeway.OK {
		return causeway.Held{}, LeaseState{}, code
	}
	obj = t.object(h.Handle) // it may have been dropped with opens that gave way
	o, code := t.addOpen(obj, *h)
	if code != causeway.OK {
		return causeway.Held{}, LeaseState{}, code
	}
	before := len(t.changes)
	t.giveLease(o, &r.Lease, r.Dir, r.Claim)
	if r.Dir || o.lease == nil || o.lease.caching&causeway.CacheHandle == 0 {
		o.KeepSeconds = 0
	}
	t.guids[o.GUID] = o
	if o.GUID == ([16]byte{}) {
		delete(t.guids, o.GUID)
	}
	t.noteOpen(o)
	if n := len(t.changes); n > before+1 { // who applies changes in order has the open before its lease
		t.changes[before], t.changes[n-1] = t.changes[n-1], t.changes[before]
	}
	return o.Held, o.leaseState(), causeway.OK
}

func (o *open) leaseState() LeaseState {
	if o.lease == nil {
		return LeaseState{}
	}
	return o.lease.state()
}

func (t *Table) addOpen(obj *object, h causeway.Held) (*open, causeway.Code) {
	cl := t.client(ClientOf(h.Owner))
	if len(t.opens) >= t.limits.Opens || cl.opens >= t.limits.OpensPerClient || t.opens[h.Open] != nil {
		t.dropIfGone(cl)
		return nil, causeway.ErrNoLocks
	}
	t.serial++
	h.Kind, h.Serial = causeway.HeldOpen, t.serial
	h.Disconnected, h.Lease = false, causeway.LeaseID{}
	o := &open{Held: h, object: obj, client: cl}
	t.opens[h.Open] = o
	obj.opens = append(obj.opens, o)
	cl.opens++
	return o, causeway.OK
}

// makeWay looks at share modes and breaks the leases that stand against the open: of those whose handles are in the way the
// handles first, and when there are none, what opening takes from each.
func (t *Table) makeWay(obj *object, r *OpenRequest) causeway.Code {
	for {
		if obj.doom != nil && obj.doom.names(r.Held.Dir, r.Held.Name) {
			return r.doomed(t, obj) // perhaps by an open that just gave way
		}
		refused, handles, losers := share(obj, r)
		if refused {
			return causeway.ErrSharing
		}
		if r.Peek && (len(losers) > 0 || r.wouldWait(obj, handles)) {
			return causeway.ErrWouldBlock
		}
		for _, o := range losers {
			t.lose(o)
		}
		if t.breakFor(obj, r, handles) {
			return causeway.ErrBlocked
		}
		if len(handles) == 0 && (obj.doom == nil || !obj.doom.names(r.Held.Dir, r.Held.Name)) {
			return causeway.OK
		}
		// Nobody could be asked for these handles: their opens were disconnected, and are lost now.
	}
}

// breakFor breaks what the open takes. Who has begun to wait for a lease waits until nothing is being broken of it any more, like those
// who came later and want more.
func (t *Table) breakFor(obj *object, r *OpenRequest, handles map[*lease]bool) (waits bool) {
	_, waited := obj.claims[r.Claim]
	for _, l := range slices.Clone(obj.leases) {
		mask, awaited := r.takes(l, handles)
		if l.caching&mask != 0 {
			t.breakLease(l, l.caching&^mask)
		}
		if l.breaking && (l.caching&awaited != 0 || waited && mask != 0 && l.id.Kind == causeway.Lease) {
			waits = true
			if r.Claim != 0 {
				t.claim(obj.handle, r.Claim, mask)
			}
		}
	}
	return waits
}

func (r *OpenRequest) wouldWait(obj *object, handles map[*lease]bool) bool {
	return slices.ContainsFunc(obj.leases, func(l *lease) bool {
		_, awaited := r.takes(l, handles)
		return l.caching&awaited != 0
	})
}

// Close ends an open, with the locks of an SMB open: OK or ErrBadOpen. Doomed follows if its name goes with it.
func (t *Table) Close(h causeway.Handle, id causeway.OpenID) causeway.Code {
	o := t.opens[id]
	if o == nil || o.Handle != h {
		return causeway.ErrBadOpen
	}
	t.drop(o)
	return causeway.OK
}

// lose is drop for an open whose client does not ask for it.
func (t *Table) lose(o *open) {
	t.effects = append(t.effects, Effect{Kind: Lost, Handle: o.Handle, Held: o.Held, To: o.Gateway})
	t.drop(o)
}

func (t *Table) drop(o *open) {
	obj := o.object
	delete(t.opens, o.Open)
	delete(t.timed, o)
	if t.guids[o.GUID] == o {
		delete(t.guids, o.GUID)
	}
	obj.opens = slices.DeleteFunc(obj.opens, func(p *open) bool { return p == o })
	dooms := o.DeleteOnClose && obj.doom == nil
	if dooms { // before its lease goes: who has nothing left is forgotten
		obj.doom = &doom{dir: o.Dir, name: o.Name, by: o.Held}
	}
	if l := o.lease; l != nil && l.id.Kind != causeway.Delegation {
		l.opens = slices.DeleteFunc(l.opens, func(p *open) bool { return p == o })
		if len(l.opens) == 0 {
			t.dropLease(l)
		}
	}
	gone := o.Held
	gone.Gone = true
	t.note(gone)
	if o.Owner.Kind == causeway.OwnerSMB {
		t.ReleaseOwner(o.Owner)
	}
	o.client.opens--
	t.dropIfGone(o.client)
	if dooms {
		t.markDoomed(obj)
		for _, l := range slices.Clone(obj.leases) {
			t.breakLease(l, l.caching&^causeway.CacheHandle)
		}
	}
	t.execute(obj)
	t.unblocked(obj)
	t.dropIfUnused(obj)
}

// Renamed tells that a name became another one: opens follow it.
func (t *Table) Renamed(h causeway.Handle, fromDir causeway.Handle, from string, toDir causeway.Handle, to string) {
	obj := t.objects[h]
	if obj == nil {
		return
	}
	for _, o := range obj.opens {
		if o.Dir == fromDir && o.Name == from {
			o.Dir, o.Name = toDir, to
			t.noteOpen(o)
		}
	}
	if d := obj.doom; d != nil && d.dir == fromDir && d.name == from {
		d.dir, d.name = toDir, to
		d.by.Dir, d.by.Name = toDir, to
	}
}

// Upgrade gives an open more access and lets it share less: ErrBadOpen, ErrSharing. Leases were broken by an Open before.
func (t *Table) Upgrade(r *OpenRequest) (causeway.Held, LeaseState, causeway.Code) {
	o := t.opens[r.Held.Open]
	if o == nil || o.Handle != r.Held.Handle || o.Owner != r.Held.Owner {
		return causeway.Held{}, LeaseState{}, causeway.ErrBadOpen
	}
	want := *r
	want.Held.Access |= o.Access
	want.Held.Share &= o.Share
	others := o.object.opens
	o.object.opens = slices.DeleteFunc(slices.Clone(others), func(p *open) bool { return p == o })
	code := t.makeWay(o.object, &want)
	o.object.opens = append(o.object.opens, o)
	slices.SortFunc(o.object.opens, func(a, b *open) int { return cmp.Compare(a.Serial, b.Serial) })
	if code != causeway.OK {
		return causeway.Held{}, LeaseState{}, code
	}
	o.Access, o.Share = want.Held.Access, want.Held.Share
	t.noteOpen(o)
	return o.Held, o.leaseState(), causeway.OK
}

// Downgrade takes access from an open and lets it share more: ErrInval unless it had what it keeps.
func (t *Table) Downgrade(h causeway.Handle, id causeway.OpenID, access causeway.AccessMask, share causeway.Sharing) causeway.Code {
	o := t.opens[id]
	switch {
	case o == nil || o.Handle != h:
		return causeway.ErrBadOpen
	case access&^o.Access != 0 || o.Share&^share != 0:
		return causeway.ErrInval
	}
	o.Access, o.Share = access, share
	t.noteOpen(o)
	t.unblocked(o.object)
	return causeway.OK
}

// releaseOpens ends all opens that are meant, in the order in which they were made.
func (t *Table) releaseOpens(meant func(*open) bool) {
	var list []*open
	for _, o := range t.opens {
		if meant(o) {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b *open) int { return cmp.Compare(a.Serial, b.Serial) })
	for _, o := range list {
		if t.opens[o.Open] == o {
			t.drop(o)
		}
	}
}

// OpensOn counts the opens of an object.
func (t *Table) OpensOn(h causeway.Handle) int {
	if obj := t.objects[h]; obj != nil {
		return len(obj.opens)
	}
	return 0
}

// Refuses reports whether an open stands against another one with this access and share mode. Those that are disconnected would give
// way, and do not count.
func (t *Table) Refuses(h causeway.Handle, access causeway.AccessMask, share causeway.Sharing) bool {
	obj := t.objects[h]
	return obj != nil && slices.ContainsFunc(obj.opens, func(o *open) bool {
		return !o.Disconnected && conflict(o.Access, o.Share, access, share)
	})
}

// OpenDirs returns the directories of a volume in which something is open by name, each once.
func (t *Table) OpenDirs(v causeway.VolumeID) []causeway.Handle {
	seen := make(map[causeway.Handle]bool)
	var dirs []causeway.Handle
	for _, o := range t.opens {
		if o.Handle.Volume == v && o.Name != "" && !seen[o.Dir] {
			seen[o.Dir] = true
			dirs = append(dirs, o.Dir)
		}
	}
	return dirs
}

// OpenOf returns what is known of an open; ErrBadOpen if there is none.
func (t *Table) OpenOf(h causeway.Handle, id causeway.OpenID) (causeway.Held, LeaseState, causeway.Code) {
	o := t.opens[id]
	if o == nil || o.Handle != h {
		return causeway.Held{}, LeaseState{}, causeway.ErrBadOpen
	}
	return o.Held, o.leaseState(), causeway.OK
}

// NameOf returns a name under which an object is open.
func (t *Table) NameOf(h causeway.Handle) (dir causeway.Handle, name string, ok bool) {
	if obj := t.objects[h]; obj != nil {
		for _, o := range obj.opens {
			if o.Name != "" {
				return o.Dir, o.Name, true
			}
		}
	}
	return dir, "", false
}
