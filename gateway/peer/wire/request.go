package wire

import (
	"encoding/binary"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
)

// About makes a request about an object.
func About(op peerpb.Op, c *gateway.Caller, h causeway.Handle) *peerpb.Request {
	r := &peerpb.Request{Op: op, Volume: uint64(h.Volume), Object: object(&h.Object)}
	if c != nil {
		r.Caller = caller(c)
	}
	return r
}

// Named makes a request about a name in a directory.
func Named(op peerpb.Op, c *gateway.Caller, dir causeway.Handle, name string) *peerpb.Request {
	r := About(op, c, dir)
	r.Name = []byte(name)
	return r
}

// SetAttr makes a request to change attributes.
func SetAttr(c *gateway.Caller, h causeway.Handle, set *causeway.SetAttr, guard *causeway.Time) *peerpb.Request {
	r := About(peerpb.Op_SETATTR, c, h)
	r.Set = setAttr(set)
	if guard != nil {
		r.Guard = fileTime(*guard)
	}
	return r
}

// ReadDir makes a request for at most count entries.
func ReadDir(c *gateway.Caller, dir causeway.Handle, cookie uint64, want gateway.ReadDirWant, count int) *peerpb.Request {
	r := About(peerpb.Op_READDIR, c, dir)
	r.Cookie, r.Arg, r.Count = cookie, uint32(want), uint32(count)
	return r
}

// Create makes a request to create an object.
func Create(c *gateway.Caller, dir causeway.Handle, name string, s *gateway.CreateSpec) *peerpb.Request {
	r := Named(peerpb.Op_CREATE, c, dir, name)
	r.Create = &peerpb.CreateSpec{
		Type: uint32(s.Type), How: uint32(s.How), Set: setAttr(&s.Set), Verifier: binary.BigEndian.Uint64(s.Verifier[:]),
		Target: []byte(s.Target), Major: s.Major, Minor: s.Minor,
	}
	return r
}

func (d *decoder) createSpec(s *peerpb.CreateSpec) (out gateway.CreateSpec) {
	if !d.check(s != nil) || !d.check(s.Type <= 255 && s.How <= uint32(gateway.Exclusive)) {
		return out
	}
	out = gateway.CreateSpec{
		Type: causeway.FileType(s.Type), How: gateway.CreateHow(s.How), Set: d.setAttr(s.Set), Target: d.name(s.Target, maxTarget),
		Major: s.Major, Minor: s.Minor,
	}
	binary.BigEndian.PutUint64(out.Verifier[:], s.Verifier)
	return out
}

// Two makes a request about two objects: a rename or a link. h2 must be in the same volume.
func Two(op peerpb.Op, c *gateway.Caller, h causeway.Handle, name string, h2 causeway.Handle, name2 string) *peerpb.Request {
	r := Named(op, c, h, name)
	r.Object2, r.Name2 = object(&h2.Object), []byte(name2)
	return r
}

// Lock makes a request about a lock.
func Lock(op peerpb.Op, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) *peerpb.Request {
	r := About(op, c, h)
	r.Lock = lockSpec(s)
	return r
}

// ReleaseClient makes a request to drop what a client holds.
func ReleaseClient(kind causeway.OwnerKind, client string) *peerpb.Request {
	return &peerpb.Request{Op: peerpb.Op_RELEASE_CLIENT, Arg: uint32(kind), Client: []byte(client)}
}

// ReleaseVia makes a request to drop what a client holds by way of the gateway that sends it.
func ReleaseVia(kind causeway.OwnerKind, client string) *peerpb.Request {
	r := ReleaseClient(kind, client)
	r.Flag = true
	return r
}

// Persist makes a request to make changes stable.
func Persist(v causeway.VolumeID, ids []causeway.ObjectID) *peerpb.Request {
	r := &peerpb.Request{Op: peerpb.Op_PERSIST, Volume: uint64(v)}
	for i := range ids {
		r.Objects = append(r.Objects, object(&ids[i]))
	}
	return r
}

// AboutOf returns whom and what a message is about that is no request of its own.
func AboutOf(r *peerpb.Request) (*gateway.Caller, causeway.Handle, error) {
	if r == nil {
		return nil, causeway.Handle{}, causeway.ErrInval
	}
	var d decoder
	c, h := d.caller(r.Caller), causeway.Handle{Volume: causeway.VolumeID(r.Volume), Object: d.object(r.Object)}
	return c, h, d.err()
}

// SetSpan says which bytes a message is about.
func SetSpan(r *peerpb.Request, s causeway.Span) { r.Span = span(s) }

// SpanOf returns which bytes a message is about.
func SpanOf(r *peerpb.Request) causeway.Span {
	return causeway.Span{Offset: r.GetSpan().GetOffset(), Length: r.GetSpan().GetLength()}
}

// SetEpoch says in which ownership a request is meant.
func SetEpoch(r *peerpb.Request, e causeway.Epoch) { r.Epoch = epoch(e) }

// Changes reports whether an operation must not be given up half done, and its result must be remembered until the sender has it:
// done again it would come to something else.
func Changes(op peerpb.Op) bool {
	switch op {
	case peerpb.Op_SETATTR, peerpb.Op_CREATE, peerpb.Op_REMOVE, peerpb.Op_RENAME, peerpb.Op_LINK, peerpb.Op_LOCK, peerpb.Op_UNLOCK,
		peerpb.Op_CANCEL, peerpb.Op_RELEASE_CLIENT, peerpb.Op_RETURN, peerpb.Op_COMMIT, peerpb.Op_RECALL, peerpb.Op_OPEN,
		peerpb.Op_RECONNECT, peerpb.Op_DISCONNECT, peerpb.Op_DOWNGRADE, peerpb.Op_SET_DELETE, peerpb.Op_CLOSE, peerpb.Op_ACKNOWLEDGE,
		peerpb.Op_WATCH, peerpb.Op_UNWATCH, peerpb.Op_SET_XATTR, peerpb.Op_REMOVE_XATTR:
		return true
	}
	return false
}

// Prompt reports whether a request is a change that seldom waits for anything but stable storage, after it was made, or a grant that
// seldom waits at all. Changing the size of a file may take long.
func Prompt(r *peerpb.Request) bool {
	switch r.GetOp() {
	case peerpb.Op_CREATE, peerpb.Op_REMOVE, peerpb.Op_RENAME, peerpb.Op_LINK:
		return true
	case peerpb.Op_GRANT:
		return len(r.GetGrant().GetName()) == 0 && r.GetGrant().GetList() == 0
	case peerpb.Op_SETATTR:
		return causeway.SetMask(r.Set.GetMask())&causeway.SetSize == 0
	}
	return false
}

// Repeatable reports whether an operation may be done again where nobody remembers whether it was done. Of an open or close that an owner
// has done and could not tell of, the next owner knows nothing, and what was closed already is closed.
func Repeatable(r *peerpb.Request) bool {
	switch r.GetOp() {
	case peerpb.Op_SETATTR, peerpb.Op_CREATE, peerpb.Op_REMOVE, peerpb.Op_RENAME, peerpb.Op_LINK, peerpb.Op_SET_XATTR, peerpb.Op_REMOVE_XATTR:
		return false
	case peerpb.Op_OPEN:
		return gateway.Disposition(r.GetOpen().GetDisposition()) != gateway.CreateNew
	}
	return true
}
