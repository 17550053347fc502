package gatewaytest

import (
	"fmt"

	"causeway"
	"causeway/gateway"
)

// session is a caller that opens: a session of an SMB client.
func session(client string) *gateway.Caller {
	c := alice()
	c.Owner = causeway.Owner{Kind: causeway.OwnerSMB, Client: client}
	return c
}

const readWrite = causeway.FileReadData | causeway.FileWriteData

func opening(name string, how gateway.Disposition, access causeway.AccessMask, share causeway.Sharing) *gateway.OpenSpec {
	return &gateway.OpenSpec{Name: name, Disposition: how, Access: access, Share: share,
		Create: gateway.CreateSpec{Type: causeway.TypeRegular, Set: mode(0o644)}}
}

// testOpens: share modes and removal on the last close, whoever opens where.
func testOpens(s *suite) {
	at, ok := s.Access.(gateway.Opener)
	if !ok {
		s.Skip("nothing is opened here")
	}
	a, b := session("a"), session("b")
	first, err := at.Open(s.ctx, a, s.root, opening("f", gateway.CreateNew, readWrite|causeway.Delete, causeway.ShareRead))
	s.must(err, "create")
	if first.Action != gateway.DidCreate {
		s.Errorf("it was there: %+v", first)
	}
	_, err = at.Open(s.ctx, b, s.root, opening("f", gateway.CreateNew, readWrite, causeway.ShareAll))
	s.want(causeway.ErrExist, err, "create again")
	_, err = at.Open(s.ctx, b, s.root, opening("f", gateway.OpenExisting, causeway.FileWriteData, causeway.ShareAll))
	s.want(causeway.ErrSharing, err, "write what only reading is shared of")
	_, err = at.Open(s.ctx, b, s.root, opening("f", gateway.OpenExisting, causeway.FileReadData, causeway.ShareRead))
	s.want(causeway.ErrSharing, err, "share less than what others do already")
	second, err := at.Open(s.ctx, b, s.root, opening("f", gateway.OpenExisting, causeway.FileReadData, causeway.ShareAll))
	s.must(err, "read")
	if second.ID == first.ID || second.Handle.Object != first.Handle.Object {
		s.Errorf("opened are %+v and %+v", first, second)
	}
	list, err := at.Opens(s.ctx, s.Volume)
	if err != nil || len(list) != 2 {
		s.Errorf("open are %+v, %v", list, err)
	}
	s.must(at.SetDelete(s.ctx, a, first.Handle, first.ID, true), "delete on close")
	_, err = at.Open(s.ctx, b, s.root, opening("f", gateway.OpenExisting, causeway.FileReadData, causeway.ShareAll))
	s.want(causeway.ErrDeletePending, err, "open what will be removed")
	removed, err := at.Close(s.ctx, a, first.Handle, first.ID)
	if err != nil || removed {
		s.Errorf("closed while it is open elsewhere: removed %v, %v", removed, err)
	}
	_, err = at.Close(s.ctx, a, first.Handle, first.ID)
	s.want(causeway.ErrBadOpen, err, "close again")
	removed, err = at.Close(s.ctx, b, second.Handle, second.ID)
	if err != nil || !removed {
		s.Errorf("closed at last: removed %v, %v", removed, err)
	}
	_, err = s.lookup(alice(), s.root, "f")
	s.want(causeway.ErrNoEnt, err, "look for what was removed")
}

// testLeases: what one client may keep for itself is broken by what another one does, by an open and by a change without one.
func testLeases(s *suite) {
	at, ok := s.Access.(gateway.Stateful)
	if !ok {
		s.Skip("nothing is opened here")
	}
	told := make(upcalls, 16)
	s.Access.Subscribe(causeway.OwnerSMB, told)
	a, b := session("a"), session("b")
	for i, c := range []struct {
		name   string
		caught causeway.Caching // what the break leaves at most
		change func(f gateway.Opened) error
	}{
		{"an open", causeway.CacheRead | causeway.CacheHandle, func(f gateway.Opened) error {
			o, err := at.Open(s.ctx, b, s.root, opening("f0", gateway.OpenExisting, causeway.FileReadData, causeway.ShareAll))
			if err == nil {
				_, err = at.Close(s.ctx, b, o.Handle, o.ID)
			}
			return err
		}},
		{"a change of size", causeway.CacheNone, func(f gateway.Opened) error {
			return s.set(alice(), f.Handle, causeway.SetAttr{Mask: causeway.SetSize, Size: 3})
		}},
		{"a write", causeway.CacheNone, func(f gateway.Opened) error {
			_, err := s.write(alice(), f.Handle, 0, "text", causeway.FileSync)
			return err
		}},
		{"a rename", causeway.CacheRead | causeway.CacheWrite, func(f gateway.Opened) error {
			return s.rename(alice(), s.root, fmt.Sprint("f", 3), s.root, "elsewhere")
		}},
	} {
		spec := opening(fmt.Sprint("f", i), gateway.CreateNew, readWrite|causeway.Delete, causeway.ShareAll)
		spec.Lease = gateway.LeaseSpec{ID: causeway.LeaseID{Kind: causeway.Lease, Client: "a", Key: causeway.LeaseKey{byte(i + 1)}}, Caching: causeway.CacheAll, V2: true}
		f, err := at.Open(s.ctx, a, s.root, spec)
		s.must(err, "open with a lease")
		if f.Lease.Caching != causeway.CacheAll {
			s.Fatalf("it may cache %b", f.Lease.Caching)
		}
		done := make(chan error, 1)
		go func() { done <- c.change(f) }()
		for broken := false; !broken; {
			e := s.next(told, c.name)
			if e.Kind != gateway.LeaseBroken || e.Break.ID != f.Lease.ID {
				s.Fatalf("%s: told is %+v", c.name, e)
			}
			if e.Break.To&^c.caught != 0 {
				s.Errorf("%s breaks it to %b only", c.name, e.Break.To)
			}
			if broken = !e.Break.Ack; e.Break.Ack {
				state, err := at.Acknowledge(s.ctx, a, f.Handle, f.Lease.ID, e.Break.To)
				s.must(err, c.name+": acknowledge")
				broken = !state.Breaking
			}
		}
		s.must(<-done, c.name)
		if _, err := at.Close(s.ctx, a, f.Handle, f.ID); err != nil {
			s.Errorf("%s: close: %v", c.name, err)
		}
	}
}
