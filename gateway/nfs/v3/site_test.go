package v3_test

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/backend/posix"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/nfs/drc"
	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/fh"
	"causeway/gateway/nfs/rpc"
	v3 "causeway/gateway/nfs/v3"
	"causeway/gateway/nfs/xdr"
	"causeway/gateway/transfer"
)

// site is a server over the real engines and storage in memory, called as the RPC server calls it.
type site struct {
	testing.TB
	server  *v3.Server
	catalog *gateway.Catalog
	volume  *causeway.Volume
	store   backend.Store
	names   *access.Engine
	engine  *transfer.Engine
	root    nfsv3.NfsFh3

	mu      sync.Mutex
	caller  rpc.Call // credentials and addresses of the calls to come
	parked  bool     // the last call parked first
	spliced bool     // the last call's data came from a descriptor
}

func newSite(t testing.TB, change ...func(*causeway.Volume)) *site {
	t.Helper()
	s := &site{TB: t}
	s.build(memory(), change...)
	t.Cleanup(func() { s.engine.Close(); s.store.Close() })
	return s
}

// newDiskSite is newSite on a directory.
func newDiskSite(t testing.TB) *site {
	t.Helper()
	store, err := posix.Open(t.Context(), t.TempDir(), posix.Config{})
	if causeway.CodeOf(err) == causeway.ErrNotSupp {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &site{TB: t}
	s.build(store)
	t.Cleanup(func() { s.engine.Close(); s.store.Close() })
	s.as(uint32(os.Getuid()), uint32(os.Getgid()))
	return s
}

// clock rises by a millisecond whenever it is asked.
func clock() func() time.Time {
	now := time.Unix(1_700_000_000, 123_456_789)
	return func() time.Time { now = now.Add(time.Millisecond); return now }
}

// reset replaces everything by a new, empty site; handles stay good where object ids are given out in the same order.
func (s *site) reset(store backend.Store) {
	s.engine.Close()
	s.store.Close()
	s.build(store)
}

func memory() backend.Store {
	return mem.New(mem.Config{Generation: 1, Clock: clock(), Mode: 0o777, MaxBytes: 64 << 20})
}

func (s *site) build(store backend.Store, change ...func(*causeway.Volume)) {
	s.Helper()
	v := &causeway.Volume{
		ID: 0x1122334455667788, Name: "v", Keys: []causeway.HandleKey{{ID: 1, Secret: [16]byte{1, 2, 3}}},
		Exports: []causeway.ExportRule{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), AnonUID: causeway.Nobody, AnonGID: causeway.Nobody, Squash: causeway.NoRootSquash}},
	}
	for _, f := range change {
		f(v)
	}
	names := access.New(access.Config{})
	bytesOf := transfer.New(transfer.Config{Grants: names})
	names.Attach(v, store)
	bytesOf.Attach(v.ID, store)
	s.catalog, s.volume, s.store, s.names, s.engine = &gateway.Catalog{}, v, store, names, bytesOf
	if err := s.catalog.Publish([]*causeway.Volume{v}); err != nil {
		s.Fatal(err)
	}
	replies, err := drc.New(drc.Config{})
	if err != nil {
		s.Fatal(err)
	}
	s.server, err = v3.New(v3.Config{Guard: &export.Guard{Catalog: s.catalog}, Access: names, Transfer: bytesOf, Persist: names, Replies: replies})
	if err != nil {
		s.Fatal(err)
	}
	s.root = s.handle(store.Root())
	s.caller = rpc.Call{Flavor: rpc.AuthSys, Remote: netip.MustParseAddrPort("127.0.0.1:700"), Prog: v3.Program, Vers: v3.Version}
}

func (s *site) handle(id causeway.ObjectID) nfsv3.NfsFh3 {
	return nfsv3.NfsFh3{Data: fh.Append(nil, s.volume, id)}
}

// as makes the calls to come those of a user.
func (s *site) as(uid, gid uint32, groups ...uint32) {
	s.caller.Cred = causeway.Cred{UID: uid, GID: gid, Groups: groups}
}

// send makes a call as the RPC server does: first without waiting, and again if it parks. It returns what the program
// appended to the reply, with the file range that would be sent behind it.
func (s *site) send(proc uint32, args []byte) ([]byte, rpc.Verdict) {
	s.Helper()
	s.mu.Lock()
	s.caller.XID++
	c := s.caller
	s.mu.Unlock()
	c.Proc = proc
	return s.sendCall(&c, args)
}

const replyHead = "what stands before"

func (s *site) sendCall(c *rpc.Call, args []byte) ([]byte, rpc.Verdict) {
	s.Helper()
	parked := false
	for _, noWait := range []bool{true, false} {
		c.NoWait = noWait
		c.Args = xdr.NewDecoder(bytes.Clone(args))
		c.Reply = xdr.NewEncoder(append(make([]byte, 0, 64), replyHead...))
		c.File = gateway.FileRange{}
		verdict := s.server.Handle(context.Background(), c)
		head, result := c.Reply.Bytes()[:len(replyHead)], c.Reply.Bytes()[len(replyHead):]
		if string(head) != replyHead {
			s.Fatalf("the call damaged what stood before its reply: %q", head)
		}
		if verdict != rpc.Done && len(result) != 0 {
			s.Fatalf("verdict %d with %d bytes of reply", verdict, len(result))
		}
		if verdict == rpc.Park && noWait {
			parked = true
			continue
		}
		s.mu.Lock()
		s.parked, s.spliced = parked, c.File.Hold != nil
		s.mu.Unlock()
		if verdict == rpc.Done && len(result)%4 != 0 {
			s.Fatalf("proc %d: a reply of %d bytes", c.Proc, len(result))
		}
		return append(result, s.splice(c)...), verdict
	}
	s.Fatal("a call parked that may block")
	return nil, 0
}

// splice reads what the server would send from the descriptor.
func (s *site) splice(c *rpc.Call) []byte {
	if c.File.Hold == nil {
		return nil
	}
	defer c.File.Hold.Release()
	data := make([]byte, (c.File.N+3)&^3)
	if n, err := syscall.Pread(c.File.FD, data[:c.File.N], c.File.Offset); n != c.File.N {
		s.Fatal("file range:", n, err)
	}
	return data
}

type encodable interface {
	WriteTo(w io.Writer) (int64, error)
}

func encode(t testing.TB, m encodable) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// do encodes arguments and decodes the result with an independent codec. The result must be consumed to its last byte.
func do[R any](s *site, proc uint32, args encodable, read func(io.Reader) (R, int64, error)) R {
	s.Helper()
	result, verdict := s.send(proc, encode(s, args))
	if verdict != rpc.Done {
		s.Fatalf("proc %d: verdict %d", proc, verdict)
	}
	r, n, err := read(bytes.NewReader(result))
	if err != nil || n != int64(len(result)) {
		s.Fatalf("proc %d: decoded %d of %d bytes: %v\n%x", proc, n, len(result), err, result)
	}
	return r
}

// must returns the arm of a result that means success.
func must[T any](t testing.TB, r any) T {
	t.Helper()
	okArm, is := r.(T)
	if !is {
		t.Fatalf("got %#v", r)
	}
	return okArm
}

func attrOf(t testing.TB, a nfsv3.PostOpAttr) nfsv3.Fattr3 {
	t.Helper()
	return must[*nfsv3.PostOpAttr_TRUE](t, a).Attributes
}

func handleOf(t testing.TB, h nfsv3.PostOpFh3) nfsv3.NfsFh3 {
	t.Helper()
	return must[*nfsv3.PostOpFh3_TRUE](t, h).Handle
}

// wantWcc checks that a failing or succeeding change tells the attributes before and after, and returns the latter.
func wantWcc(t testing.TB, w nfsv3.WccData) nfsv3.Fattr3 {
	t.Helper()
	must[*nfsv3.PreOpAttr_TRUE](t, w.Before)
	return attrOf(t, w.After)
}
