package table

import (
	"causeway"
)

const (
	reading = causeway.FileReadData | causeway.FileExecute
	writing = causeway.FileWriteData | causeway.FileAppendData
)

// share looks for opens whose access or share mode stands against the request ([MS-FSA] 2.1.5.1.2.2). Those whose holder
// caches handles may give way: their leases. Those that are disconnected have to.
func share(obj *object, r *OpenRequest) (refused bool, handles map[*lease]bool, losers []*open) {
	access := r.Held.Access
	if r.Empties {
		access |= causeway.FileWriteData
	}
	for _, o := range obj.opens {
		l := o.lease
		switch {
		case !conflict(o.Access, o.Share, access, r.Held.Share):
		case o.Disconnected:
			losers = append(losers, o)
		case l != nil && l.caching&causeway.CacheHandle != 0 && l.id.Kind != causeway.Delegation && !l.belongs(r):
			if handles == nil {
				handles = make(map[*lease]bool)
			}
			handles[l] = true
		default:
			return true, nil, nil
		}
	}
	return false, handles, losers
}

// conflict reports whether one open does what the other does not share. Opens that neither read, write nor delete do not
// take part.
func conflict(a causeway.AccessMask, as causeway.Sharing, b causeway.AccessMask, bs causeway.Sharing) bool {
	const all = reading | writing | causeway.Delete
	if a&all == 0 || b&all == 0 {
		return false
	}
	refuses := func(access causeway.AccessMask, share causeway.Sharing) bool {
		return access&reading != 0 && share&causeway.ShareRead == 0 ||
			access&writing != 0 && share&causeway.ShareWrite == 0 ||
			access&causeway.Delete != 0 && share&causeway.ShareDelete == 0
	}
	return refuses(a, bs) || refuses(b, as)
}

// takes returns what the open takes from a lease, and which of it has to be waited for.
func (r *OpenRequest) takes(l *lease, handles map[*lease]bool) (mask, awaited causeway.Caching) {
	if len(handles) == 0 {
		return r.openTakes(l)
	}
	if handles[l] {
		return causeway.CacheHandle, causeway.CacheHandle
	}
	return 0, 0
}

// openTakes is takes without a conflict of share modes.
func (r *OpenRequest) openTakes(l *lease) (mask, awaited causeway.Caching) {
	h := &r.Held
	switch {
	case l.belongs(r):
		return 0, 0
	case isStat(h.Access, l.id.Kind) && !r.Empties:
		return 0, 0
	case l.id.Kind == causeway.Delegation && (h.Access&writing != 0 || h.Share&causeway.ShareRead == 0 || r.Empties):
		return causeway.CacheAll, causeway.CacheAll
	case l.id.Kind == causeway.Delegation && l.caching&causeway.CacheWrite != 0:
		return causeway.CacheAll, causeway.CacheAll
	case r.Empties:
		return causeway.CacheAll, causeway.CacheWrite
	}
	return causeway.CacheWrite, causeway.CacheWrite
}

// belongs reports whether the lease is the one that the request comes with.
func (l *lease) belongs(r *OpenRequest) bool {
	if l.id.Kind == causeway.Delegation {
		return ClientOf(r.Held.Owner) == l.owner
	}
	return l.id.Kind == causeway.Lease && r.Lease.ID == l.id
}
