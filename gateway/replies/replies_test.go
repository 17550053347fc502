package replies

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"causeway"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
)

const volume = causeway.VolumeID(7)

// world is an engine on a store in memory behind a Memory, and what was handed to its second copy.
type world struct {
	*Memory
	root   causeway.Handle
	mu     sync.Mutex
	copied []Record
	hold   chan struct{} // if not nil, Wait waits for it
	now    time.Time
}

func (w *world) Add(_ causeway.VolumeID, op causeway.OpID, record []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.copied = append(w.copied, Record{op, record})
}

func (w *world) Post(causeway.VolumeID) uint64 { return 0 }

func (w *world) Until(ctx context.Context, v causeway.VolumeID, _ uint64) error {
	return w.Wait(ctx, v)
}

func (w *world) Wait(ctx context.Context, _ causeway.VolumeID) error {
	if w.hold == nil {
		return nil
	}
	select {
	case <-w.hold:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newWorld(t *testing.T, engine gateway.Access) *world {
	t.Helper()
	w := &world{now: time.Unix(1e9, 0)}
	if engine == nil {
		e := access.New(access.Config{})
		e.Attach(&causeway.Volume{ID: volume, Name: filepath.Base(t.Name())}, mem.New(mem.Config{}))
		engine = e
	}
	var err error
	if w.Memory, err = New(Config{Access: engine, Copies: w, MaxEntries: 100, Now: func() time.Time { return w.now }}); err != nil {
		t.Fatal(err)
	}
	root, err := w.Root(context.Background(), caller(0), volume)
	if err != nil {
		t.Fatal(err)
	}
	w.root = root.Handle
	return w
}

func caller(op byte) *gateway.Caller { return &gateway.Caller{Op: causeway.OpID{op}} }

func (w *world) create(t *testing.T, op byte, name string) (gateway.Entry, causeway.Change, error) {
	t.Helper()
	return w.Create(context.Background(), caller(op), w.root, name, &gateway.CreateSpec{Type: causeway.TypeRegular, How: gateway.Guarded})
}

func TestFirstAnswer(t *testing.T) {
	w, ctx := newWorld(t, nil), context.Background()
	first, change, err := w.create(t, 1, "a")
	if err != nil {
		t.Fatal(err)
	}
	if again, sameChange, err := w.create(t, 1, "a"); err != nil || again.Handle != first.Handle || again.Attr.FileID != first.Attr.FileID || sameChange != change {
		t.Fatalf("the repetition: %v %v %v", again, sameChange, err)
	}
	if _, _, err := w.create(t, 2, "a"); err != causeway.ErrExist {
		t.Fatalf("another call: %v", err)
	}
	if _, _, err := w.create(t, 0, "a"); err != causeway.ErrExist {
		t.Fatalf("a call without a name: %v", err)
	}
	rename := func(op byte) error {
		_, _, err := w.Rename(ctx, caller(op), w.root, "a", w.root, "b")
		return err
	}
	link := func(op byte) error { _, _, err := w.Link(ctx, caller(op), first.Handle, w.root, "c"); return err }
	remove := func(op byte) error {
		_, err := w.Remove(ctx, caller(op), w.root, "b", gateway.RemoveFile)
		return err
	}
	guard := first.Attr.Ctime
	guard.Sec++
	set := func(op byte) error {
		_, err := w.SetAttr(ctx, caller(op), first.Handle, &causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o600}, &guard)
		return err
	}
	for _, c := range []struct {
		name        string
		do          func(byte) error
		first, next error
	}{
		{"set", set, causeway.ErrNotSync, causeway.ErrNotSync},
		{"rename", rename, nil, causeway.ErrNoEnt},
		{"link", link, nil, causeway.ErrExist},
		{"remove", remove, nil, causeway.ErrNoEnt},
	} {
		op := byte(len(c.name)) + 10
		if err := c.do(op); !errors.Is(err, c.first) {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err := c.do(op); !errors.Is(err, c.first) {
			t.Errorf("%s, repeated: %v", c.name, err)
		}
		if err := c.do(op + 100); !errors.Is(err, c.next) {
			t.Errorf("%s by another call: %v", c.name, err)
		}
	}
}

// TestFlood: a client that makes ever more changes pushes out what was remembered of its own, not that others' changes are made; the same goes for those of
// another gateway.
func TestFlood(t *testing.T) {
	w, ctx := newWorld(t, nil), context.Background()
	from := func(host, gate string, op uint16) *gateway.Caller {
		return &gateway.Caller{Client: netip.MustParseAddr(host), Gateway: gate, Op: causeway.OpID{byte(op >> 8), byte(op), 1}}
	}
	make := func(c *gateway.Caller, name string) error {
		_, _, err := w.Create(ctx, c, w.root, name, &gateway.CreateSpec{Type: causeway.TypeRegular, How: gateway.Guarded})
		return err
	}
	honest, distant := from("10.0.0.1", "", 1), from("10.0.0.2", "g2", 2)
	for _, c := range []*gateway.Caller{honest, distant} {
		if err := make(c, c.Client.String()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint16(1000) {
		if _, err := w.Remove(ctx, from("10.0.0.66", "", 3+i), w.root, "nothing", gateway.RemoveFile); causeway.CodeOf(err) != causeway.ErrNoEnt {
			t.Fatal(err)
		}
		if n := w.Len(); n > 100 {
			t.Fatal(n, "are remembered")
		}
	}
	for _, c := range []*gateway.Caller{honest, distant} {
		if err := make(c, c.Client.String()); err != nil {
			t.Error("a repetition is made again:", err)
		}
	}
	for host := range byte(250) { // one change of each of so many: the oldest go
		if err := make(&gateway.Caller{Client: netip.AddrFrom4([4]byte{10, 0, 1, host}), Op: causeway.OpID{host, 2}}, fmt.Sprint("f", host)); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.Len(); n > 100 || len(w.clients) > 101 {
		t.Error(n, "are remembered of", len(w.clients))
	}
}

// TestLaterWaitsForTheCopy: who takes the waiting over is told of it also where nothing but the copy is to be waited for.
func TestLaterWaitsForTheCopy(t *testing.T) {
	w, ctx := newWorld(t, nil), context.Background()
	w.hold = make(chan struct{}) // an answer that waits for it would never come
	spec := &gateway.CreateSpec{Type: causeway.TypeRegular, How: gateway.Guarded}
	for i, want := range []error{nil, causeway.ErrExist} {
		for range 2 { // the call and its repetition
			c := caller(byte(i + 1))
			c.NoWait, c.Later = true, &gateway.Pending{}
			if _, _, err := w.Create(ctx, c, w.root, "a", spec); !errors.Is(err, want) {
				t.Fatalf("call %d: %v", i+1, err)
			}
			if c.Later.Volume != volume {
				t.Errorf("call %d may be answered before its copy is kept", i+1)
			}
		}
	}
	close(w.hold)
	if err := w.Persist(ctx, volume); err != nil {
		t.Error(err)
	}
}

// TestRestored lets another gateway, which has only the copies, answer repetitions.
func TestRestored(t *testing.T) {
	w := newWorld(t, nil)
	first, _, err := w.create(t, 1, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.create(t, 2, "a"); err != causeway.ErrExist {
		t.Fatal(err)
	}
	for name, records := range map[string][]Record{"copies": w.copied, "records": w.Records(volume)} {
		next := newWorld(t, w.engine)
		if err := next.Restore(volume, append([]Record{{Op: causeway.OpID{9}, Data: []byte("{")}}, records...)); err == nil {
			t.Errorf("%s: a bad record was not reported", name)
		}
		if again, _, err := next.create(t, 1, "a"); err != nil || again.Handle != first.Handle {
			t.Errorf("%s: %v %v", name, again, err)
		}
		if _, err := next.Remove(context.Background(), caller(2), w.root, "a", gateway.RemoveFile); err != causeway.ErrExist {
			t.Errorf("%s: a refusal is answered by %v", name, err)
		}
	}
}

// TestNoAnswerBeforeTheCopy holds the copy back: neither the call nor its repetition may be answered.
func TestNoAnswerBeforeTheCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.hold = make(chan struct{})
		answered := make(chan error, 1)
		go func() { _, _, err := w.create(t, 1, "a"); answered <- err }()
		synctest.Wait()
		select {
		case err := <-answered:
			t.Fatal("answered before the copy was made", err)
		default:
		}
		go func() { _, _, err := w.create(t, 1, "a"); answered <- err }()
		synctest.Wait()
		select {
		case err := <-answered:
			t.Fatal("the repetition is answered before the copy was made", err)
		default:
		}
		if _, _, err := w.Create(context.Background(), &gateway.Caller{Op: causeway.OpID{1}, NoWait: true}, w.root, "a", &gateway.CreateSpec{}); err != causeway.ErrWouldBlock {
			t.Fatal("who must not wait:", err)
		}
		later := &gateway.Caller{Op: causeway.OpID{2}, Later: &gateway.Pending{}}
		if _, err := w.Remove(context.Background(), later, w.root, "a", gateway.RemoveFile); err != nil || later.Later.Volume != volume {
			t.Fatal(err, later.Later)
		}
		go func() { answered <- w.Persist(context.Background(), volume, later.Later.Objects[:]...) }()
		synctest.Wait()
		select {
		case err := <-answered:
			t.Fatal("persisted before the copy was made", err)
		default:
		}
		close(w.hold)
		if a, b, c := <-answered, <-answered, <-answered; a != nil || b != nil || c != nil {
			t.Fatal(a, b, c)
		}
	})
}

// slow makes changes when it is told to, and fails to make them stable.
type slow struct {
	engine
	start, done chan struct{}
	unstable    bool
}

func (s *slow) Remove(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, kind gateway.RemoveKind) (causeway.Change, error) {
	s.start <- struct{}{}
	<-s.done
	return s.engine.Remove(ctx, c, dir, name, kind)
}

func (s *slow) Persist(ctx context.Context, v causeway.VolumeID, ids ...causeway.ObjectID) error {
	if s.unstable {
		return causeway.ErrIO
	}
	return s.engine.Persist(ctx, v, ids...)
}

func TestRepeatedWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := newWorld(t, nil)
		s := &slow{engine: base.engine, start: make(chan struct{}, 9), done: make(chan struct{})}
		w := newWorld(t, s)
		if _, _, err := w.create(t, 1, "a"); err != nil {
			t.Fatal(err)
		}
		remove := func(c *gateway.Caller) error {
			_, err := w.Remove(context.Background(), c, w.root, "a", gateway.RemoveFile)
			return err
		}
		answers := make(chan error, 2)
		for range 2 {
			go func() { answers <- remove(caller(2)) }()
		}
		synctest.Wait()
		noWait := caller(2)
		noWait.NoWait = true
		if err := remove(noWait); err != causeway.ErrWouldBlock {
			t.Fatal(err)
		}
		close(s.done)
		if a, b := <-answers, <-answers; a != nil || b != nil || len(s.start) != 1 {
			t.Fatal(a, b, len(s.start))
		}
	})
}

// TestLostStaysLost: a change whose sync failed was answered by an error; no repetition may hear otherwise.
func TestLostStaysLost(t *testing.T) {
	base := newWorld(t, nil)
	s := &slow{engine: base.engine, unstable: true}
	w, ctx := newWorld(t, s), context.Background()
	later := &gateway.Caller{Op: causeway.OpID{1}, Later: &gateway.Pending{}}
	if _, _, err := w.Create(ctx, later, w.root, "a", &gateway.CreateSpec{Type: causeway.TypeRegular}); err != nil {
		t.Fatal(err)
	}
	if err := w.Persist(ctx, volume, later.Later.Objects[:]...); err != causeway.ErrIO {
		t.Fatal(err)
	}
	if _, _, err := w.create(t, 1, "a"); err != causeway.ErrIO {
		t.Fatal(err)
	}
	next := newWorld(t, base.engine)
	if err := next.Restore(volume, []Record{w.copied[len(w.copied)-1]}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := next.create(t, 1, "a"); err != causeway.ErrIO {
		t.Fatal(err)
	}
}

func TestBounded(t *testing.T) {
	w := newWorld(t, nil)
	for i := range byte(200) {
		if _, _, err := w.create(t, i+1, "a"); err != nil && err != causeway.ErrExist {
			t.Fatal(err)
		}
	}
	if w.Len() != 100 {
		t.Fatal(w.Len())
	}
	w.now = w.now.Add(time.Hour)
	if got := w.Records(volume); len(got) != 0 {
		t.Fatal(len(got))
	}
}

func FuzzRecord(f *testing.F) {
	f.Add((&Result{Code: causeway.ErrIO}).encode())
	f.Add((&Result{Entry: gateway.Entry{Handle: causeway.Handle{Volume: volume, Object: causeway.ObjectID{1}}}}).encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode(volume, data)
		if err != nil {
			return
		}
		if again := r.encode(); !bytes.Equal(again, data) {
			t.Fatal(r, again, data)
		}
	})
}
