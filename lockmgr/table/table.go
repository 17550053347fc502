// Package table is the lock table as a pure state machine: calls are the events, results and [Table.Effects] are what
// follows, [Table.Tick] is time. It has no goroutines, does no I/O and takes no locks: its owner serialises the calls.
//
// It holds byte-range locks of owners of any protocol, the requests that wait for them, the grace period after a restart, and
// opens with their share modes and leases (SMB oplocks and leases and NFSv4 delegations in one model). Protocols, clients'
// names and addresses, persistence and delivery do not belong here.
//
// Rules for locks of SMB opens are in smb.go. All others are those of POSIX (IEEE 1003.1, fcntl): locks of one owner on one object never overlap; a new one replaces what it
// overlaps, neighbours of one mode merge, unlocking splits. Waiting requests are served in the order of their arrival. A
// request that no held lock forbids is granted at once, even if it conflicts with one that waits: making it wait behind that
// one would spare writers from starving, but hangs programs that work on a local file system, where a reader that waits for
// another reader is never stopped by a writer between them.
package table

import (
	"maps"
	"slices"

	"causeway"
)

// Lock is a byte-range lock that is held. Its fields are those of gateway.Lock.
type Lock struct {
	Handle    causeway.Handle
	Owner     causeway.Owner
	Span      causeway.Span
	Exclusive bool
}

// Request is a lock that is asked for.
type Request struct {
	Span      causeway.Span
	Exclusive bool
	Wait      bool // queue it on a conflict
	Reclaim   bool // only in the grace period, only for clients known to it; never waits
}

// Client is whose owners come and go together: a host of NLM, a clientid, a session.
type Client struct {
	Kind causeway.OwnerKind
	Name string
}

// ClientOf returns the client of an owner.
func ClientOf(o causeway.Owner) Client { return Client{o.Kind, o.Client} }

// EffectKind says what an Effect is.
type EffectKind uint8

// The effects.
const (
	Granted    EffectKind = iota + 1 // Lock: a queued request was granted
	GraceEnded                       // Volume: new locks are taken
	Broken                           // Break, of the lease's holder at Gateway
	Lost                             // Held: an open ended by itself
	Doomed                           // Held: the last open of a name that is to go; Removed has to be called
	Unblocked                        // Handle: what waits for leases or opens of the object may try again
	Guarded                          // Handle: see Table.Guarded
	Unguarded
)

// Effect is something that others must be told.
type Effect struct {
	Kind   EffectKind
	Lock   Lock
	Volume causeway.VolumeID
	Handle causeway.Handle
	Break  Break
	Held   causeway.Held
	To     string // the gateway whose client it concerns
}

// Limits bound the table. Zero means the default.
type Limits struct {
	Locks            int // held ranges in total, of which one party (causeway.Owner.Party) may have a quarter, as of what waits, and half of the opens; default 1,000,000
	LocksPerClient   int // default 30,000
	Waiting          int // queued requests in total; default 100,000
	WaitingPerClient int // default 10,000
	Opens            int // in total; default 500,000
	OpensPerClient   int // default 100,000
	BreakTicks       int // time to acknowledge a broken lease; default 35 (a client's patience with SMB is 60 s)
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Locks, 1_000_000}, {&l.LocksPerClient, 30_000}, {&l.Waiting, 100_000}, {&l.WaitingPerClient, 10_000},
		{&l.Opens, 500_000}, {&l.OpensPerClient, 100_000}, {&l.BreakTicks, 35}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return l
}

// Stats counts what the table holds.
type Stats struct {
	Held, Waiting, Objects, Owners, Clients int
	Grace                                   bool // any volume is in its grace period
	Opens, Leases, Breaking                 int
}

// Table is the state. A lock, test or unlock costs O(log n) comparisons in the n locks of the object, plus the owner's own
// locks that it overlaps, plus a move of the owner's list of pointers; a release also looks at each queued request of the
// object that overlaps it. So 100,000 locks on one file cost microseconds each.
type Table struct {
	limits  Limits
	objects map[causeway.Handle]*object
	owners  map[causeway.Owner]*owner
	clients map[Client]*client
	parties map[Client]*party
	graces  map[causeway.VolumeID]*grace
	effects []Effect
	held    int
	waiting int
	serial  uint64 // of segments, waiters, opens and leases: order of arrival

	opens    map[causeway.OpenID]*open
	guids    map[[16]byte]*open
	leases   map[leaseName]*lease
	keys     map[causeway.LeaseID]*lease // of kind causeway.Lease: a key names one object only
	breaking map[*lease]struct{}
	timed    map[*open]struct{} // disconnected
	orphans  map[orphan]int     // ticks left
	observed bool
	asserted uint64 // the stamp of the lock that is being asserted
	changes  []causeway.Held
}

// New returns an empty table.
func New(l Limits) *Table {
	return &Table{
		limits:  l.withDefaults(),
		objects: make(map[causeway.Handle]*object),
		owners:  make(map[causeway.Owner]*owner),
		clients: make(map[Client]*client),
		parties: make(map[Client]*party),
		graces:  make(map[causeway.VolumeID]*grace),

		opens:    make(map[causeway.OpenID]*open),
		guids:    make(map[[16]byte]*open),
		leases:   make(map[leaseName]*lease),
		keys:     make(map[causeway.LeaseID]*lease),
		breaking: make(map[*lease]struct{}),
		timed:    make(map[*open]struct{}),
		orphans:  make(map[orphan]int),
	}
}

// Effects returns what followed from the calls since the last Effects, in order.
func (t *Table) Effects() []Effect {
	e := t.effects
	t.effects = nil
	return e
}

// Stats returns the counts.
func (t *Table) Stats() Stats {
	return Stats{t.held, t.waiting, len(t.objects), len(t.owners), len(t.clients), len(t.graces) > 0, len(t.opens), len(t.leases), len(t.breaking)}
}

// Lock takes a lock: OK; ErrLocked with the conflicting lock; ErrBlocked, also with it, when the request was queued (asking
// again for what is queued already is harmless); ErrDeadlock; ErrGrace; ErrNoGrace; ErrNoLocks; ErrInval for an empty span.
func (t *Table) Lock(h causeway.Handle, o causeway.Owner, r Request) (Lock, causeway.Code) {
	return t.LockFrom("", h, o, r)
}

// LockFrom is Lock for a request that another gateway received.
func (t *Table) LockFrom(from string, h causeway.Handle, o causeway.Owner, r Request) (Lock, causeway.Code) {
	if code := t.admit(h.Volume, ClientOf(o), r.Reclaim); code != causeway.OK {
		return Lock{}, code
	}
	return t.lock(h, o, r, from)
}

// Assert is Lock for a holder who comes with locks that were granted before this table existed: it does not ask whether there
// is a grace period, and never waits.
func (t *Table) Assert(l Lock) (Lock, causeway.Code) {
	return t.lock(l.Handle, l.Owner, Request{Span: l.Span, Exclusive: l.Exclusive}, "")
}

func (t *Table) lock(h causeway.Handle, o causeway.Owner, r Request, from string) (Lock, causeway.Code) {
	want := rangeOf(r.Span, r.Exclusive)
	if want.empty() && o.Kind != causeway.OwnerSMB {
		return Lock{}, causeway.ErrInval
	}
	obj, own := t.enter(h, o)
	defer t.leave(obj, own)
	t.through(own, from)
	if blocker := obj.conflict(own, want); blocker != nil {
		code := causeway.ErrLocked
		if r.Wait && !r.Reclaim {
			code = t.enqueue(obj, own, want)
		}
		return blocker.lock(), code
	}
	if own.stacks() {
		return Lock{}, t.stack(obj, own, want)
	}
	edit := own.edit(obj, want.start, want.end, modeOf(want.exclusive))
	if !t.fits(own.client, edit.growth()) {
		return Lock{}, causeway.ErrNoLocks
	}
	if w := own.waits(obj, want); w != nil {
		t.dequeue(w)
	}
	if t.apply(obj, own, edit) {
		t.wake(obj, want)
	}
	return Lock{}, causeway.OK
}

// through notes which gateway received an owner's request. Copies of what it holds already must know too: the gateway that it has left may speak
// for it no more.
func (t *Table) through(own *owner, gateway string) {
	if own.gateway == gateway {
		return
	}
	own.gateway = gateway
	t.noteHolds(own)
}

// Test returns ErrLocked and the conflicting lock if the request could not be had now, else what Lock would return.
func (t *Table) Test(h causeway.Handle, o causeway.Owner, r Request) (Lock, causeway.Code) {
	if code := t.admit(h.Volume, ClientOf(o), r.Reclaim); code != causeway.OK {
		return Lock{}, code
	}
	want := rangeOf(r.Span, r.Exclusive)
	if want.empty() && o.Kind != causeway.OwnerSMB {
		return Lock{}, causeway.ErrInval
	}
	obj := t.objects[h]
	if obj == nil {
		return Lock{}, causeway.OK
	}
	if blocker := obj.conflict(t.owners[o], want); blocker != nil {
		return blocker.lock(), causeway.ErrLocked
	}
	return Lock{}, causeway.OK
}

// Unlock gives the span back, whether it was held or not. It is taken in the grace period too. ErrNoLocks: the lock would
// have to be split and there is no room for both parts. ErrInval for an empty span.
//
// An SMB open gives back exactly what it has taken, its exclusive lock before a shared one; ErrNoEnt if there is none.
func (t *Table) Unlock(h causeway.Handle, o causeway.Owner, s causeway.Span) causeway.Code {
	if o.Kind == causeway.OwnerSMB {
		return t.unstack(h, o, rangeOf(s, false))
	}
	gone := rangeOf(s, false)
	if gone.empty() {
		return causeway.ErrInval
	}
	obj, own := t.objects[h], t.owners[o]
	if obj == nil || own == nil {
		return causeway.OK
	}
	edit := own.edit(obj, gone.start, gone.end, unlocked)
	if !t.fits(own.client, edit.growth()) {
		return causeway.ErrNoLocks
	}
	defer t.leave(obj, own)
	if t.apply(obj, own, edit) {
		t.wake(obj, gone)
	}
	return causeway.OK
}

// Cancel takes the queued request with exactly this span and mode back: ErrNoEnt if there is none.
func (t *Table) Cancel(h causeway.Handle, o causeway.Owner, r Request) causeway.Code {
	obj, own := t.objects[h], t.owners[o]
	if obj == nil || own == nil {
		return causeway.ErrNoEnt
	}
	w := own.waits(obj, rangeOf(r.Span, r.Exclusive))
	if w == nil {
		return causeway.ErrNoEnt
	}
	t.dequeue(w)
	t.leave(obj, own)
	return causeway.OK
}

// ReleaseOwner drops all that an owner holds and waits for.
func (t *Table) ReleaseOwner(o causeway.Owner) {
	if own := t.owners[o]; own != nil {
		t.release([]*owner{own})
	}
}

// ReleaseClient drops all that a client's owners hold and wait for. A grace period does not wait for it any longer.
func (t *Table) ReleaseClient(c Client) {
	t.recovered(c)
	t.releaseOpens(func(o *open) bool { return ClientOf(o.Owner) == c })
	t.releaseLeases(c)
	if cl := t.clients[c]; cl != nil {
		t.release(slices.Collect(maps.Values(cl.owners)))
	}
}

// ReleaseVia drops what those of a client's owners hold and wait for whose latest request came through a gateway. Others have asked again by way of
// another one, where the client lives. Opens and leases stay.
func (t *Table) ReleaseVia(c Client, gateway string) {
	cl := t.clients[c]
	if cl == nil {
		return
	}
	var gone []*owner
	for _, own := range cl.owners {
		if own.gateway == gateway {
			gone = append(gone, own)
		}
	}
	t.release(gone)
}

// fits reports whether the client may hold n more ranges.
func (t *Table) fits(c *client, n int) bool {
	return n <= 0 || t.held+n <= t.limits.Locks && c.held+n <= t.limits.LocksPerClient && c.party.held+n <= t.limits.ofParty(t.limits.Locks, t.limits.LocksPerClient)
}
