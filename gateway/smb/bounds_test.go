package smb

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// TestHalfOpenLogons: however many logons one address begins and leaves, others can log on.
func TestHalfOpenLogons(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	now := time.Now()
	r.srv.cfg.MaxLogons, r.srv.cfg.Now = 40, func() time.Time { return now }
	from := func(addr string) *conn {
		_, server := net.Pipe()
		c := newConn(r.srv, server)
		c.remote = netip.MustParseAddr(addr)
		return c
	}
	victim, err := from("192.0.2.1").newSession()
	if err != nil {
		t.Fatal(err)
	}
	one := from("192.0.2.2")
	for range 500 {
		if _, err := from("192.0.2.2").newSession(); err != nil {
			t.Fatal(err)
		}
		if _, err := one.newSession(); err != nil {
			t.Fatal(err)
		}
	}
	if victim.session.gone {
		t.Error("another address has pushed out a logon")
	}
	if n := len(r.srv.halfOpen); n > 1+10 {
		t.Error(n, "half-open logons of two addresses")
	}
	for i := range 100 {
		if _, err := from(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).String()).newSession(); err != nil {
			t.Fatal("from many addresses:", err)
		}
	}
	if n := len(r.srv.halfOpen); n > 40 {
		t.Error(n, "half-open logons")
	}
	now = now.Add(r.srv.cfg.LogonTimeout + time.Second)
	if _, err := one.newSession(); err != nil || len(r.srv.halfOpen) != 1 {
		t.Error(len(r.srv.halfOpen), "are left after their time", err)
	}
	for _, ses := range r.srv.halfOpen {
		ses.end()
	}
	if len(r.srv.perAddr) != 0 || len(r.srv.halfOpen) != 0 {
		t.Error("left:", r.srv.perAddr, r.srv.halfOpen)
	}
}

// TestSessionsOfOneAddress: one address does not take all sessions.
func TestSessionsOfOneAddress(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	r.srv.cfg.MaxSessions = 16
	begin := func(addr string) error {
		_, server := net.Pipe()
		c := newConn(r.srv, server)
		c.remote = netip.MustParseAddr(addr)
		ch, err := c.newSession()
		if err == nil {
			ch.session.user.Store(&auth.User{})
			r.srv.completed(ch.session)
		}
		return err
	}
	for i := range 5 {
		if err := begin("192.0.2.2"); (err == nil) != (i < 4) {
			t.Error(i, err)
		}
	}
	if err := begin("192.0.2.3"); err != nil {
		t.Error("another address:", err)
	}
}

// TestFramesOfStrangers: who has not logged on is lent no more than a logon needs.
func TestFramesOfStrangers(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	client, server := net.Pipe()
	c := newConn(r.srv, server)
	done := make(chan struct{})
	go func() { defer close(done); c.serve() }()
	client.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := client.Write([]byte{0, 0x10, 0, 0}); err != nil { // 1 MiB
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Error("it is waited for:", err)
	}
	client.Close()
	<-done
}

func isTimeout(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}

// TestCompoundReplyIsBounded: a compound of many questions with long answers is not answered in full.
func TestCompoundReplyIsBounded(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	id := r.openFile(t)
	tr, a := r.srv.cfg.Transfer, r.srv.cfg.Access
	found, _, err := a.Lookup(t.Context(), &gateway.Caller{}, r.ses.trees[1].root.Handle, "f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Write(t.Context(), nfs(), found.Handle, 0, make([]byte, 1<<20), causeway.Unstable); err != nil {
		t.Fatal(err)
	}
	xattr := make([]byte, 60<<10)
	if _, err := a.SetXattr(t.Context(), &gateway.Caller{}, found.Handle, "user.big", xattr, causeway.XattrEither); err != nil {
		t.Fatal(err)
	}
	var all []byte
	query := make([]byte, 40)
	query[0], query[2], query[3] = 41, byte(wire.InfoFile), 15
	le.PutUint32(query[4:], 64<<10)
	le.PutUint64(query[24:], id.Persistent)
	le.PutUint64(query[32:], id.Volatile)
	for i := range 128 {
		m := r.request(wire.QueryInfo, 0, query)
		for len(m)%8 != 0 {
			m = append(m, 0)
		}
		if i < 127 {
			wire.PutNext(m, uint32(len(m)))
		}
		all = append(all, m...)
	}
	r.send(t, all)
	m, _ := r.receive(t)
	if len(m) > maxReply+256<<10 {
		t.Errorf("a reply of %d bytes", len(m))
	}
	refused := 0
	for rest := m; len(rest) > 0; {
		var e []byte
		if e, rest, err = wire.Element(rest); err != nil {
			t.Fatal(err)
		}
		var h wire.Header
		if err := h.Parse(e); err != nil {
			t.Fatal(err)
		}
		if h.Status == ntstatus.InsufficientResources {
			refused++
		}
	}
	if refused == 0 {
		t.Error("all was answered, in", len(m), "bytes")
	}
}

// TestOpensOfOneUser: with his sessions a user does not multiply what he may have open, nor with what is kept for him.
func TestOpensOfOneUser(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	r.srv.cfg.MaxOpensPerUser = 5
	for range 3 {
		r.openFile(t)
	}
	other := r.again(t)
	if _, status := other.create(t, 0, durableCreate("kept", 9)); status != 0 {
		t.Fatal(status)
	}
	other.close() // it is kept
	r.openFile(t)
	if _, status := r.create(t, 0, createBody("f", 0, 0)); status != ntstatus.InsufficientResources {
		t.Error("more than he may:", status)
	}
	r.srv.files.mu.Lock()
	defer r.srv.files.mu.Unlock()
	if n := r.srv.files.users[1000]; n != 5 {
		t.Error(n, "are counted")
	}
}

// TestOpensOfOneFile: each open of a file is compared with all others of it, so a user has only so many of one, whatever he calls his clients, and the
// file that he would have emptied by one more stays as it is.
func TestOpensOfOneFile(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	r.srv.cfg.MaxOpensPerFile = 3
	for range 2 {
		r.openFile(t)
	}
	other := r.again(t)
	first, status := other.create(t, 0, createBody("f", 0, 0))
	if status != 0 {
		t.Fatal(status)
	}
	for _, crowded := range []*rig{r, other} {
		if _, status := crowded.create(t, 0, createBody("f", 0, 0)); status != ntstatus.InsufficientResources {
			t.Error("more of one file than he may have:", status)
		}
	}
	if _, status := other.create(t, 0, durableCreate("another", 9)); status != 0 {
		t.Error("another file:", status)
	}
	other.send(t, other.request(wire.Close, 0, closeBody(first)))
	if _, h := other.receive(t); h.Status != ntstatus.OK {
		t.Fatal(h.Status)
	}
	if _, status := r.create(t, 0, createBody("f", 0, 0)); status != 0 {
		t.Error("one was closed:", status)
	}
}

// TestListingHoldsNobodyUp: while a directory is listed, which may take long, news of its opens is taken.
func TestListingHoldsNobodyUp(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	r.send(t, r.request(wire.Create, 0, rootBody()))
	m, h := r.receive(t)
	if h.Status != 0 {
		t.Fatal(h.Status)
	}
	o := r.srv.files.find((&open{id: wire.FileID{Persistent: le.Uint64(m[wire.HeaderSize+64:]), Volatile: le.Uint64(m[wire.HeaderSize+72:])}}).openID())
	entered, leave := make(chan struct{}), make(chan struct{})
	r.srv.cfg.Access = &slowListing{r.srv.cfg.Access, entered, leave}
	list := make([]byte, 32)
	list[0], list[2] = 33, 1
	le.PutUint64(list[8:], o.id.Persistent)
	le.PutUint64(list[16:], o.id.Volatile)
	le.PutUint32(list[28:], 4096)
	r.send(t, r.request(wire.QueryDirectory, 0, list))
	<-entered
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.noticed(nil, true)
		o.granted(gateway.Lock{})
		r.srv.files.moved(o.handle, o.handle, "a", o.handle, []string{"b"})
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the whole server waits for a listing")
	}
	close(leave)
	r.receive(t)
}

// TestListingsOfOneUser: who looks for ever more names in huge directories, which are listed for each, leaves other users their turn.
func TestListingsOfOneUser(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	r.srv.cfg.Folding = names.Insensitive
	leave := make(chan struct{})
	defer close(leave)
	r.srv.cfg.Access = &slowFor{r.srv.cfg.Access, 1000, leave}
	go io.Copy(io.Discard, r.client)
	for i := range 3 * maxListings {
		body := createBody(fmt.Sprint("missing", i), 0, 0)
		le.PutUint32(body[36:], uint32(wire.OpenOnly))
		r.send(t, r.request(wire.Create, 0, body))
	}
	for begun, all := time.Now(), 0; all < maxListingsOfUser; time.Sleep(time.Millisecond) {
		r.srv.listings.mu.Lock()
		all = r.srv.listings.all
		r.srv.listings.mu.Unlock()
		if time.Since(begun) > 30*time.Second {
			t.Fatal(all, "are listed")
		}
	}
	other := r.again(t)
	defer other.close()
	other.ses.user.Store(&auth.User{Name: "other", UID: 1001, GID: 1001})
	other.client.SetReadDeadline(time.Now().Add(30 * time.Second))
	body := createBody("missing", 0, 0)
	le.PutUint32(body[36:], uint32(wire.OpenOnly))
	if _, status := other.create(t, 0, body); status != ntstatus.ObjectNameNotFound {
		t.Error(status)
	}
}

// slowFor lists nothing for a user for a long time.
type slowFor struct {
	everything
	uid   uint32
	leave chan struct{}
}

func (s *slowFor) ReadDir(ctx context.Context, c *gateway.Caller, h causeway.Handle, cookie uint64, want gateway.ReadDirWant, emit func(*causeway.DirEntry) bool) (causeway.Attr, bool, error) {
	if c.Cred.UID == s.uid {
		if c.NoWait {
			return causeway.Attr{}, false, causeway.ErrWouldBlock
		}
		<-s.leave
	}
	return s.everything.ReadDir(ctx, c, h, cookie, want, emit)
}

type everything = Access // by another name than that of a method

type slowListing struct {
	everything
	entered, leave chan struct{}
}

func (s *slowListing) ReadDir(ctx context.Context, c *gateway.Caller, h causeway.Handle, cookie uint64, want gateway.ReadDirWant, emit func(*causeway.DirEntry) bool) (causeway.Attr, bool, error) {
	close(s.entered)
	<-s.leave
	return s.everything.ReadDir(ctx, c, h, cookie, want, emit)
}

// TestNoticesAreBounded: what is remembered for watchers who do not ask is bounded for all directories of a session together, and is
// forgotten with them.
func TestNoticesAreBounded(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	var opens []*open
	for range 100 {
		o := &open{session: r.ses, tree: r.ses.trees[1]}
		o.watch.on = true
		opens = append(opens, o)
		for range 900 {
			o.noticed([]gateway.Notice{{Action: gateway.Modified, Name: "a name of some length/and another one"}}, false)
		}
	}
	missed := 0
	for _, o := range opens {
		if o.watch.missed {
			missed++
		}
	}
	if n := r.ses.notices.Load(); n > maxNoticeBytes || missed == 0 || n != r.srv.notices.Load() {
		t.Error(n, "bytes;", missed, "missed some;", r.srv.notices.Load(), "in all")
	}
	for _, o := range opens {
		o.unwatch(&r.srv.cfg)
	}
	if r.ses.notices.Load() != 0 || r.srv.notices.Load() != 0 {
		t.Error("left:", r.ses.notices.Load(), r.srv.notices.Load())
	}
}

// TestNewsOfAnOldLock: the news that a lock was granted, which comes when its request was cancelled, is not taken for that of a later request.
func TestNewsOfAnOldLock(t *testing.T) {
	span := causeway.Span{Offset: 1, Length: 2}
	o := &open{}
	if o.forgetLock(span) {
		t.Error("nobody waits")
	}
	o.unwanted(span) // the request was cancelled, the lock was taken back
	o.granted(gateway.Lock{Span: span})
	if o.grantedEarly(span) || len(o.refused) != 0 {
		t.Error("a later request takes it for its own")
	}
	o.granted(gateway.Lock{Span: span}) // the news first
	o.unwanted(span)
	if o.grantedEarly(span) || len(o.refused) != 0 {
		t.Error("a later request takes it for its own")
	}
	o.granted(gateway.Lock{Span: span})
	if !o.grantedEarly(span) {
		t.Error("a lock that somebody is about to wait for was forgotten")
	}
}
