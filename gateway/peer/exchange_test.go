package peer

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
	"causeway/gateway/peer/depth"
	"causeway/gateway/shadow"
)

// recalls is a holder that tells what it was asked, and answers when it may.
type recalls struct {
	gateway.Holder
	got   chan gateway.Recall
	leave chan struct{} // nil: at once
	held  []gateway.Held
}

func (h *recalls) Recall(ctx context.Context, r *gateway.Recall) (gateway.Commit, error) {
	if h.got != nil {
		h.got <- *r
	}
	if h.leave != nil {
		select {
		case <-h.leave:
		case <-ctx.Done():
			return gateway.Commit{}, causeway.ErrDelay
		}
	}
	return gateway.Commit{Written: true, Size: r.Seq}, nil
}

func (h *recalls) Reassert(context.Context, causeway.VolumeID, causeway.Epoch) ([]gateway.Held, error) {
	return h.held, nil
}

// hold gives a gateway another holder.
func (m *member) hold(h gateway.Holder) {
	s := m.peers.services
	s.Holder = h
	m.peers.Offer(s)
}

// TestRecall: the owner ends a grant elsewhere, in the session in which it was asked for, and learns what must be committed; also
// where the holder has none; and not for an ownership that has ended.
func TestRecall(t *testing.T) {
	s := newSite(t, options{gates: 3})
	owner := s.g[0]
	for i, g := range s.g {
		g.hold(&recalls{held: []gateway.Held{{Handle: causeway.Handle{Volume: vol}, Mode: causeway.IORead, Seq: uint64(i)}}})
	}
	s.root(s.g[1]) // makes a session; g3 has none with the owner
	r := &gateway.Recall{Handle: causeway.Handle{Volume: vol, Object: causeway.ObjectID{1}}, Epoch: s.epoch, Seq: 4711}
	for i, g := range s.g {
		c, err := owner.peers.Recall(t.Context(), g.name, r)
		if err != nil || !c.Written || c.Size != 4711 {
			t.Errorf("%s: %+v, %v", g.name, c, err)
		}
		if i == 0 {
			continue
		}
		held, err := owner.peers.Reassert(t.Context(), g.name, vol, s.epoch)
		if err != nil || len(held) != 1 || held[0].Seq != uint64(i) {
			t.Errorf("%s: %+v, %v", g.name, held, err)
		}
	}
	r.Epoch.Revision--
	if _, err := owner.peers.Recall(t.Context(), "g2", r); causeway.CodeOf(err) != causeway.ErrStaleEpoch {
		t.Errorf("a recall of an earlier ownership: %v", err)
	}
}

// TestHolderRestarts: a gateway that was restarted is asked, though it has nothing to ask itself and its last process left a session.
func TestHolderRestarts(t *testing.T) {
	var joined atomic.Uint64
	one := mem.New(mem.Config{Generation: 1, Mode: 0o777, MaxBytes: 1 << 20})
	o := options{store: func() backend.Store { return one }, tune: func(c *Config) {
		c.Linger = time.Hour
		c.Member = func(node string) (uint64, bool) {
			if node == "g2" {
				return joined.Load(), true
			}
			return 0, true
		}
	}}
	s := newSite(t, o)
	owner := s.g[0]
	s.root(s.g[1])
	s.g[1].peers.Close()
	until(t, "the end of the stream", func() bool { return !owner.peers.sessions["g2"].carried() })
	joined.Store(1)
	fresh := s.newGate("g2", o)
	fresh.hold(&recalls{})
	s.g[1] = fresh
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := &gateway.Recall{Handle: causeway.Handle{Volume: vol, Object: causeway.ObjectID{1}}, Epoch: s.epoch, Seq: 4711}
	if c, err := owner.peers.Recall(ctx, "g2", r); err != nil || c.Size != 4711 {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestRecallSurvivesItsStream: a recall that waits for I/O is answered although its stream breaks.
func TestRecallSurvivesItsStream(t *testing.T) {
	s := newSite(t, options{})
	owner, holder := s.g[0], s.g[1]
	h := &recalls{got: make(chan gateway.Recall, 10), leave: make(chan struct{})}
	holder.hold(h)
	s.root(holder)
	done := make(chan error, 1)
	go func() {
		_, err := owner.peers.Recall(t.Context(), holder.name, &gateway.Recall{Handle: causeway.Handle{Volume: vol}, Epoch: s.epoch})
		done <- err
	}()
	<-h.got
	owner.proxy.cut(false)
	until(t, "another stream", func() bool { return holder.peers.Stats().Streams == 2 })
	close(h.leave)
	must(t, <-done)
	if len(h.got) != 0 {
		t.Error("the holder was asked twice")
	}
}

// granter gives grants to g2 alone.
type granter struct {
	inner
	epoch causeway.Epoch
}

func (o *granter) Grant(_ context.Context, s *gateway.GrantSpec) (gateway.GrantReply, error) {
	if s.Holder != "g2" {
		return gateway.GrantReply{}, fmt.Errorf("the holder is %q", s.Holder)
	}
	return gateway.GrantReply{Grant: causeway.Grant{Handle: s.Handle, Mode: s.Mode, Seq: 1, Epoch: o.epoch}}, nil
}

// TestHolderIsTold: who asks for a grant is said by the network, not by who asks.
func TestHolderIsTold(t *testing.T) {
	s := newSite(t, options{})
	o := &granter{inner: s.g[0].hook, epoch: s.epoch}
	s.g[0].peers.Offer(Services{Access: o})
	g, err := s.g[1].router.Grant(t.Context(), &gateway.GrantSpec{Holder: "g3", Handle: causeway.Handle{Volume: vol}, Mode: causeway.IORead})
	if err != nil || g.Seq != 1 || g.Epoch != s.epoch {
		t.Errorf("%+v, %v", g, err)
	}
}

// askFirst has the holder recall before it executes a GETATTR, as an owner does who has to end grants of others.
func (m *member) askFirst(holder string, err *atomic.Pointer[error]) {
	f := func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		if _, e := m.peers.Recall(ctx, holder, &gateway.Recall{Handle: causeway.Handle{Volume: vol}, Epoch: m.site.epoch}); e != nil {
			err.Store(&e)
		}
	}
	m.hook.getAttr.Store(&f)
}

// TestCircle: two gateways whose requests, as many as there are slots, all wait for recalls at the other one. With one pool for all
// depths they wait until they are given up; with slots by depth each is answered.
func TestCircle(t *testing.T) {
	const slots = 4
	for _, together := range []bool{true, false} {
		t.Run(fmt.Sprintf("together=%v", together), func(t *testing.T) {
			s := newSite(t, options{tune: func(c *Config) {
				c.Slots = depth.Config{Reserved: [depth.Max]int{1, slots - 3, 1, 1}, Unreserved: -1, Together: together}
				c.Known = nil
			}})
			a, b := s.g[0], s.g[1]
			other := vol + 1
			for _, g := range s.g {
				g.hold(&recalls{})
				g.table.Open(other, g == b, b.name, s.epoch)
			}
			b.engine.Attach(&causeway.Volume{ID: other, Name: "other"}, a.store)
			var failed atomic.Pointer[error]
			inside := make(chan struct{}, 2*slots)
			gate := make(chan struct{})
			for g, holder := range map[*member]string{a: b.name, b: a.name} {
				g.askFirst(holder, &failed)
				recall := *g.hook.getAttr.Load()
				wait := func(ctx context.Context) {
					inside <- struct{}{}
					<-gate
					recall(ctx)
				}
				g.hook.getAttr.Store(&wait)
			}
			root := a.store.Root()
			var calls sync.WaitGroup
			for range slots {
				for g, v := range map[*member]causeway.VolumeID{b: vol, a: other} {
					calls.Go(func() {
						_, err := g.router.GetAttr(t.Context(), gatewaytest.Root(), causeway.Handle{Volume: v, Object: root})
						if err != nil {
							t.Error(err)
						}
					})
				}
			}
			executing := 2 * (slots - 3)
			if together {
				executing = 2 * slots
			}
			for range executing { // all slots of both gateways are taken
				<-inside
			}
			close(gate)
			calls.Wait()
			if stuck := failed.Load(); (stuck != nil) != together || together && causeway.CodeOf(*stuck) != causeway.ErrDelay {
				t.Errorf("recalls that found no slot: %v", stuck)
			}
		})
	}
}

// TestTooDeep: a call that the call graph does not have is a mistake in the program.
func TestTooDeep(t *testing.T) {
	s := newSite(t, options{})
	deep := depth.With(t.Context(), depth.Max)
	r := &gateway.Recall{Handle: causeway.Handle{Volume: vol}, Epoch: s.epoch}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic in a test")
			}
		}()
		s.g[0].peers.Recall(deep, "g2", r)
	}()
	s.g[0].peers.cfg.Strict = false
	if _, err := s.g[0].peers.Recall(deep, "g2", r); err == nil {
		t.Error("it was sent")
	}
}

type eventsFunc func(context.Context, gateway.Event) error

func (f eventsFunc) Deliver(ctx context.Context, e gateway.Event) error { return f(ctx, e) }

// TestBlockedLocks: requests for locks wait at the owner, and are granted to the gateways that they came through, in order.
func TestBlockedLocks(t *testing.T) {
	s := newSite(t, options{gates: 3})
	granted := make([]chan gateway.Lock, len(s.g))
	for i, g := range s.g {
		granted[i] = make(chan gateway.Lock, 10)
		g.router.Subscribe(causeway.OwnerNLM, eventsFunc(func(_ context.Context, e gateway.Event) error {
			granted[i] <- e.Lock
			return nil
		}))
	}
	h, err := s.g[1].create("f")
	must(t, err)
	caller := func(client string) *gateway.Caller {
		c := gatewaytest.Root()
		c.Owner = causeway.Owner{Kind: causeway.OwnerNLM, Client: client, Opaque: "\x00\x00\x00\x01"}
		return c
	}
	spec := gateway.LockSpec{Span: causeway.Span{Length: causeway.ToEOF}, Exclusive: true, Wait: true}
	if _, err := s.g[1].router.Lock(t.Context(), caller("c0"), h, spec); err != nil {
		t.Fatal(err)
	}
	for i, g := range []*member{s.g[2], s.g[1], s.g[0], s.g[2]} {
		conflict, err := g.router.Lock(t.Context(), caller(fmt.Sprintf("c%d", i+1)), h, spec)
		if causeway.CodeOf(err) != causeway.ErrBlocked {
			t.Fatalf("%d: %+v, %v", i+1, conflict, err)
		}
	}
	if conflict, err := s.g[2].router.TestLock(t.Context(), caller("x"), h, spec); causeway.CodeOf(err) != causeway.ErrLocked || conflict.Owner.Client != "c0" || conflict.Handle != h {
		t.Errorf("%+v, %v", conflict, err)
	}
	s.g[0].proxy.cut(false) // a stream that breaks loses no request that waits
	for i, from := range []int{2, 1, 0, 2} {
		holder := s.g[1]
		must(t, holder.router.Unlock(t.Context(), caller(fmt.Sprintf("c%d", i)), h, spec.Span))
		select {
		case l := <-granted[from]:
			if l.Owner.Client != fmt.Sprintf("c%d", i+1) || l.Handle != h {
				t.Errorf("granted %+v", l)
			}
		case <-time.After(patience):
			t.Fatalf("%d was not granted", i+1)
		}
	}
	if err := s.g[2].router.Cancel(t.Context(), caller("c4"), h, spec); causeway.CodeOf(err) != causeway.ErrNoEnt {
		t.Errorf("cancel of what was granted: %v", err)
	}
	must(t, s.g[2].router.ReleaseClient(t.Context(), causeway.OwnerNLM, "c4"))
	if list, err := s.g[0].router.Locks(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestOpens: a lease that is held through one gateway is broken by an open through another, at an owner that is a third; changes of
// a directory are told where they are watched.
func TestOpens(t *testing.T) {
	s := newSite(t, options{gates: 3})
	told := make(chan gateway.Event, 10)
	for i, g := range s.g {
		g.router.Subscribe(causeway.OwnerSMB, eventsFunc(func(_ context.Context, e gateway.Event) error {
			if i != 1 {
				t.Errorf("%s was told %+v", g.name, e)
			}
			told <- e
			return nil
		}))
	}
	next := func(kind gateway.EventKind) gateway.Event {
		select {
		case e := <-told:
			if e.Kind != kind {
				t.Fatalf("%+v", e)
			}
			return e
		case <-time.After(patience):
			t.Fatal("no event")
		}
		return gateway.Event{}
	}
	root := s.root(s.g[1])
	caller := func(client byte) *gateway.Caller {
		c := gatewaytest.Root()
		c.Owner = causeway.Owner{Kind: causeway.OwnerSMB, Client: string(bytes.Repeat([]byte{client}, 16))}
		return c
	}
	spec := func(client byte, caching causeway.Caching) *gateway.OpenSpec {
		return &gateway.OpenSpec{
			Name: "f", Disposition: gateway.OpenOrCreate, Create: gateway.CreateSpec{Type: causeway.TypeRegular, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o644}},
			Access: causeway.FileReadData | causeway.FileWriteData, Share: causeway.ShareAll,
			Lease: gateway.LeaseSpec{ID: causeway.LeaseID{Kind: causeway.Lease, Client: string(bytes.Repeat([]byte{client}, 16)), Key: causeway.LeaseKey{client}}, Caching: caching, V2: true},
		}
	}
	watch := gateway.WatchID{Owner: caller(1).Owner, Open: causeway.OpenID{9}}
	must(t, s.g[1].router.Watch(t.Context(), caller(1), root, watch, gateway.NoticeFileName, false))
	first, err := s.g[1].router.Open(t.Context(), caller(1), root, spec(1, causeway.CacheAll))
	if err != nil || first.Action != gateway.DidCreate || first.Lease.Caching != causeway.CacheAll {
		t.Fatalf("%+v, %v", first, err)
	}
	if e := next(gateway.Noticed); e.Watch != watch || len(e.Notices) != 1 || e.Notices[0].Name != "f" || e.Notices[0].Action != gateway.Added {
		t.Errorf("%+v", e)
	}
	type result struct {
		gateway.Opened
		err error
	}
	second := make(chan result, 1)
	go func() {
		o, err := s.g[2].router.Open(t.Context(), caller(2), root, spec(2, causeway.CacheRead))
		second <- result{o, err}
	}()
	b := next(gateway.LeaseBroken).Break
	if b.ID.Key != (causeway.LeaseKey{1}) || b.Handle != first.Handle || !b.Ack {
		t.Fatalf("%+v", b)
	}
	state, err := s.g[1].router.Acknowledge(t.Context(), caller(1), b.Handle, b.ID, b.To)
	if err != nil || state.Caching != b.To {
		t.Fatalf("%+v, %v", state, err)
	}
	o := <-second
	if o.err != nil || o.Action != gateway.DidOpen || o.Handle != first.Handle {
		t.Fatalf("%+v, %v", o.Opened, o.err)
	}
	if list, err := s.g[2].router.Opens(t.Context(), vol); err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	must(t, s.g[2].router.Downgrade(t.Context(), caller(2), o.Handle, o.ID, causeway.FileReadData, causeway.ShareAll))
	for client, end := range map[byte]struct {
		g *member
		gateway.Opened
	}{1: {s.g[1], first}, 2: {s.g[2], o.Opened}} {
		if removed, err := end.g.router.Close(t.Context(), caller(client), end.Handle, end.ID); err != nil || removed {
			t.Errorf("close of %d: %v, %v", client, removed, err)
		}
	}
	must(t, s.g[1].router.Unwatch(t.Context(), root, watch))
}

// TestProxy: a gateway without reach of the storage passes the suite through one that has it.
func TestProxy(t *testing.T) {
	gatewaytest.Run(t, func(t *testing.T) gatewaytest.Fixture {
		s := newSite(t, options{gates: 3})
		services := s.g[2].peers.services
		services.Transfer = s.g[2].data // which asks g1 for grants
		s.g[2].peers.Offer(services)
		x := s.g[1].without(func() []string { return []string{"g3"} })
		return gatewaytest.Fixture{Access: front{s.g[1].router, s}, Transfer: x, Volume: vol}
	})
}

// TestProxyMoves: bytes find another gateway when the one with reach is gone, and large reads come in parts.
func TestProxyMoves(t *testing.T) {
	s := newSite(t, options{gates: 3})
	for _, g := range s.g {
		services := g.peers.services
		services.Transfer = g.data
		g.peers.Offer(services)
	}
	var reach atomic.Pointer[string]
	set := func(node string) { reach.Store(&node) }
	set("g3")
	x := s.g[1].without(func() []string { return []string{*reach.Load()} })
	h, err := s.g[1].create("f")
	must(t, err)
	data := bytes.Repeat([]byte("0123456789abcdef"), causeway.MaxTransfer/16)
	for i := range 3 {
		if w, err := x.Write(t.Context(), gatewaytest.Root(), h, uint64(i*len(data)), data, causeway.Unstable); err != nil || w.N != len(data) {
			t.Fatal(w, err)
		}
	}
	s.g[2].proxy.cut(true)
	type result struct {
		gateway.ReadResult
		err error
	}
	got, dst := make(chan result, 1), make([]byte, 4*len(data))
	go func() {
		r, err := x.Read(t.Context(), gatewaytest.Root(), h, 0, dst)
		got <- result{r, err}
	}()
	set("g1")
	r := <-got
	if r.err != nil || r.N != 3*len(data) || !r.EOF || !bytes.Equal(dst[2*len(data):3*len(data)], data) {
		t.Errorf("%d bytes, eof %v, %v", r.N, r.EOF, r.err)
	}
}

// kept keeps copies, and answers for what it keeps.
type kept struct{ shadow.Keeper }

func (k *kept) Collect(_ context.Context, v causeway.VolumeID, e causeway.Epoch) (shadow.Copy, error) {
	return k.Copy(v, e), nil
}

// TestCopies: second copies, small and large, arrive and are collected; what an earlier owner sends afterwards is refused.
func TestCopies(t *testing.T) {
	s := newSite(t, options{})
	a, b := s.g[0], s.g[1]
	services := b.peers.services
	services.Copies = &kept{}
	b.peers.Offer(services)
	version := shadow.Version{Epoch: s.epoch, Term: 1}
	large := make([]shadow.Record, 300)
	for i := range large {
		large[i] = shadow.Record{Kind: shadow.KindHeld, Name: fmt.Sprint(i), Data: make([]byte, 40<<10)}
	}
	must(t, a.peers.Keep(t.Context(), b.name, &shadow.Batch{Volume: vol, Version: version, Whole: true, Seq: 1, Records: large}))
	must(t, a.peers.Keep(t.Context(), b.name, &shadow.Batch{Volume: vol, Version: version, Seq: 2, Records: []shadow.Record{{Kind: shadow.KindReply, Name: "0123456789abcdef", Data: []byte("x")}}}))
	next := s.epoch
	next.Revision++
	c, err := a.peers.Collect(t.Context(), b.name, vol, next)
	if err != nil || c.Version != version || len(c.Records) != len(large)+1 {
		t.Errorf("%+v, %d records, %v", c.Version, len(c.Records), err)
	}
	posted := make(chan error, 1)
	if !a.peers.Post(b.name, &shadow.Batch{Volume: vol, Version: version, Seq: 3}, 10*time.Second, func(err error) { posted <- err }) {
		t.Error("a small batch must not wait")
	} else if err := <-posted; causeway.CodeOf(err) != causeway.ErrStaleEpoch {
		t.Errorf("a batch of the earlier owner, posted: %v", err)
	}
	if a.peers.Post(b.name, &shadow.Batch{Volume: vol, Version: version, Seq: 3, Records: large}, time.Second, func(error) {}) {
		t.Error("a large batch has to wait")
	}
	err = a.peers.Keep(t.Context(), b.name, &shadow.Batch{Volume: vol, Version: version, Seq: 3})
	if causeway.CodeOf(err) != causeway.ErrStaleEpoch {
		t.Errorf("a batch of the earlier owner: %v", err)
	}
	if _, err := b.peers.Collect(t.Context(), a.name, vol, next); err != nil {
		t.Errorf("a gateway that keeps nothing: %v", err)
	}
}

// TestPostsEnd: who posted a batch is told when nobody answers in time, and when this is the end; once.
func TestPostsEnd(t *testing.T) {
	s := newSite(t, options{})
	a, b := s.g[0], s.g[1]
	batch := &shadow.Batch{Volume: vol, Version: shadow.Version{Epoch: s.epoch, Term: 1}, Whole: true, Seq: 1}
	b.peers.Close()
	ends := make(chan error, 10)
	for _, within := range []time.Duration{time.Millisecond, time.Hour} {
		if !a.peers.Post(b.name, batch, within, func(err error) { ends <- err }) {
			t.Fatal("a small batch must not wait")
		}
		if within == time.Hour {
			a.peers.Close()
		}
		if err := <-ends; err == nil {
			t.Error("nobody has the batch")
		}
	}
	if a.peers.Post(b.name, batch, time.Hour, func(err error) { ends <- err }) {
		t.Error("posted after the end")
	}
	if len(ends) != 0 {
		t.Error("told twice")
	}
}

// TestListing: a long listing comes in parts and stops where its reader stops.
func TestListing(t *testing.T) {
	s := newSite(t, options{async: true})
	const files = 1500
	for i := range files {
		if _, err := s.g[0].create(fmt.Sprintf("%04d", i)); err != nil {
			t.Fatal(err)
		}
	}
	root := s.root(s.g[1])
	for _, stop := range []int{1, firstEntries, firstEntries + 1, 700, files + 2, files + 100} {
		seen, last := map[string]bool{}, uint64(0)
		attr, eof, err := s.g[1].router.ReadDir(t.Context(), gatewaytest.Root(), root, 0, gateway.WantAttr, func(e *causeway.DirEntry) bool {
			if len(seen) == stop {
				return false
			}
			seen[e.Name], last = true, e.Cookie
			return true
		})
		if err != nil || eof != (stop >= files+2) || len(seen) != min(stop, files+2) || !attr.Valid() {
			t.Fatalf("stop at %d: %d entries, eof %v, %v", stop, len(seen), eof, err)
		}
		if eof {
			continue
		}
		_, eof, err = s.g[1].router.ReadDir(t.Context(), gatewaytest.Root(), root, last, gateway.WantNames, func(e *causeway.DirEntry) bool {
			if seen[e.Name] {
				t.Errorf("%q twice", e.Name)
			}
			seen[e.Name] = true
			return true
		})
		if err != nil || !eof || len(seen) != files+2 {
			t.Fatalf("from %d on: %d entries, eof %v, %v", stop, len(seen), eof, err)
		}
	}
}
