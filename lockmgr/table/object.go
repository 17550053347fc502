package table

import (
	"slices"

	"causeway"
)

// object is what locks are held on.
type object struct {
	handle            causeway.Handle
	shared, exclusive *segment // roots
	held              int
	queue             []*waiter // in order of arrival
	smb               int       // held ranges of SMB opens

	opens  []*open
	leases []*lease
	doom   *doom
	guards bool                        // see Table.Guarded
	claims map[uint64]causeway.Caching // what operations that wait for breaks need others not to have
}

// owner is a lock owner while it holds or waits for something.
type owner struct {
	id      causeway.Owner
	client  *client
	holds   map[*object][]*segment // sorted, disjoint
	waiters []*waiter              // in order of arrival, on any object
	gateway string                 // that received the latest request
}

// client sums up its owners.
type client struct {
	id            Client
	owners        map[causeway.Owner]*owner
	held, waiting int
	opens         int
	party         *party
}

// conflict returns the first held lock of another owner that forbids e, or nil. own may be nil.
func (o *object) conflict(own *owner, e extent) *segment {
	var found *segment
	foreign := func(s *segment) bool {
		if s.owner == own && !own.excludesItself(e) || own.ignores(e, s) {
			return true
		}
		if found == nil || s.before(found) {
			found = s
		}
		return false
	}
	o.exclusive.each(e, foreign)
	if e.exclusive {
		o.shared.each(e, foreign)
	}
	return found
}

func (o *owner) edit(obj *object, start, end uint64, m mode) edit {
	return replace(o.holds[obj], start, end, m)
}

// waits returns the owner's queued request for exactly this, or nil.
func (o *owner) waits(obj *object, e extent) *waiter {
	for _, w := range o.waiters {
		if w.object == obj && w.extent == e {
			return w
		}
	}
	return nil
}

// enter returns the object and the owner, made if there are none yet; leave drops what is not in use.
func (t *Table) enter(h causeway.Handle, id causeway.Owner) (*object, *owner) {
	obj := t.object(h)
	own := t.owners[id]
	if own == nil {
		cl := t.client(ClientOf(id))
		own = &owner{id: id, client: cl, holds: make(map[*object][]*segment)}
		t.owners[id], cl.owners[id] = own, own
	}
	return obj, own
}

func (t *Table) object(h causeway.Handle) *object {
	obj := t.objects[h]
	if obj == nil {
		obj = &object{handle: h}
		t.objects[h] = obj
	}
	return obj
}

func (t *Table) client(c Client) *client {
	cl := t.clients[c]
	if cl == nil {
		cl = &client{id: c, owners: make(map[causeway.Owner]*owner), party: t.party(c)}
		cl.party.clients++
		t.clients[c] = cl
	}
	return cl
}

func (t *Table) leave(obj *object, own *owner) {
	t.dropIfUnused(obj)
	t.dropIfIdle(own)
}

func (t *Table) dropIfUnused(obj *object) {
	if t.objects[obj.handle] == obj && obj.held == 0 && len(obj.queue) == 0 && len(obj.opens) == 0 && len(obj.leases) == 0 && obj.doom == nil && len(obj.claims) == 0 {
		delete(t.objects, obj.handle)
	}
}

func (t *Table) dropIfIdle(own *owner) {
	if len(own.holds) > 0 || len(own.waiters) > 0 {
		return
	}
	delete(t.owners, own.id)
	delete(own.client.owners, own.id)
	t.dropIfGone(own.client)
}

func (t *Table) dropIfGone(c *client) {
	if len(c.owners) == 0 && c.opens == 0 && t.clients[c.id] == c {
		delete(t.clients, c.id)
		if c.party.clients--; c.party.clients == 0 {
			delete(t.parties, c.party.id)
		}
	}
}

// apply carries an edit out and reports whether others may now get what they could not get before.
func (t *Table) apply(obj *object, own *owner, e edit) (freed bool) {
	for _, s := range e.old[e.first:e.last] {
		t.unlink(s)
		freed = freed || !covered(s.extent, e.put)
	}
	put := make([]*segment, len(e.put))
	for i, x := range e.put {
		put[i] = t.link(obj, own, x)
	}
	own.holds[obj] = slices.Replace(e.old, e.first, e.last, put...)
	if len(own.holds[obj]) == 0 {
		delete(own.holds, obj)
	}
	return freed
}

// covered reports whether nothing of e becomes weaker by what is put in its place.
func covered(e extent, put []extent) bool {
	at := e.start
	for _, p := range put {
		if p.start <= at && at < p.end && (p.exclusive || !e.exclusive) {
			at = p.end
		}
	}
	return at >= e.end
}

func (t *Table) link(obj *object, own *owner, e extent) *segment {
	t.serial++
	s := &segment{extent: e, owner: own, object: obj, serial: t.serial, stamp: t.serial}
	if t.asserted != 0 {
		s.stamp = t.asserted
	}
	root := obj.root(e.exclusive)
	*root = insert(*root, s)
	t.held, obj.held, own.client.held = t.held+1, obj.held+1, own.client.held+1
	own.client.party.held++
	if own.stacks() {
		obj.smb++
		t.guard(obj)
	}
	t.noteLock(s, false)
	return s
}

func (t *Table) unlink(s *segment) {
	root := s.object.root(s.exclusive)
	*root = remove(*root, s)
	t.held, s.object.held, s.owner.client.held = t.held-1, s.object.held-1, s.owner.client.held-1
	s.owner.client.party.held--
	if s.owner.stacks() {
		s.object.smb--
		t.guard(s.object)
	}
	t.noteLock(s, true)
}

func (o *object) root(excl bool) **segment {
	if excl {
		return &o.exclusive
	}
	return &o.shared
}
