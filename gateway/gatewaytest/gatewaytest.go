// Package gatewaytest is the conformance suite of the gateway interfaces: what gateway.Access and gateway.Transfer promise,
// wherever they are answered. Every pair of implementations runs it.
package gatewaytest

import (
	"context"
	"testing"

	"causeway"
	"causeway/gateway"
)

// Fixture is what the suite runs against: an empty volume whose root belongs to Root and may be changed by everyone.
type Fixture struct {
	Access   gateway.Access
	Transfer gateway.Transfer
	Volume   causeway.VolumeID
	Async    bool // the volume acknowledges names before they are stable

	// KeepsSetUID: the process could not give up the privilege by which its writes keep set-user-id bits (CAP_FSETID).
	KeepsSetUID bool
}

// Run runs the suite; each part gets a fixture of its own.
func Run(t *testing.T, fixture func(t *testing.T) Fixture) {
	for name, part := range map[string]func(*suite){
		"names": testNames, "create": testCreate, "exclusive": testExclusive, "setgid": testSetGID, "rights": testRights,
		"remove": testRemove, "rename": testRename, "link": testLink, "setattr": testSetAttr, "no id": testNoID, "times": testTimes, "guard": testGuard,
		"change": testChange, "readdir": testReadDir, "bytes": testBytes, "bounds": testBounds, "data rights": testDataRights,
		"verifier": testVerifier, "gone": testGone, "read-only": testReadOnly, "no wait": testNoWait, "borrowed": testBorrowed,
		"locks": testLocks, "lock waits": testLockWaits, "lock model": testLockModel, "opens": testOpens, "leases": testLeases,
	} {
		t.Run(name, func(t *testing.T) {
			s := &suite{T: t, ctx: t.Context(), Fixture: fixture(t)}
			root, err := s.Access.Root(s.ctx, Root(), s.Volume)
			if err != nil {
				t.Fatal(err)
			}
			s.root = root.Handle
			if root.Attr.Type != causeway.TypeDirectory || root.Attr.Mode&0o777 != 0o777 {
				t.Fatalf("the root must be a directory of mode 0777, is %+v", root.Attr)
			}
			part(s)
		})
	}
}

type suite struct {
	*testing.T
	Fixture
	ctx  context.Context
	root causeway.Handle
}

// Root is the superuser as a caller.
func Root() *gateway.Caller { return User(0, 0) }

// User is a caller with these ids.
func User(uid, gid uint32, groups ...uint32) *gateway.Caller {
	return &gateway.Caller{Cred: causeway.Cred{UID: uid, GID: gid, Groups: groups}}
}

var alice, bob = func() *gateway.Caller { return User(1000, 100, 200) }, func() *gateway.Caller { return User(1001, 101) }

// want fails the test unless err has the code.
func (s *suite) want(code causeway.Code, err error, what string) {
	s.Helper()
	if causeway.CodeOf(err) != code {
		s.Errorf("%s: got %v, want %v", what, err, code)
	}
}

// must fails the test at once if err is not nil.
func (s *suite) must(err error, what string) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

func mode(m uint32) causeway.SetAttr { return causeway.SetAttr{Mask: causeway.SetMode, Mode: m} }

func (s *suite) create(c *gateway.Caller, dir causeway.Handle, name string, typ causeway.FileType, m uint32) (gateway.Entry, error) {
	e, _, err := s.Access.Create(s.ctx, c, dir, name, &gateway.CreateSpec{Type: typ, How: gateway.Guarded, Set: mode(m), Target: "target"})
	return e, err
}

func (s *suite) mkdir(c *gateway.Caller, dir causeway.Handle, name string, m uint32) causeway.Handle {
	s.Helper()
	e, err := s.create(c, dir, name, causeway.TypeDirectory, m)
	s.must(err, "mkdir "+name)
	return e.Handle
}

func (s *suite) file(c *gateway.Caller, dir causeway.Handle, name string, m uint32) causeway.Handle {
	s.Helper()
	e, err := s.create(c, dir, name, causeway.TypeRegular, m)
	s.must(err, "create "+name)
	return e.Handle
}

func (s *suite) attr(h causeway.Handle) causeway.Attr {
	s.Helper()
	a, err := s.Access.GetAttr(s.ctx, Root(), h)
	s.must(err, "getattr")
	return a
}

func (s *suite) lookup(c *gateway.Caller, dir causeway.Handle, name string) (causeway.Handle, error) {
	e, _, err := s.Access.Lookup(s.ctx, c, dir, name)
	return e.Handle, err
}

func (s *suite) remove(c *gateway.Caller, dir causeway.Handle, name string, kind gateway.RemoveKind) error {
	_, err := s.Access.Remove(s.ctx, c, dir, name, kind)
	return err
}

func (s *suite) rename(c *gateway.Caller, from causeway.Handle, name string, to causeway.Handle, newName string) error {
	_, _, err := s.Access.Rename(s.ctx, c, from, name, to, newName)
	return err
}

func (s *suite) set(c *gateway.Caller, h causeway.Handle, set causeway.SetAttr) error {
	_, err := s.Access.SetAttr(s.ctx, c, h, &set, nil)
	return err
}

func (s *suite) write(c *gateway.Caller, h causeway.Handle, off uint64, data string, how causeway.Stability) (gateway.WriteResult, error) {
	return s.Transfer.Write(s.ctx, c, h, off, []byte(data), how)
}

func (s *suite) read(c *gateway.Caller, h causeway.Handle, off uint64, n int) (string, gateway.ReadResult, error) {
	b := make([]byte, n)
	r, err := s.Transfer.Read(s.ctx, c, h, off, b)
	return string(b[:r.N]), r, err
}
