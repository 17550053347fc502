package v3_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/drc"
	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/rpc"
	v3 "causeway/gateway/nfs/v3"
	"causeway/gateway/nfs/xdr"
)

// changes are calls that do something else, or fail, when they are done twice. They refer to what prepare makes.
func changes(s *site) map[uint32]encodable {
	h := s.file(s.root, "linked")
	ctime := s.attr(h).Ctime
	s.file(s.root, "removed")
	s.file(s.root, "renamed")
	s.dir(s.root, "rmdir")
	return map[uint32]encodable{
		remove:  &nfsv3.Remove3args{Object: at(s.root, "removed")},
		rmdir:   &nfsv3.Rmdir3args{Object: at(s.root, "rmdir")},
		rename:  &nfsv3.Rename3args{From: at(s.root, "renamed"), To: at(s.root, "new name")},
		create:  &nfsv3.Create3args{Where: at(s.root, "file"), How: &nfsv3.Createhow3_GUARDED{ObjAttributes: withMode(0o600)}},
		mkdir:   &nfsv3.Mkdir3args{Where: at(s.root, "dir"), Attributes: noChange()},
		symlink: &nfsv3.Symlink3args{Where: at(s.root, "symlink"), Symlink: nfsv3.Symlinkdata3{SymlinkAttributes: noChange(), SymlinkData: "target"}},
		mknod:   &nfsv3.Mknod3args{Where: at(s.root, "fifo"), What: &nfsv3.Mknoddata3_NF3FIFO{PipeAttributes: noChange()}},
		setAttr: &nfsv3.Setattr3args{Object: h, NewAttributes: withMode(0o111), Guard: &nfsv3.Sattrguard3_TRUE{ObjCtime: ctime}},
	}
}

// TestRetransmission: the same call again, also over another connection, gets the first reply; the same arguments under a new
// xid are a new call.
func TestRetransmission(t *testing.T) {
	s := newSite(t)
	all := changes(s)
	all[link] = &nfsv3.Link3args{File: s.handle(s.store.Root()), Link: at(s.root, "to the root")}
	for proc, args := range all {
		wire := encode(t, args)
		c := s.caller
		c.XID, c.Proc = 0xabc00+proc, proc
		first, _ := s.sendCall(&c, wire)
		c.Remote = mustAddr("127.0.0.1:999")
		again, verdict := s.sendCall(&c, wire)
		if verdict != rpc.Done || !bytes.Equal(first, again) {
			t.Errorf("proc %d: first %x, then %x", proc, first, again)
		}
		if proc != link && !bytes.Equal(first[:4], make([]byte, 4)) {
			t.Errorf("proc %d failed: %x", proc, first)
		}
		c.XID++
		other, _ := s.sendCall(&c, wire)
		if bytes.Equal(first, other) && proc != link {
			t.Errorf("proc %d: a new call got an old reply", proc)
		}
		c.XID--
		c.Remote = mustAddr("127.0.0.2:999")
		if other, _ = s.sendCall(&c, wire); bytes.Equal(first, other) && proc != link {
			t.Errorf("proc %d: a client got another's reply", proc)
		}
	}
}

// TestReplyOfARefusedPort: who may not use the volume, though he speaks from the client's address, can neither make an answer
// that the client gets nor get the client's.
func TestReplyOfARefusedPort(t *testing.T) {
	s := newSite(t, func(v *causeway.Volume) { v.Exports[0].Secure = true })
	for proc, args := range changes(s) {
		wire := encode(t, args)
		c := s.caller
		c.XID, c.Proc = 0xabc00+proc, proc
		forged := c
		forged.Remote = mustAddr("127.0.0.1:5000")
		refused, _ := s.sendCall(&forged, wire)
		if first, _ := s.sendCall(&c, wire); !bytes.Equal(first[:4], make([]byte, 4)) {
			t.Errorf("proc %d: the client got the answer of the refused call: %x", proc, first[:4])
		}
		if again, _ := s.sendCall(&forged, wire); !bytes.Equal(again, refused) {
			t.Errorf("proc %d: the refused port got the client's answer: %x", proc, again[:4])
		}
	}
}

// TestParking: what would wait parks without an effect; the rest is answered at once.
func TestParking(t *testing.T) {
	for _, async := range []bool{false, true} {
		s := newSite(t, func(v *causeway.Volume) { v.Async = async })
		h := s.file(s.root, "f")
		l := handleOf(t, must[*nfsv3.Symlink3res_NFS3_OK](t, s.symlink(s.root, "l", "x")).Resok.Obj)
		wantStatus(t, s.write(h, 0, pattern(1<<20), nfsv3.FILE_SYNC), nfsv3.NFS3_OK)
		s.read(h, 0, 1) // opens it
		for proc, args := range changes(s) {
			if s.send(proc, encode(t, args)); s.parked == async {
				t.Errorf("async %t: proc %d parked: %t", async, proc, s.parked)
			}
		}
		for _, test := range []struct {
			name string
			proc uint32
			args encodable
			want bool
		}{
			{"getattr", getAttr, &nfsv3.Getattr3args{Object: h}, false},
			{"lookup", lookup, &nfsv3.Lookup3args{What: at(s.root, "f")}, false},
			{"access", access3, &nfsv3.Access3args{Object: h, Access: 63}, false},
			{"readlink", readLink, &nfsv3.Readlink3args{Symlink: l}, false},
			{"small read", read, &nfsv3.Read3args{File: h, Count: rpc.Bulk - 1}, false},
			{"bulk read", read, &nfsv3.Read3args{File: h, Count: rpc.Bulk}, true},
			{"small write", write, &nfsv3.Write3args{File: h, Count: 4096, Data: pattern(4096)}, false},
			{"stable write", write, &nfsv3.Write3args{File: h, Count: 4096, Data: pattern(4096), Stable: nfsv3.DATA_SYNC}, true},
			{"bulk write", write, &nfsv3.Write3args{File: h, Count: 1 << 17, Data: pattern(1 << 17)}, true},
			{"commit", commit, &nfsv3.Commit3args{File: h}, true},
			{"readdir", readDir, &nfsv3.Readdir3args{Dir: s.root, Count: 1 << 16}, false},
			{"readdirplus", readDirPlus, &nfsv3.Readdirplus3args{Dir: s.root, Dircount: 1 << 16, Maxcount: 1 << 16}, false},
			{"long readdirplus", readDirPlus, &nfsv3.Readdirplus3args{Dir: s.root, Dircount: 1 << 20, Maxcount: 1 << 20}, true},
			{"fsstat", fsStat, &nfsv3.Fsstat3args{Fsroot: s.root}, false},
			{"fsinfo", fsInfo, &nfsv3.Fsinfo3args{Fsroot: s.root}, false},
			{"pathconf", pathConf, &nfsv3.Pathconf3args{Object: s.root}, false},
		} {
			result, verdict := s.send(test.proc, encode(t, test.args))
			if s.parked != test.want || verdict != rpc.Done || !bytes.Equal(result[:4], make([]byte, 4)) {
				t.Errorf("async %t, %s: parked %t, verdict %d, %x", async, test.name, s.parked, verdict, result[:min(4, len(result))])
			}
		}
	}
}

// slow is an engine whose removals wait, fail for a while or panic.
type slow struct {
	gateway.Namespace
	started, release chan struct{}
	err              error
	panics           bool
	calls            int
}

func (e *slow) Remove(context.Context, *gateway.Caller, causeway.Handle, string, gateway.RemoveKind) (causeway.Change, error) {
	e.calls++
	if e.panics {
		panic("in the engine")
	}
	if e.started != nil {
		e.started <- struct{}{}
		<-e.release
	}
	return causeway.Change{}, e.err
}

func slowServer(t *testing.T, s *site, e *slow) *v3.Server {
	t.Helper()
	replies, err := drc.New(drc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := v3.New(v3.Config{Guard: &export.Guard{Catalog: s.catalog}, Access: e, Transfer: idle{}, Replies: replies})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

type idle struct{ gateway.Transfer }

func (s *site) removal(name string) func() *rpc.Call {
	wire := encode(s, &nfsv3.Remove3args{Object: at(s.root, name)})
	return func() *rpc.Call {
		c := s.caller
		c.XID, c.Proc, c.Args = 5, remove, xdr.NewDecoder(bytes.Clone(wire))
		return &c
	}
}

// TestInProgress: a retransmission of a call that runs is answered when that one is, and is not done itself. Its client may have another
// connection by then, and would wait for a minute otherwise.
func TestInProgress(t *testing.T) {
	s := newSite(t)
	e := &slow{started: make(chan struct{}), release: make(chan struct{})}
	server, call := slowServer(t, s, e), s.removal("f")
	first, again := call(), call()
	done := make(chan rpc.Verdict, 2)
	go func() { done <- server.Handle(t.Context(), first) }()
	<-e.started
	now := call()
	now.NoWait = true
	if verdict := server.Handle(t.Context(), now); verdict != rpc.Park {
		t.Error("without waiting:", verdict)
	}
	go func() { done <- server.Handle(t.Context(), again) }()
	left, cancel := context.WithCancel(t.Context())
	cancel()
	if verdict := server.Handle(left, call()); verdict != rpc.Drop {
		t.Error("nobody waits for it:", verdict)
	}
	close(e.release)
	for range 2 {
		if verdict := <-done; verdict != rpc.Done {
			t.Error(verdict)
		}
	}
	if !bytes.Equal(again.Reply.Bytes(), first.Reply.Bytes()) || e.calls != 1 {
		t.Error(again.Reply.Bytes(), e.calls)
	}
}

// TestNotRemembered: what had no effect may be tried again with the same xid.
func TestNotRemembered(t *testing.T) {
	s := newSite(t)
	e := &slow{err: causeway.ErrDelay}
	server, call := slowServer(t, s, e), s.removal("f")
	for n := range 2 {
		if server.Handle(t.Context(), call()); e.calls != n+1 {
			t.Error("a JUKEBOX was remembered")
		}
	}
	e.panics = true
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		server.Handle(t.Context(), call())
	}()
	e.panics, e.err = false, nil
	if verdict := server.Handle(t.Context(), call()); verdict != rpc.Done || e.calls != 4 {
		t.Error("a panic blocks the retransmission:", verdict)
	}
}

func TestCounts(t *testing.T) {
	s := newSite(t)
	s.attr(s.root)
	s.attr(s.root)
	s.lookup(s.root, "none")
	do(s, readDir, &nfsv3.Readdir3args{Dir: s.root, Count: 4096}, nfsv3.ReadReaddir3res)
	do(s, readDir, &nfsv3.Readdir3args{Dir: s.root, Count: 1}, nfsv3.ReadReaddir3res)
	got := map[string]uint64{}
	s.server.Counts(func(proc, status string, n uint64) { got[proc+" "+status] = n })
	if n := testutil.CollectAndCount(s.server, "causeway_nfs3_calls_total"); n != len(got) {
		t.Error("metrics:", n)
	}
	if want := "map[GETATTR OK:2 LOOKUP NOENT:1 READDIR OK:1 READDIR TOOSMALL:1]"; fmt.Sprint(got) != want {
		t.Error(got)
	}
}

func TestUnknownProcedure(t *testing.T) {
	s := newSite(t)
	if result, verdict := s.send(null, nil); verdict != rpc.Done || len(result) != 0 {
		t.Error(verdict, result)
	}
	for _, proc := range []uint32{procedures, 1 << 31, 1<<32 - 1} {
		if _, verdict := s.send(proc, nil); verdict != rpc.ProcUnavail {
			t.Error(proc, verdict)
		}
	}
}

func TestValidate(t *testing.T) {
	s := newSite(t)
	guard := &export.Guard{Catalog: s.catalog}
	for _, cfg := range []v3.Config{{}, {Guard: &export.Guard{}}, {Guard: guard}, {Guard: guard, Access: &slow{}}} {
		if _, err := v3.New(cfg); err == nil {
			t.Errorf("%+v passed", cfg)
		}
	}
}
