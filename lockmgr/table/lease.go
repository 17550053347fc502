package table

import (
	"maps"
	"slices"

	"causeway"
)

// A lease is what its holder may cache of an object: an oplock of one open, a lease of a key that opens of one client share, or
// a delegation. What conflicts with it breaks it ([MS-FSA] 2.1.4.12): the lease goes down to what the break says, at once if there is
// nothing that its holder would have to do first, else when he acknowledges it or his time is over. Until then what needs
// him to give way waits, and what comes later and wants more taken away makes the break go further: that is told to him
// after his acknowledgement, in another break.
type lease struct {
	id       causeway.LeaseID
	object   *object
	owner    Client // of delegations, which outlive their opens
	gateway  string
	caching  causeway.Caching
	epoch    uint16
	v2       bool
	parent   causeway.LeaseKey
	opens    []*open
	breaking bool
	to       causeway.Caching // what the break said
	required causeway.Caching // what those who wait want, never more than to
	left     int              // ticks for the acknowledgement
	serial   uint64
}

// leaseName: one client may hold delegations, or use one key by mistake, for several objects.
type leaseName struct {
	causeway.LeaseID
	causeway.Handle
}

// Break is what the holder of a lease is told. Its fields are those of gateway.Break but for the time limit.
type Break struct {
	Handle   causeway.Handle
	ID       causeway.LeaseID
	Owner    causeway.Owner // of one of its opens
	Open     causeway.OpenID
	From, To causeway.Caching
	Epoch    uint16
	Ack      bool
}

// LeaseState is the state of a lease. Its fields are those of gateway.LeaseState.
type LeaseState struct {
	ID       causeway.LeaseID
	Caching  causeway.Caching
	Breaking bool
	Epoch    uint16
	Parent   causeway.LeaseKey
}

func (l *lease) state() LeaseState {
	return LeaseState{l.id, l.caching, l.breaking, l.epoch, l.parent}
}

// By is who does something that leases of others may conflict with.
type By struct {
	Owner causeway.Owner
	Open  causeway.OpenID // zero if none
}

// Op is something that is done to an object beside opening it.
type Op uint8

// The operations ([MS-FSA] 2.1.4.12, Operation).
const (
	OpRead    Op = iota + 1
	OpWrite      // or a change of size or allocation
	OpLock       // of bytes
	OpName       // a rename, link or removal of a name of the object
	OpEntries    // a change of a directory's entries
)

// takes returns the caching that the operation takes from others, and the one that it waits for. What it does not wait for is
// what its holder cannot have changed.
func (op Op) takes() (mask, awaited causeway.Caching) {
	switch op {
	case OpRead:
		return causeway.CacheWrite, causeway.CacheWrite
	case OpWrite, OpLock:
		return causeway.CacheAll, causeway.CacheWrite
	case OpName:
		return causeway.CacheHandle, causeway.CacheHandle
	case OpEntries:
		return causeway.CacheAll, 0
	}
	return 0, 0
}

// spares reports whether the lease is the actor's own and stays.
func (l *lease) spares(op Op, by By, actor *open) bool {
	if l.id.Kind == causeway.Delegation {
		return ClientOf(by.Owner) == l.owner
	}
	if actor == nil {
		return false
	}
	if op == OpEntries { // [MS-SMB2] 3.3.1.4: the changing open names its directory's lease
		p := actor.Parent
		return p != causeway.LeaseKey{} && l.id.Client == actor.Lease.Client && l.id.Key == p
	}
	if actor.lease != l {
		return false
	}
	// A writer breaks its own level II oplock: nothing tells its client's cache of it otherwise.
	return !(l.id.Kind == causeway.Oplock && l.caching == causeway.CacheRead && (op == OpWrite || op == OpLock))
}

// Conflicts reports whether an operation would break leases, and whether it would have to wait for them.
func (t *Table) Conflicts(h causeway.Handle, by By, op Op) (breaks, waits bool) {
	obj := t.objects[h]
	if obj == nil {
		return false, false
	}
	t.eachBroken(obj, by, op, func(l *lease, mask, awaited causeway.Caching) {
		breaks = true
		waits = waits || l.caching&awaited != 0 && !l.orphaned()
	})
	return breaks, waits
}

// Break breaks the leases that an operation conflicts with, and reports whether it has to wait: for Unblocked, to ask again.
func (t *Table) Break(h causeway.Handle, by By, op Op) (waits bool) {
	obj := t.objects[h]
	if obj == nil {
		return false
	}
	t.eachBroken(obj, by, op, func(l *lease, mask, awaited causeway.Caching) {
		t.breakLease(l, l.caching&^mask)
		waits = waits || l.breaking && l.caching&awaited != 0
	})
	t.dropIfUnused(obj)
	return waits
}

func (t *Table) eachBroken(obj *object, by By, op Op, visit func(l *lease, mask, awaited causeway.Caching)) {
	mask, awaited := op.takes()
	actor := t.opens[by.Open]
	for _, l := range slices.Clone(obj.leases) {
		m, a := mask, awaited
		if l.id.Kind == causeway.Delegation && op != OpRead {
			m, a = causeway.CacheAll, causeway.CacheAll // RFC 8881 §10.4: any change by others recalls it
		}
		if l.caching&m != 0 && !l.spares(op, by, actor) {
			visit(l, m, a)
		}
	}
}

// Claim makes new leases on the object respect an operation that waits; Unclaim takes that back.
func (t *Table) Claim(h causeway.Handle, id uint64, op Op) {
	mask, _ := op.takes()
	t.claim(h, id, mask)
}

func (t *Table) claim(h causeway.Handle, id uint64, mask causeway.Caching) {
	obj := t.object(h)
	if obj.claims == nil {
		obj.claims = make(map[uint64]causeway.Caching)
	}
	obj.claims[id] |= mask
}

// Unclaim ends a claim.
func (t *Table) Unclaim(h causeway.Handle, id uint64) {
	if obj := t.objects[h]; obj != nil {
		delete(obj.claims, id)
		t.dropIfUnused(obj)
	}
}

// claimedBeside is what those who wait need others not to have, but for one of them.
func (o *object) claimedBeside(own uint64) (mask causeway.Caching) {
	for id, m := range o.claims {
		if id != own {
			mask |= m
		}
	}
	return mask
}

// lower returns the nearest state that the kind of lease can have and that has no more than c.
func (l *lease) lower(c causeway.Caching) causeway.Caching {
	if c&causeway.CacheRead == 0 {
		return 0
	}
	if l.id.Kind == causeway.Oplock && c != l.caching {
		return causeway.CacheRead
	}
	if l.id.Kind == causeway.Delegation && c != l.caching {
		return 0
	}
	return c
}

// orphaned reports whether nobody can be told of a break: all opens of the lease are disconnected.
func (l *lease) orphaned() bool {
	return len(l.opens) > 0 && !slices.ContainsFunc(l.opens, func(o *open) bool { return !o.Disconnected })
}

func (t *Table) breakLease(l *lease, to causeway.Caching) { t.breakTo(l, to, true) }

// breakTo breaks a lease; a break that goes on where another one ended is of the same epoch.
func (t *Table) breakTo(l *lease, to causeway.Caching, anew bool) {
	to = l.lower(to)
	switch {
	case l.breaking:
		l.required &= to
		return
	case l.caching&^to == 0:
		return
	case l.orphaned():
		if l.caching != causeway.CacheRead {
			for _, o := range slices.Clone(l.opens) {
				t.lose(o)
			}
			return
		}
		t.setCaching(l, to)
		return
	}
	from := l.caching
	if l.v2 && anew {
		l.epoch++
	}
	ack := from != causeway.CacheRead || l.id.Kind == causeway.Delegation
	if ack {
		l.breaking, l.to, l.required, l.left = true, to, to, t.limits.BreakTicks
		t.breaking[l] = struct{}{}
		t.noteLease(l)
	} else {
		t.setCaching(l, to)
	}
	b := Break{Handle: l.object.handle, ID: l.id, From: from, To: to, Epoch: l.epoch, Ack: ack}
	gateway := l.gateway
	for _, o := range l.opens {
		if !o.Disconnected {
			b.Owner, b.Open, gateway = o.Owner, o.Open, o.Gateway
			break
		}
	}
	if len(l.opens) == 0 {
		b.Owner, b.Open = causeway.Owner{Kind: l.owner.Kind, Client: l.owner.Name}, causeway.OpenID(l.id.Key)
	}
	t.effects = append(t.effects, Effect{Kind: Broken, Handle: b.Handle, Break: b, To: gateway})
}

func (t *Table) setCaching(l *lease, c causeway.Caching) {
	l.caching = c
	t.noteLease(l)
	t.unblocked(l.object)
}

// endBreak takes the holder's answer, or its absence, and goes on to what others have come to want meanwhile.
func (t *Table) endBreak(l *lease, c causeway.Caching) {
	required := l.required
	l.to = 0
	l.breaking = false
	delete(t.breaking, l)
	t.setCaching(l, c)
	if c&^required == 0 {
		return
	}
	next := c & required
	if l.id.Kind == causeway.Lease && c&^causeway.CacheRead != 0 {
		next |= c & causeway.CacheRead // in steps, as Windows does: what only is read goes last, and needs no answer
	}
	t.breakTo(l, next, false)
	if l.breaking {
		l.required = c & required
		t.noteLease(l)
	}
}

// Acknowledge answers a break: OK; ErrInval if the holder would keep more than he may; ErrNotSync if no break waits; ErrBadOpen if
// there is no such lease. A delegation is given back by it at any time.
func (t *Table) Acknowledge(h causeway.Handle, id causeway.LeaseID, c causeway.Caching) (LeaseState, causeway.Code) {
	l := t.leases[leaseName{id, h}]
	switch {
	case l == nil:
		return LeaseState{}, causeway.ErrBadOpen
	case !l.breaking && id.Kind == causeway.Delegation && c == 0:
		t.dropLease(l)
		return l.state(), causeway.OK
	case !l.breaking:
		return l.state(), causeway.ErrNotSync
	case c&^l.to != 0:
		return l.state(), causeway.ErrInval
	}
	state := LeaseState{l.id, c, false, l.epoch, l.parent}
	t.endBreak(l, c) // another break may follow
	if id.Kind == causeway.Delegation && l.caching == 0 {
		t.dropLease(l)
	}
	return state, causeway.OK
}

// tickLeases ends breaks that were not acknowledged in time: the holder keeps nothing ([MS-SMB2] 3.3.6.1, 3.3.6.5).
func (t *Table) tickLeases() {
	late := slices.Collect(maps.Keys(t.breaking))
	slices.SortFunc(late, func(a, b *lease) int { return int(int64(a.serial - b.serial)) })
	for _, l := range late {
		if l.left--; l.left <= 0 {
			t.endBreak(l, 0)
			if l.id.Kind == causeway.Delegation {
				t.dropLease(l)
			}
		}
	}
}

func (t *Table) dropLease(l *lease) {
	if t.leases[leaseName{l.id, l.object.handle}] != l {
		return
	}
	l.caching, l.breaking = 0, false
	delete(t.breaking, l)
	delete(t.leases, leaseName{l.id, l.object.handle})
	if t.keys[l.id] == l {
		delete(t.keys, l.id)
	}
	l.object.leases = slices.DeleteFunc(l.object.leases, func(o *lease) bool { return o == l })
	t.noteLease(l)
	t.unblocked(l.object)
	t.dropIfUnused(l.object)
}

// releaseLeases drops the delegations of a client.
func (t *Table) releaseLeases(c Client) {
	for _, l := range t.leases {
		if l.id.Kind == causeway.Delegation && l.owner == c {
			t.dropLease(l)
		}
	}
}

func (t *Table) unblocked(obj *object) {
	if len(obj.claims) > 0 {
		t.effects = append(t.effects, Effect{Kind: Unblocked, Handle: obj.handle})
	}
}

// Guarded reports whether I/O on the object has to be asked for: leases with caching or locks of SMB opens are there.
func (t *Table) Guarded(h causeway.Handle) bool {
	obj := t.objects[h]
	return obj != nil && obj.guards
}

// guard tells when that has changed.
func (t *Table) guard(obj *object) {
	on := obj.smb > 0 || slices.ContainsFunc(obj.leases, func(l *lease) bool { return l.caching != 0 })
	if on == obj.guards {
		return
	}
	obj.guards = on
	kind := Unguarded
	if on {
		kind = Guarded
	}
	t.effects = append(t.effects, Effect{Kind: kind, Handle: obj.handle})
}
