package access_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"causeway"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/lockmgr"
)

// house is an engine on a store in memory, with its SMB events.
type house struct {
	t    *testing.T
	e    *access.Engine
	root causeway.Handle

	mu     sync.Mutex
	events []gateway.Event
	answer func(gateway.Event)
}

func newHouse(t *testing.T) *house {
	locks, err := lockmgr.New(lockmgr.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(locks.Close)
	h := &house{t: t, e: access.New(access.Config{Locks: locks})}
	h.e.Attach(&causeway.Volume{ID: 7, Name: "v", Mandatory: true}, mem.New(mem.Config{Mode: 0o777}))
	h.e.Subscribe(causeway.OwnerSMB, h)
	r, err := h.e.Root(t.Context(), nfs(), 7)
	if err != nil {
		t.Fatal(err)
	}
	h.root = r.Handle
	return h
}

func (h *house) Deliver(_ context.Context, e gateway.Event) error {
	h.mu.Lock()
	h.events = append(h.events, e)
	answer := h.answer
	h.mu.Unlock()
	if answer != nil {
		answer(e)
	}
	return nil
}

func (h *house) told() []gateway.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.events
	h.events = nil
	return e
}

func nfs() *gateway.Caller {
	return &gateway.Caller{Cred: causeway.Cred{UID: 1000, GID: 1000}}
}

func smb(client string) *gateway.Caller {
	return &gateway.Caller{Cred: causeway.Cred{UID: 1000, GID: 1000}, Owner: causeway.Owner{Kind: causeway.OwnerSMB, Client: client}}
}

const rw = causeway.FileReadData | causeway.FileWriteData

func spec(name string, d gateway.Disposition, access causeway.AccessMask, share causeway.Sharing) *gateway.OpenSpec {
	return &gateway.OpenSpec{
		Name: name, Disposition: d, Access: access, Share: share,
		Create: gateway.CreateSpec{Type: causeway.TypeRegular, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o644}},
	}
}

func (s *house) open(c *gateway.Caller, sp *gateway.OpenSpec) gateway.Opened {
	s.t.Helper()
	o, err := s.e.Open(s.t.Context(), c, s.root, sp)
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

func leased(sp *gateway.OpenSpec, client string, key byte, c causeway.Caching) *gateway.OpenSpec {
	sp.Lease = gateway.LeaseSpec{ID: causeway.LeaseID{Kind: causeway.Lease, Client: client, Key: causeway.LeaseKey{key}}, Caching: c, V2: true}
	return sp
}

func want(t *testing.T, err error, code causeway.Code) {
	t.Helper()
	if causeway.CodeOf(err) != code {
		t.Errorf("%v, want %v", err, code)
	}
}

func TestDispositions(t *testing.T) {
	h, c := newHouse(t), smb("c")
	for _, d := range []struct {
		there bool
		how   gateway.Disposition
		code  causeway.Code
		did   gateway.OpenAction
		size  uint64
	}{
		{false, gateway.OpenExisting, causeway.ErrNoEnt, 0, 0},
		{false, gateway.Overwrite, causeway.ErrNoEnt, 0, 0},
		{false, gateway.CreateNew, causeway.OK, gateway.DidCreate, 0},
		{false, gateway.OpenOrCreate, causeway.OK, gateway.DidCreate, 0},
		{false, gateway.OverwriteOrMake, causeway.OK, gateway.DidCreate, 0},
		{false, gateway.Supersede, causeway.OK, gateway.DidCreate, 0},
		{true, gateway.OpenExisting, causeway.OK, gateway.DidOpen, 5},
		{true, gateway.OpenOrCreate, causeway.OK, gateway.DidOpen, 5},
		{true, gateway.CreateNew, causeway.ErrExist, 0, 0},
		{true, gateway.Overwrite, causeway.OK, gateway.Overwritten, 0},
		{true, gateway.OverwriteOrMake, causeway.OK, gateway.Overwritten, 0},
		{true, gateway.Supersede, causeway.OK, gateway.Superseded, 0},
	} {
		if d.there {
			o := h.open(c, spec("f", gateway.CreateNew, rw, causeway.ShareAll))
			if _, err := h.e.SetAttr(t.Context(), nfs(), o.Handle, &causeway.SetAttr{Mask: causeway.SetSize, Size: 5}, nil); err != nil {
				t.Fatal(err)
			}
			h.e.Close(t.Context(), c, o.Handle, o.ID)
		}
		o, err := h.e.Open(t.Context(), c, h.root, spec("f", d.how, rw, causeway.ShareAll))
		want(t, err, d.code)
		if err == nil && (o.Action != d.did || o.Attr.Size != d.size || !o.Dir.After.Valid()) {
			t.Errorf("%+v: %+v", d, o)
		}
		if err == nil {
			h.e.Close(t.Context(), c, o.Handle, o.ID)
		}
		if d.there || err == nil {
			if _, err := h.e.Remove(t.Context(), nfs(), h.root, "f", gateway.RemoveFile); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestOpenRights(t *testing.T) {
	h := newHouse(t)
	c := smb("c")
	sp := spec("f", gateway.CreateNew, rw, causeway.ShareAll)
	sp.Create.Set.Mode = 0o444
	o := h.open(c, sp) // who makes a read-only file may write it
	if o.Access != rw {
		t.Error(o.Access)
	}
	other := smb("d")
	other.Cred.UID, other.Cred.GID = 2000, 2000
	_, err := h.e.Open(t.Context(), other, h.root, spec("f", gateway.OpenExisting, rw, causeway.ShareAll))
	want(t, err, causeway.ErrAccess)
	_, err = h.e.Open(t.Context(), other, h.root, spec("f", gateway.Overwrite, causeway.FileReadData, causeway.ShareAll))
	want(t, err, causeway.ErrAccess)
	most := h.open(other, spec("f", gateway.OpenExisting, causeway.MaximumAllowed, causeway.ShareAll))
	if most.Access&(rw|causeway.WriteDAC) != causeway.FileReadData {
		t.Errorf("%x", most.Access)
	}
	_, err = h.e.Close(t.Context(), c, most.Handle, most.ID)
	want(t, err, causeway.ErrBadOpen) // another client's
	c.ReadOnly = true
	_, err = h.e.Open(t.Context(), c, h.root, spec("g", gateway.CreateNew, rw, causeway.ShareAll))
	want(t, err, causeway.ErrROFS)
}

func TestDeleteOnClose(t *testing.T) {
	h := newHouse(t)
	a, b := smb("a"), smb("b")
	sp := spec("f", gateway.CreateNew, rw|causeway.Delete, causeway.ShareAll)
	sp.DeleteOnClose = true
	first := h.open(a, sp)
	second := h.open(b, spec("f", gateway.OpenExisting, causeway.FileReadData, causeway.ShareAll))
	if removed, err := h.e.Close(t.Context(), a, first.Handle, first.ID); removed || err != nil {
		t.Error(removed, err)
	}
	_, err := h.e.Open(t.Context(), a, h.root, spec("f", gateway.OpenOrCreate, rw, causeway.ShareAll))
	want(t, err, causeway.ErrDeletePending)
	if removed, err := h.e.Close(t.Context(), b, second.Handle, second.ID); !removed || err != nil {
		t.Error(removed, err)
	}
	_, _, err = h.e.Lookup(t.Context(), nfs(), h.root, "f")
	want(t, err, causeway.ErrNoEnt)

	// A directory that is not empty cannot be doomed; one that is goes.
	dir := spec("d", gateway.CreateNew, causeway.FileReadData|causeway.Delete, causeway.ShareAll)
	dir.Create.Type, dir.Create.Set.Mode = causeway.TypeDirectory, 0o755
	d := h.open(a, dir)
	if _, _, err := h.e.Create(t.Context(), nfs(), d.Handle, "x", &gateway.CreateSpec{Type: causeway.TypeRegular}); err != nil {
		t.Fatal(err)
	}
	want(t, h.e.SetDelete(t.Context(), a, d.Handle, d.ID, true), causeway.ErrNotEmpty)
	if _, err := h.e.Remove(t.Context(), nfs(), d.Handle, "x", gateway.RemoveFile); err != nil {
		t.Fatal(err)
	}
	want(t, h.e.SetDelete(t.Context(), a, d.Handle, d.ID, true), causeway.OK)
	// Renamed meanwhile: the new name goes.
	if _, _, err := h.e.Rename(t.Context(), nfs(), h.root, "d", h.root, "e"); err != nil {
		t.Fatal(err)
	}
	if removed, err := h.e.Close(t.Context(), a, d.Handle, d.ID); !removed || err != nil {
		t.Error(removed, err)
	}
	_, _, err = h.e.Lookup(t.Context(), nfs(), h.root, "e")
	want(t, err, causeway.ErrNoEnt)
}

// TestNFSBreaksLeases: what NFS does to a file takes from the lease of an SMB client what it conflicts with, and waits for it.
func TestNFSBreaksLeases(t *testing.T) {
	ops := map[string]struct {
		do     func(h *house, c *gateway.Caller, o gateway.Opened) error
		to     causeway.Caching
		waited bool
	}{
		"read": {func(h *house, c *gateway.Caller, o gateway.Opened) error {
			return h.e.Admit(context.Background(), c, o.Handle, causeway.Span{Length: 1}, false)
		}, causeway.CacheRead | causeway.CacheHandle, true},
		"write": {func(h *house, c *gateway.Caller, o gateway.Opened) error {
			return h.e.Admit(context.Background(), c, o.Handle, causeway.Span{Length: 1}, true)
		}, 0, true},
		"truncate": {func(h *house, c *gateway.Caller, o gateway.Opened) error {
			_, err := h.e.SetAttr(context.Background(), c, o.Handle, &causeway.SetAttr{Mask: causeway.SetSize}, nil)
			return err
		}, 0, true},
		"create": {func(h *house, c *gateway.Caller, o gateway.Opened) error {
			_, _, err := h.e.Create(context.Background(), c, h.root, "f", &gateway.CreateSpec{Type: causeway.TypeRegular, Set: causeway.SetAttr{Mask: causeway.SetSize, Size: 7}})
			return err
		}, 0, true},
		"lock": {func(h *house, c *gateway.Caller, o gateway.Opened) error {
			c.Owner = causeway.Owner{Kind: causeway.OwnerNLM, Client: "n"}
			_, err := h.e.Lock(context.Background(), c, o.Handle, gateway.LockSpec{Span: causeway.Span{Length: 1}})
			return err
		}, 0, true},
		"remove": {func(h *house, c *gateway.Caller, o gateway.Opened) error {
			_, err := h.e.Remove(context.Background(), c, h.root, "f", gateway.RemoveFile)
			return err
		}, causeway.CacheRead | causeway.CacheWrite, true},
		"rename": {func(h *house, c *gateway.Caller, o gateway.Opened) error {
			_, _, err := h.e.Rename(context.Background(), c, h.root, "f", h.root, "g")
			return err
		}, causeway.CacheRead | causeway.CacheWrite, true},
		"replace": {func(h *house, c *gateway.Caller, o gateway.Opened) error {
			if _, _, err := h.e.Create(context.Background(), c, h.root, "g", &gateway.CreateSpec{Type: causeway.TypeRegular}); err != nil {
				return err
			}
			_, _, err := h.e.Rename(context.Background(), c, h.root, "g", h.root, "f")
			return err
		}, causeway.CacheRead | causeway.CacheWrite, true},
		"link": {func(h *house, c *gateway.Caller, o gateway.Opened) error {
			_, _, err := h.e.Link(context.Background(), c, o.Handle, h.root, "g")
			return err
		}, causeway.CacheRead | causeway.CacheWrite, true},
		"getattr": {func(h *house, c *gateway.Caller, o gateway.Opened) error {
			_, err := h.e.GetAttr(context.Background(), c, o.Handle)
			return err
		}, causeway.CacheAll, false},
	}
	for name, op := range ops {
		for _, answers := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { breakOnce(t, op.do, op.to, op.waited, answers) })
			})
		}
	}
}

func breakOnce(t *testing.T, do func(*house, *gateway.Caller, gateway.Opened) error, to causeway.Caching, waited, answers bool) {
	h, c := newHouse(t), smb("c")
	o := h.open(c, leased(spec("f", gateway.CreateNew, rw, causeway.ShareAll), "c", 1, causeway.CacheAll))
	if o.Lease.Caching != causeway.CacheAll {
		t.Fatal(o.Lease)
	}
	patient := nfs()
	patient.NoWait, patient.Later = true, &gateway.Pending{}
	if err := do(h, patient, o); waited && causeway.CodeOf(err) != causeway.ErrWouldBlock {
		t.Fatal("without waiting:", err)
	}
	if e := h.told(); len(e) != 0 {
		t.Fatal("broken by who does not wait:", e)
	}
	begin := time.Now()
	done := make(chan error, 1)
	go func() { done <- do(h, nfs(), o) }()
	synctest.Wait()
	var told []gateway.Event
	if waited {
		select {
		case err := <-done:
			t.Fatal("did not wait:", err)
		default:
		}
		if told = h.told(); len(told) != 1 || told[0].Kind != gateway.LeaseBroken || told[0].Break.To != to || !told[0].Break.Ack || told[0].Break.Within != 35*time.Second {
			t.Fatalf("%+v", told)
		}
		if answers {
			if _, err := h.e.Acknowledge(t.Context(), c, o.Handle, o.Lease.ID, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	switch took := time.Since(begin); {
	case waited && !answers && (took < 34*time.Second || took > 36*time.Second):
		t.Error("waited for", took)
	case (!waited || answers) && took != 0:
		t.Error("waited for", took)
	}
}

func TestOpenWaitsAndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, a, b := newHouse(t), smb("a"), smb("b")
		o := h.open(a, leased(spec("f", gateway.CreateNew, rw, causeway.ShareAll), "a", 1, causeway.CacheAll))
		hasty := *b
		hasty.NoWait = true
		_, err := h.e.Open(t.Context(), &hasty, h.root, spec("f", gateway.OpenExisting, rw, causeway.ShareAll))
		want(t, err, causeway.ErrWouldBlock)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = h.e.Open(ctx, b, h.root, spec("f", gateway.OpenExisting, rw, causeway.ShareAll))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		// The lease is still breaking; its holder closes.
		done := make(chan error, 1)
		go func() {
			_, err := h.e.Open(context.Background(), b, h.root, spec("f", gateway.OpenExisting, rw, causeway.ShareAll))
			done <- err
		}()
		synctest.Wait()
		if _, err := h.e.Close(t.Context(), a, o.Handle, o.ID); err != nil {
			t.Fatal(err)
		}
		want(t, <-done, causeway.OK)
	})
}

// TestMandatory: a byte range lock of an SMB open binds others, and NFS where the volume says so.
func TestMandatory(t *testing.T) {
	h, a, b := newHouse(t), smb("a"), smb("b")
	o := h.open(a, spec("f", gateway.CreateNew, rw, causeway.ShareAll))
	p := h.open(b, spec("f", gateway.OpenExisting, rw, causeway.ShareAll))
	a.Open, a.Owner, b.Open, b.Owner = o.ID, o.Owner, p.ID, p.Owner
	s := causeway.Span{Offset: 10, Length: 10}
	if _, err := h.e.Lock(t.Context(), a, o.Handle, gateway.LockSpec{Span: s, Exclusive: true}); err != nil {
		t.Fatal(err)
	}
	want(t, h.e.Admit(t.Context(), a, o.Handle, s, true), causeway.OK)
	want(t, h.e.Admit(t.Context(), b, o.Handle, s, false), causeway.ErrLocked)
	want(t, h.e.Admit(t.Context(), nfs(), o.Handle, s, false), causeway.ErrLocked)
	want(t, h.e.Admit(t.Context(), nfs(), o.Handle, causeway.Span{Length: 10}, true), causeway.OK)
	g, err := h.e.Grant(t.Context(), &gateway.GrantSpec{Handle: o.Handle, Mode: causeway.IORead, Span: causeway.Span{Length: causeway.ToEOF}})
	if err != nil || !g.Guarded || !slices.Equal(g.Deny, []causeway.Span{s}) {
		t.Error(g, err)
	}
	if _, err := h.e.Close(t.Context(), a, o.Handle, o.ID); err != nil {
		t.Fatal(err)
	}
	want(t, h.e.Admit(t.Context(), nfs(), o.Handle, s, false), causeway.OK)
}

// busyHolder has I/O under way that ends when the test says so.
type busyHolder struct {
	gateway.Holder
	asked, idle chan struct{}
}

func (b *busyHolder) Recall(context.Context, *gateway.Recall) (gateway.Commit, error) {
	close(b.asked)
	<-b.idle
	return gateway.Commit{}, nil
}

// TestAssertWaitsForNoIO: a new owner takes over what clients hold while I/O of its own gateway waits to be admitted by an owner. That I/O
// is asked to look again, and not waited for: it goes on when the volume is open, which is later.
func TestAssertWaitsForNoIO(t *testing.T) {
	h, a := newHouse(t), smb("a")
	o := h.open(a, spec("f", gateway.CreateNew, rw, causeway.ShareAll))
	a.Open, a.Owner = o.ID, o.Owner
	if _, err := h.e.Lock(t.Context(), a, o.Handle, gateway.LockSpec{Span: causeway.Span{Length: 10}, Exclusive: true}); err != nil {
		t.Fatal(err)
	}
	held, err := h.e.Held(t.Context(), 7, "")
	if err != nil || len(held) < 2 {
		t.Fatal(held, err)
	}
	locks, err := lockmgr.New(lockmgr.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer locks.Close()
	busy := &busyHolder{asked: make(chan struct{}), idle: make(chan struct{})}
	next := access.New(access.Config{Locks: locks, Holder: busy})
	next.Attach(&causeway.Volume{ID: 7, Name: "v", Mandatory: true}, mem.New(mem.Config{Mode: 0o777}))
	if refused, err := next.Assert(t.Context(), 7, held); err != nil || len(refused) > 0 {
		t.Fatal(refused, err)
	}
	want(t, next.Admit(t.Context(), nfs(), o.Handle, causeway.Span{Length: 1}, false), causeway.ErrLocked)
	<-busy.asked
	close(busy.idle)
	next.Wait()
}

func TestDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, a := newHouse(t), smb("a")
		sp := leased(spec("f", gateway.CreateNew, rw, causeway.ShareAll), "a", 1, causeway.CacheAll)
		sp.Keep = gateway.KeepSpec{For: time.Minute, GUID: [16]byte{9}}
		o := h.open(a, sp)
		if o.Keep != time.Minute {
			t.Fatal(o.Keep)
		}
		want(t, h.e.Disconnect(t.Context(), a, o.Handle, o.ID), causeway.OK)
		back, err := h.e.Reconnect(t.Context(), a, o.Handle, causeway.OpenID{}, sp.Keep.GUID, sp.Lease.ID)
		if err != nil || back.ID != o.ID || back.Lease.Caching != causeway.CacheAll {
			t.Fatal(back, err)
		}
		want(t, h.e.Disconnect(t.Context(), a, o.Handle, o.ID), causeway.OK)
		time.Sleep(62 * time.Second)
		_, err = h.e.Reconnect(t.Context(), a, o.Handle, causeway.OpenID{}, sp.Keep.GUID, sp.Lease.ID)
		want(t, err, causeway.ErrBadOpen)
		if e := h.told(); len(e) != 1 || e[0].Kind != gateway.OpenLost {
			t.Error(e)
		}
	})
}

func TestWatch(t *testing.T) {
	h, a := newHouse(t), smb("a")
	mk := func(dir causeway.Handle, name string, typ causeway.FileType) causeway.Handle {
		e, _, err := h.e.Create(t.Context(), nfs(), dir, name, &gateway.CreateSpec{Type: typ, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o755}})
		if err != nil {
			t.Fatal(err)
		}
		return e.Handle
	}
	sub := mk(h.root, "sub", causeway.TypeDirectory)
	deep := mk(sub, "deep", causeway.TypeDirectory)
	flat, tree := gateway.WatchID{Owner: a.Owner, Open: causeway.OpenID{1}}, gateway.WatchID{Owner: a.Owner, Open: causeway.OpenID{2}}
	want(t, h.e.Watch(t.Context(), a, sub, flat, gateway.NoticeFileName, false), causeway.OK)
	want(t, h.e.Watch(t.Context(), a, h.root, tree, gateway.NoticeFileName|gateway.NoticeDirName|gateway.NoticeSize, true), causeway.OK)
	mk(deep, "f", causeway.TypeRegular)
	mk(sub, "g", causeway.TypeRegular)
	if _, _, err := h.e.Rename(t.Context(), nfs(), h.root, "sub", h.root, "bus"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.e.Rename(t.Context(), nfs(), sub, "g", sub, "h"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.e.Remove(t.Context(), nfs(), deep, "f", gateway.RemoveFile); err != nil {
		t.Fatal(err)
	}
	want(t, h.e.Unwatch(t.Context(), h.root, tree), causeway.OK)
	want(t, h.e.Unwatch(t.Context(), h.root, tree), causeway.ErrNoEnt)
	mk(deep, "silent", causeway.TypeRegular)
	got := map[gateway.WatchID][]gateway.Notice{}
	for _, e := range h.told() {
		if e.Kind != gateway.Noticed {
			t.Error(e)
		}
		got[e.Watch] = append(got[e.Watch], e.Notices...)
	}
	if w := []gateway.Notice{{Action: gateway.Added, Name: "g"}, {Action: gateway.RenamedFrom, Name: "g"}, {Action: gateway.RenamedTo, Name: "h"}}; !slices.Equal(got[flat], w) {
		t.Error(got[flat])
	}
	if w := []gateway.Notice{
		{Action: gateway.Added, Name: "sub/deep/f"}, {Action: gateway.Added, Name: "sub/g"},
		{Action: gateway.RenamedFrom, Name: "sub"}, {Action: gateway.RenamedTo, Name: "bus"},
		{Action: gateway.RenamedFrom, Name: "bus/g"}, {Action: gateway.RenamedTo, Name: "bus/h"}, {Action: gateway.Removed, Name: "bus/deep/f"},
	}; !slices.Equal(got[tree], w) {
		t.Error(got[tree])
	}
}

// TestRace lets many open, create and delete one name at once: each who opened it holds the object that the name stood for.
func TestRace(t *testing.T) {
	h := newHouse(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			c := smb(string(rune('a' + i)))
			for range 200 {
				sp := spec("f", gateway.OpenOrCreate, rw|causeway.Delete, causeway.ShareAll)
				sp.DeleteOnClose = i%2 == 0
				o, err := h.e.Open(t.Context(), c, h.root, sp)
				if errors.Is(err, causeway.ErrDeletePending) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if found, _, err := h.e.Lookup(t.Context(), nfs(), h.root, "f"); err != nil || found.Handle != o.Handle {
					t.Error("open, but not there:", err)
				}
				if _, err := h.e.Close(t.Context(), c, o.Handle, o.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if list, err := h.e.Opens(t.Context(), 7); len(list) != 0 || err != nil {
		t.Error(list, err)
	}
}

// TestDisconnectedGivesWay: a disconnected open that was to delete its file does so when another needs its handle.
func TestDisconnectedGivesWay(t *testing.T) {
	h, a, b := newHouse(t), smb("a"), smb("b")
	sp := leased(spec("f", gateway.CreateNew, rw|causeway.Delete, causeway.ShareNone), "a", 1, causeway.CacheAll)
	sp.Keep, sp.DeleteOnClose = gateway.KeepSpec{For: time.Minute}, true
	o := h.open(a, sp)
	want(t, h.e.Disconnect(t.Context(), a, o.Handle, o.ID), causeway.OK)
	p := h.open(b, spec("f", gateway.OpenOrCreate, rw, causeway.ShareAll))
	if p.Action != gateway.DidCreate || p.Handle == o.Handle {
		t.Errorf("%+v", p)
	}
}
