package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
)

// TestCutConnections: calls run at full speed while their connections are cut again and again. Each is done exactly once.
func TestCutConnections(t *testing.T) {
	s := newSite(t, options{})
	a, b := s.g[1], s.g[0]
	var executed atomic.Int64
	count := func(context.Context) { executed.Add(1) }
	b.hook.create.Store(&count)
	var clients sync.WaitGroup
	var made atomic.Int64
	stop := make(chan struct{})
	for i := range 8 {
		clients.Go(func() {
			for j := 0; ; j++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := a.create(fmt.Sprintf("f%d-%d", i, j)); err != nil {
					t.Errorf("create %d-%d: %v", i, j, err)
					return
				}
				made.Add(1)
			}
		})
	}
	for range 20 {
		before := made.Load()
		until(t, "calls after a cut", func() bool { return made.Load() >= before+20 || t.Failed() })
		b.proxy.cut(false)
	}
	close(stop)
	clients.Wait()
	if executed.Load() != made.Load() {
		t.Errorf("%d calls were executed %d times", made.Load(), executed.Load())
	}
	st := a.peers.Stats()
	if st.Repeated == 0 || st.Lost != 0 || a.broken.Load() == 0 {
		t.Errorf("nothing was provoked: %+v, %d broken", st, a.broken.Load())
	}
	if _, err := a.create("last"); err != nil { // tells what has ended
		t.Error(err)
	}
	b.peers.mu.Lock()
	session := b.peers.sessions[a.name]
	b.peers.mu.Unlock()
	session.mu.Lock()
	if n := len(session.tasks); n > 1 {
		t.Errorf("%d calls are remembered", n)
	}
	session.mu.Unlock()
	t.Logf("%d calls, %d sent again, %d duplicates", made.Load(), st.Repeated, b.peers.Stats().Duplicates)
}

// TestReplyIsLost: a change is executed while its stream is cut, and its first result is what the caller gets.
func TestReplyIsLost(t *testing.T) {
	s := newSite(t, options{})
	a, b := s.g[1], s.g[0]
	s.root(a)
	var executed atomic.Int32
	cut := func(context.Context) {
		if executed.Add(1) == 1 {
			b.proxy.cut(false)
			until(t, "the stream's end", func() bool { return a.broken.Load() > 0 })
		}
	}
	b.hook.create.Store(&cut)
	if _, err := a.create("f"); err != nil {
		t.Fatal(err)
	}
	if n := executed.Load(); n != 1 {
		t.Errorf("executed %d times", n)
	}
	if st := a.peers.Stats(); st.Repeated != 1 {
		t.Errorf("sent again %d times", st.Repeated)
	}
}

// TestOneCallIsStuck: a call that does not end keeps nothing of those that end meanwhile in memory.
func TestOneCallIsStuck(t *testing.T) {
	s := newSite(t, options{tune: func(c *Config) { c.MaxCalls = 4 }})
	a, b := s.g[1], s.g[0]
	s.root(a)
	inside, leave := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	stay := func(context.Context) {
		if calls.Add(1) == 1 {
			close(inside)
			<-leave
		}
	}
	b.hook.create.Store(&stay)
	done := make(chan error, 1)
	go func() {
		_, err := a.create("stuck")
		done <- err
	}()
	<-inside
	for i := range 100 {
		if _, err := a.create(fmt.Sprint(i)); err != nil {
			t.Fatal(i, err)
		}
	}
	b.peers.mu.Lock()
	session := b.peers.sessions[a.name]
	b.peers.mu.Unlock()
	session.mu.Lock()
	if n := len(session.tasks); n > 4 {
		t.Errorf("%d calls are remembered", n)
	}
	session.mu.Unlock()
	close(leave)
	must(t, <-done)
}

// TestOwnerRestarts: a gateway that forgot the session cannot say what became of a change. A name makes it worth another try.
func TestOwnerRestarts(t *testing.T) {
	for _, named := range []bool{false, true} {
		s := newSite(t, options{gates: 3})
		a, b := s.g[1], s.g[0]
		s.root(a)
		die := func(context.Context) {
			b.hook.create.Store(nil)
			b.proxy.cut(true)
		}
		b.hook.create.Store(&die)
		c := gatewaytest.Root()
		if named {
			c.Op = causeway.OpID{1}
		}
		done := make(chan error, 1)
		go func() {
			_, err := a.createAs(c, "f")
			done <- err
		}()
		until(t, "the end of the owner", func() bool { return a.broken.Load() > 0 })
		s.open(2)
		err := <-done
		switch {
		case named && causeway.CodeOf(err) != causeway.ErrExist: // nobody remembers names here: the call came again
			t.Errorf("a call with a name: %v", err)
		case !named && !errors.Is(err, gateway.ErrUnknown):
			t.Errorf("a call without a name: %v", err)
		}
	}
}

// TestEpochs: a gateway refuses what is meant for another ownership, and calls find the new owner.
func TestEpochs(t *testing.T) {
	s := newSite(t, options{gates: 3})
	a := s.g[1]
	h, err := a.create("f")
	must(t, err)
	// The owner knows of a later epoch than those who ask, and takes the call when they have learned of it.
	s.epoch.Revision++
	s.g[0].table.Open(vol, true, s.g[0].name, s.epoch)
	done := make(chan error, 1)
	go func() {
		_, err := a.router.GetAttr(t.Context(), gatewaytest.Root(), h)
		done <- err
	}()
	until(t, "a refusal", func() bool { return s.g[0].peers.Stats().Stale > 0 })
	a.table.Open(vol, false, s.g[0].name, s.epoch)
	must(t, <-done)
	// An owner that gave the volume up refuses, whoever still believes in it.
	s.epoch.Revision++
	s.g[2].table.Open(vol, true, s.g[2].name, s.epoch)
	s.g[0].table.Open(vol, false, s.g[2].name, s.epoch)
	before := s.g[0].peers.Stats().Stale
	go func() {
		_, err := a.router.GetAttr(t.Context(), gatewaytest.Root(), h)
		done <- err
	}()
	until(t, "a refusal", func() bool { return s.g[0].peers.Stats().Stale > before })
	a.table.Open(vol, false, s.g[2].name, s.epoch)
	must(t, <-done)
	// A grant of an earlier epoch is refused for good.
	err = a.router.Return(t.Context(), "", causeway.Epoch{Incarnation: 1, Revision: 1}, gateway.Held{Handle: h, Mode: causeway.IORead}, &gateway.Commit{})
	if causeway.CodeOf(err) != causeway.ErrStaleEpoch {
		t.Errorf("a return of an earlier epoch: %v", err)
	}
}

// TestWaitWhileClosed: calls wait for a volume that moves, and those that may not wait say so.
func TestWaitWhileClosed(t *testing.T) {
	s := newSite(t, options{})
	a := s.g[1]
	h, err := a.create("f")
	must(t, err)
	now := gatewaytest.Root()
	now.NoWait = true
	before := a.peers.Stats().Asked
	if _, err := a.router.GetAttr(t.Context(), now, h); causeway.CodeOf(err) != causeway.ErrWouldBlock {
		t.Errorf("a call that may not wait: %v", err)
	}
	s.shut()
	if _, err := a.router.GetAttr(t.Context(), now, h); causeway.CodeOf(err) != causeway.ErrWouldBlock {
		t.Errorf("a call that may not wait, and the volume is closed: %v", err)
	}
	if after := a.peers.Stats().Asked; after != before {
		t.Errorf("%d calls went over the network", after-before)
	}
	done := make(chan error, 1)
	go func() {
		_, err := a.router.GetAttr(t.Context(), gatewaytest.Root(), h)
		done <- err
	}()
	select {
	case err := <-done:
		t.Errorf("it did not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	s.open(1)
	must(t, <-done)
}

// TestPatience: a volume that stays closed is not waited for without end.
func TestPatience(t *testing.T) {
	s := newSite(t, options{routes: func(c *RouterConfig) { c.Patience = 30 * time.Millisecond }})
	h := s.root(s.g[0]) // the owner, which waits for nobody
	s.shut()
	if _, err := s.g[1].router.GetAttr(t.Context(), gatewaytest.Root(), h); causeway.CodeOf(err) != causeway.ErrDelay {
		t.Error(err)
	}
}

// TestDrain: who closes a volume waits for calls of others that are executed here.
func TestDrain(t *testing.T) {
	s := newSite(t, options{})
	a, b := s.g[1], s.g[0]
	h := s.root(a)
	inside, leave := make(chan struct{}), make(chan struct{})
	stay := func(context.Context) { close(inside); <-leave }
	b.hook.getAttr.Store(&stay)
	done := make(chan error, 1)
	go func() {
		_, err := a.router.GetAttr(t.Context(), gatewaytest.Root(), h)
		done <- err
	}()
	<-inside
	s.shut()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := b.table.Drain(ctx, vol); err == nil {
		t.Error("a call is inside")
	}
	close(leave)
	must(t, b.table.Drain(t.Context(), vol))
	must(t, <-done)
}

// TestFenced: a gateway that may have lost its lease reports no success.
func TestFenced(t *testing.T) {
	s := newSite(t, options{routes: func(c *RouterConfig) { c.Patience = 3 * time.Second }})
	a, b := s.g[1], s.g[0]
	s.root(a)
	fence := func(context.Context) { b.valid.Store(false) }
	b.hook.create.Store(&fence)
	for _, g := range []*member{a, b} {
		b.valid.Store(true)
		if _, err := g.create("made at " + g.name); !errors.Is(err, gateway.ErrUnknown) {
			t.Errorf("%s: %v", g.name, err)
		}
	}
	if _, err := a.router.GetAttr(t.Context(), gatewaytest.Root(), causeway.Handle{Volume: vol}); causeway.CodeOf(err) != causeway.ErrDelay {
		t.Errorf("before it begins: %v", err)
	}
}

// TestCancel: a caller who gives up is heard of at the owner.
func TestCancel(t *testing.T) {
	s := newSite(t, options{})
	a, b := s.g[1], s.g[0]
	h := s.root(a)
	inside, told := make(chan struct{}), make(chan struct{})
	stay := func(ctx context.Context) { close(inside); <-ctx.Done(); close(told) }
	b.hook.getAttr.Store(&stay)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := a.router.GetAttr(ctx, gatewaytest.Root(), h)
		done <- err
	}()
	<-inside
	cancel()
	if err := <-done; causeway.CodeOf(err) != causeway.ErrDelay {
		t.Error(err)
	}
	<-told
}

// TestDeadline: the owner learns how long the caller will wait.
func TestDeadline(t *testing.T) {
	s := newSite(t, options{})
	a, b := s.g[1], s.g[0]
	h := s.root(a)
	until := make(chan bool, 1)
	look := func(ctx context.Context) { _, has := ctx.Deadline(); until <- has }
	b.hook.getAttr.Store(&look)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := a.router.GetAttr(ctx, gatewaytest.Root(), h)
	must(t, err)
	if !<-until {
		t.Error("no deadline arrived")
	}
}

// TestSlowPeer: a gateway that answers nothing keeps no call to others waiting, and its stream is cut.
func TestSlowPeer(t *testing.T) {
	s := newSite(t, options{gates: 3, tune: func(c *Config) { c.Beat = 30 * time.Millisecond }, routes: func(c *RouterConfig) { c.Patience = 300 * time.Millisecond }})
	a, b, c := s.g[1], s.g[0], s.g[2]
	h := s.root(a)
	other := vol + 1
	a.table.Open(other, false, c.name, s.epoch)
	c.table.Open(other, true, c.name, s.epoch)
	talk := b.proxy.silence()
	defer talk()
	done := make(chan error, 100)
	for range 100 {
		go func() {
			_, err := a.router.GetAttr(t.Context(), gatewaytest.Root(), h)
			done <- err
		}()
	}
	for range 100 {
		r := causeway.Handle{Volume: other}
		if _, err := a.peers.Recall(t.Context(), c.name, &gateway.Recall{Handle: r, Epoch: s.epoch}); err != nil && causeway.CodeOf(err) != causeway.ErrStaleEpoch {
			t.Fatal(err)
		}
	}
	until(t, "the stream's end", func() bool { return a.broken.Load() > 0 })
	for range 100 {
		if err := <-done; causeway.CodeOf(err) != causeway.ErrDelay {
			t.Errorf("a call to a gateway that is silent: %v", err)
		}
	}
	talk()
	_, err := s.patient(a).GetAttr(t.Context(), gatewaytest.Root(), h)
	must(t, err)
}

// TestStrangers: without a certificate of the cluster, or after being removed from it, nobody is answered. A client of a gateway that is
// not known as a member yet waits.
func TestStrangers(t *testing.T) {
	var removed atomic.Bool
	s := newSite(t, options{
		tune: func(c *Config) {
			c.Member = func(node string) (uint64, bool) { return 0, node != "g2" || !removed.Load() }
		},
		routes: func(c *RouterConfig) { c.Patience = 50 * time.Millisecond },
	})
	a, b := s.g[1], s.g[0]
	h := s.root(a)
	removed.Store(true)
	if _, err := a.router.GetAttr(t.Context(), gatewaytest.Root(), h); causeway.CodeOf(err) != causeway.ErrDelay {
		t.Errorf("on the stream that it has: %v", err)
	}
	late := goErr(func() error {
		_, err := s.patient(a).GetAttr(t.Context(), gatewaytest.Root(), h)
		return err
	})
	before := b.peers.Stats().Stale
	until(t, "a refusal", func() bool { return b.peers.Stats().Stale > before })
	removed.Store(false)
	must(t, <-late)
	removed.Store(true)
	b.proxy.cut(false)
	until(t, "a refusal", func() bool { return b.peers.Stats().Refused > 0 })
	conn, err := net.Dial("tcp", b.at)
	must(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	must(t, err)
	conn.SetReadDeadline(time.Now().Add(patience))
	for buf := make([]byte, 100); err == nil; {
		_, err = conn.Read(buf)
	}
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		t.Error("a stranger was kept")
	}
}

// TestLateRequests: what was sent in an earlier joining of the cluster, or has waited since then, is not done any more.
func TestLateRequests(t *testing.T) {
	var joined, known atomic.Uint64
	joined.Store(1)
	known.Store(1)
	s := newSite(t, options{
		tune: func(c *Config) {
			c.Joining = joined.Load
			c.Member = func(string) (uint64, bool) { return known.Load(), true }
		},
		routes: func(c *RouterConfig) { c.Patience = 10 * time.Second },
	})
	a, b := s.g[1], s.g[0]
	h := s.root(a)
	make := func(name string) error {
		_, _, err := a.router.Create(t.Context(), gatewaytest.Root(), h, name, &gateway.CreateSpec{Type: causeway.TypeRegular})
		return err
	}
	must(t, make("timely"))
	known.Store(2) // the others know of the next joining already
	ended := goErr(func() error { return make("late") })
	time.Sleep(50 * time.Millisecond)
	a.table.CloseAll() // and so does it
	if err := <-ended; !errors.Is(err, gateway.ErrUnknown) {
		t.Fatal(err)
	}
	joined.Store(2)
	must(t, make("again"))
	if _, _, err := b.router.Lookup(t.Context(), gatewaytest.Root(), h, "late"); causeway.CodeOf(err) != causeway.ErrNoEnt {
		t.Fatal(err)
	}
}

// TestEarlierLife: a call that is read while this gateway is cut off was sent in its earlier life, perhaps. It does not wait until it may
// be done: its client has had another gateway do it.
func TestEarlierLife(t *testing.T) {
	s := newSite(t, options{})
	a, c := s.g[0], gatewaytest.Root()
	r := s.patient(a)
	e, err := r.Root(t.Context(), c, vol)
	must(t, err)
	h := e.Handle
	a.valid.Store(false)
	a.table.CloseAll()
	noWait := *c
	noWait.NoWait = true
	if _, err := r.GetAttr(t.Context(), &noWait, h); causeway.CodeOf(err) != causeway.ErrWouldBlock {
		t.Error(err)
	}
	if _, err := r.GetAttr(t.Context(), c, h); causeway.CodeOf(err) != causeway.ErrDelay {
		t.Error(err)
	}
	a.valid.Store(true)
	s.open(0)
	if _, err := r.GetAttr(t.Context(), c, h); err != nil {
		t.Error(err)
	}
}

// patient is another router of a gateway, which waits for long.
func (s *site) patient(m *member) *Router {
	s.Helper()
	r, err := NewRouter(RouterConfig{Peers: m.peers, Patience: patience})
	must(s, err)
	return r
}

func goErr(do func() error) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- do() }()
	return ended
}
