package table

import (
	"causeway"
)

// LeaseRequest is the caching that comes with an open. Its fields are those of gateway.LeaseSpec.
type LeaseRequest struct {
	ID      causeway.LeaseID
	Caching causeway.Caching
	Parent  causeway.LeaseKey
	V2      bool
	Epoch   uint16
}

// statRights are what an open may have that takes part in nothing: it is asked for attributes only ([MS-FSA] 2.1.4.12).
const statRights = causeway.FileReadAttributes | causeway.FileWriteAttributes | causeway.Synchronize

// isStat reports whether an open with this access leaves a lease alone; SMB leases stand reading of the security descriptor too.
func isStat(a causeway.AccessMask, against causeway.LeaseKind) bool {
	allowed := statRights
	if against == causeway.Lease {
		allowed |= causeway.ReadControl
	}
	return a&^allowed == 0
}

// valid returns the state that a client may ask for: one without CacheRead is none; oplocks know three, directories no CacheWrite.
func (r *LeaseRequest) valid(dir bool) causeway.Caching {
	c := r.Caching & causeway.CacheAll
	switch {
	case c&causeway.CacheRead == 0 || r.ID.Kind == causeway.LeaseNone:
		return 0
	case dir && r.ID.Kind != causeway.Lease:
		return 0
	case dir:
		return c &^ causeway.CacheWrite
	}
	return c
}

// giveLease decides what caching a new open gets ([MS-FSA] 2.1.5.18), and attaches it to its lease.
func (t *Table) giveLease(o *open, r *LeaseRequest, dir bool, claim uint64) {
	want := r.valid(dir)
	if r.ID.Kind == causeway.LeaseNone || r.ID.Kind != causeway.Lease && want == 0 {
		return
	}
	id := r.ID
	if id.Kind != causeway.Lease {
		id.Key = causeway.LeaseKey(o.Open)
	}
	l := t.leases[leaseName{id, o.object.handle}]
	given := t.grantable(o, id, want&^o.object.claimedBeside(claim))
	if l != nil {
		o.join(l)
		t.upgrade(l, want, given)
		return
	}
	if given == 0 && id.Kind != causeway.Lease {
		return
	}
	t.serial++
	l = &lease{id: id, object: o.object, owner: ClientOf(o.Owner), gateway: o.Gateway, caching: given, v2: r.V2, parent: r.Parent, serial: t.serial}
	if l.v2 {
		l.epoch = r.Epoch + 1
	}
	t.addLease(l)
	o.join(l)
	t.noteLease(l)
}

func (t *Table) addLease(l *lease) {
	t.leases[leaseName{l.id, l.object.handle}] = l
	l.object.leases = append(l.object.leases, l)
	if l.id.Kind == causeway.Lease && t.keys[l.id] == nil {
		t.keys[l.id] = l
	}
}

func (o *open) join(l *lease) {
	o.lease, o.Lease = l, l.id
	if l.id.Kind != causeway.Delegation {
		l.opens = append(l.opens, o)
	}
}

// upgrade gives a lease that is asked for again more, if it was asked for all that it has, nothing of that stands against others, and
// it is not breaking.
func (t *Table) upgrade(l *lease, want, given causeway.Caching) {
	if l.breaking || want&l.caching != l.caching || given != want || given == l.caching {
		return
	}
	l.caching |= given
	if l.v2 {
		l.epoch++
	}
	t.noteLease(l)
}

// grantable returns how much of the wanted caching others leave. Nobody writes behind the back of another open; handles are not
// cached beside oplocks, which cannot be asked to close; and who waits for somebody's caching to end does not find new one.
func (t *Table) grantable(o *open, id causeway.LeaseID, want causeway.Caching) causeway.Caching {
	obj := o.object
	if obj.held > 0 && id.Kind != causeway.Delegation {
		want &^= causeway.CacheRead
	}
	oplocks, handles := false, false
	for _, other := range obj.opens {
		if other == o || t.sameHolder(other, o, id) {
			continue
		}
		if !isStat(other.Access, id.Kind) {
			want &^= causeway.CacheWrite
		}
		if id.Kind == causeway.Delegation && other.Access&(writing) != 0 {
			want = 0
		}
	}
	for _, l := range obj.leases {
		if l.id == id || l.caching == 0 {
			continue
		}
		if want &^= causeway.CacheWrite; l.caching&causeway.CacheWrite != 0 { // an open for attributes alone has not broken it
			want = 0
		}
		oplocks = oplocks || l.id.Kind == causeway.Oplock
		handles = handles || l.id.Kind != causeway.Oplock && l.caching&causeway.CacheHandle != 0
	}
	if want&causeway.CacheRead == 0 {
		return 0
	}
	switch id.Kind {
	case causeway.Lease:
		if oplocks {
			want &^= causeway.CacheHandle
		}
	case causeway.Oplock:
		if want&causeway.CacheWrite == 0 {
			want = causeway.CacheRead
		}
		if handles {
			want = 0
		}
	case causeway.Delegation:
		if want&causeway.CacheWrite == 0 && o.Access&writing != 0 {
			want = 0
		}
	}
	return want
}

// sameHolder reports whether another open belongs to the lease that is asked for, or for a delegation to its client.
func (t *Table) sameHolder(other, o *open, id causeway.LeaseID) bool {
	if id.Kind == causeway.Delegation {
		return ClientOf(other.Owner) == ClientOf(o.Owner)
	}
	return other.Lease == id
}
