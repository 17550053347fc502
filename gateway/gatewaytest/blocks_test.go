package gatewaytest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/blocks"
	"causeway/backend/blocks/device"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
)

// blockSite is gateways that reach one device over TCP, each by its own connections.
func blockSite(t testing.TB, n int, lease time.Duration) *site {
	return blockSiteOf(t, n, lease, device.New(4096, 1<<15), func(_ int, s *blocks.Store) backend.Store { return s })
}

func blockSiteOf(t testing.TB, n int, lease time.Duration, d *device.Device, wrap func(i int, s *blocks.Store) backend.Store) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, done := device.NewServer(d), make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = l.Close(); server.Close(); <-done })
	return split(t, n, true, lease, func(i int) backend.Store {
		client := device.NewClient(l.Addr().String())
		t.Cleanup(func() { _ = client.Close() })
		s, err := blocks.Open(t.Context(), blocks.Config{Device: client, Volume: 42, Node: fmt.Sprint("g", i), Mode: 0o777, LogBlocks: 1024})
		if err == nil && i == 0 {
			err = s.Own(t.Context(), causeway.Epoch{Revision: 1})
		}
		if err != nil {
			t.Fatal(err)
		}
		return wrap(i, s)
	})
}

// TestEnginesOnBlocks: one gateway alone has a volume on blocks as any other.
func TestEnginesOnBlocks(t *testing.T) {
	gatewaytest.Run(t, func(t *testing.T) gatewaytest.Fixture {
		s, err := blocks.Open(t.Context(), blocks.Config{Device: device.New(4096, 1<<14), Volume: 42, Node: "a", Mode: 0o777})
		if err == nil {
			err = s.Own(t.Context(), causeway.Epoch{Revision: 1})
		}
		if err != nil {
			t.Fatal(err)
		}
		return engines(t, s, false)
	})
}

// TestSplitOnBlocks runs the conformance suite through gateways at random, of which only one knows where anything lies.
func TestSplitOnBlocks(t *testing.T) {
	gatewaytest.Run(t, func(t *testing.T) gatewaytest.Fixture {
		x := blockSite(t, 3, 3*time.Second)
		return gatewaytest.Fixture{
			Access: &anyAccess{owners: x.gateways[0].access, site: x}, Transfer: anyTransfer{x}, Volume: x.volume.ID, Async: true,
		}
	})
}

// TestCloseToOpenOnBlocks is TestCloseToOpen where nobody but its writer knows a file's size until it is asked.
func TestCloseToOpenOnBlocks(t *testing.T) { closeToOpen(t, blockSite(t, 4, time.Second)) }

// TestRandomWorkloadOnBlocks is TestRandomWorkload; afterwards each block is a file's or free.
func TestRandomWorkloadOnBlocks(t *testing.T) {
	x := blockSite(t, 4, 150*time.Millisecond)
	randomWorkload(t, x)
	x.atRest(x.gateways[0])
}

// atRest waits until no block is provisional, and checks the volume.
func (x *site) atRest(owner *machine) {
	x.Helper()
	s := owner.store.(*blocks.Store)
	for _, m := range x.gateways {
		m.moves.Detach(x.volume.ID)
	}
	for end := time.Now().Add(30 * time.Second); len(s.Provisional()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			x.Fatal("blocks stay provisional:", s.Provisional())
		}
	}
	if err := s.Check(); err != nil {
		x.Error(err)
	}
}

// TestPausedWriterOnBlocks stops a gateway at the door of the device, with a write in its hand and a buffer behind it, for
// longer than its lease. The file is cut and written through another one meanwhile. Not one stale byte reaches the device:
// it refuses the gateway before others get what it held.
func TestPausedWriterOnBlocks(t *testing.T) {
	d := &doors{}
	x := blockSiteOf(t, 3, 300*time.Millisecond, device.New(4096, 1<<14), func(i int, s *blocks.Store) backend.Store {
		if i == 1 {
			return &doored{s, d}
		}
		return s
	})
	a, b, ctx, c := x.gateways[1], x.gateways[2], t.Context(), gatewaytest.Root()
	before, fresh := bytes.Repeat([]byte("before"), 4000), bytes.Repeat([]byte("fresh "), 4000)
	files := make([]causeway.Handle, 8)
	for i := range files {
		files[i] = b.create(fmt.Sprint("f", i))
		if _, err := a.put(files[i], 0, before, causeway.FileSync); err != nil {
			t.Fatal(err)
		}
	}
	first, err := a.moves.Sync(ctx, c, files[0], causeway.Span{})
	if err != nil {
		t.Fatal(err)
	}
	d.close()
	answers, early := make(chan error, len(files)), make(chan int, len(files))
	var stopped atomic.Bool
	write := func(i int) { // in place, or behind the end
		_, err := a.moves.Write(context.Background(), c, files[i], uint64(i)*6000, bytes.Repeat([]byte("stale!"), 1000), causeway.Unstable)
		if !stopped.Load() && causeway.CodeOf(err) == causeway.ErrDelay {
			early <- i
			return
		}
		answers <- err
	}
	for i := range files {
		go write(i)
	}
	for at := 0; at < len(files); {
		select {
		case <-d.waits:
			at++
		case i := <-early: // on a busy machine a lease ends before its writer is at the door
			go write(i)
		}
	}
	stopped.Store(true)
	a.pause()
	for _, h := range files {
		if _, err := b.access.SetAttr(ctx, c, h, &causeway.SetAttr{Mask: causeway.SetSize}, nil); err != nil {
			t.Fatal(err)
		}
	}
	files = append(files, b.create("other")) // gets blocks that were cut off
	for _, h := range files {
		if _, err := b.put(h, 0, fresh, causeway.FileSync); err != nil {
			t.Fatal(err)
		}
	}
	a.resume()
	d.open()
	for range len(files) - 1 {
		if err := <-answers; causeway.CodeOf(err) != causeway.ErrDelay {
			t.Error("a late write was answered with", err)
		}
	}
	for _, h := range files {
		for _, m := range x.gateways {
			got := make([]byte, 60000)
			n, err := m.get(h, 0, got)
			if err != nil || !bytes.Equal(got[:n], fresh) {
				t.Errorf("%s reads %d bytes, %v: %.40q", m.name, n, err, got)
			}
		}
	}
	again, err := a.moves.Sync(ctx, c, files[0], causeway.Span{})
	if err != nil || again.Verifier == first.Verifier {
		t.Error("the fenced gateway's clients are not told to send again:", err)
	}
	if _, err := a.put(files[0], 0, []byte("again"), causeway.FileSync); err != nil {
		t.Error("it does not come back:", err)
	}
}

// doors stops writes on their way to the device.
type doors struct {
	mu    sync.Mutex
	shut  chan struct{}
	waits chan struct{}
}

func (d *doors) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut, d.waits = make(chan struct{}), make(chan struct{}, 100)
}

func (d *doors) open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.shut)
	d.shut = nil
}

type doored struct {
	*blocks.Store
	doors *doors
}

func (s *doored) WriteBlocks(ctx context.Context, t backend.Tag, off uint64, p []byte) error {
	s.doors.mu.Lock()
	shut, waits := s.doors.shut, s.doors.waits
	s.doors.mu.Unlock()
	if shut != nil {
		waits <- struct{}{}
		<-shut
	}
	return s.Store.WriteBlocks(ctx, t, off, p)
}

// TestRangesApart: gateways write different ranges of one file at once, without taking them from one another; the same range
// is one gateway's at a time.
func TestRangesApart(t *testing.T) {
	x := blockSite(t, 4, 10*time.Second)
	h, ctx, c := x.gateways[0].create("f"), t.Context(), gatewaytest.Root()
	const part = 1 << 20
	if _, err := x.gateways[0].access.SetAttr(ctx, c, h, &causeway.SetAttr{Mask: causeway.SetSize, Size: 3 * part}, nil); err != nil {
		t.Fatal(err)
	}
	writers := x.gateways[1:]
	write := func(i, round int) error {
		for off := range 16 {
			data := bytes.Repeat([]byte{byte(16*round + i + 1)}, part/16)
			if _, err := writers[i].put(h, uint64(i*part+off*part/16), data, causeway.Unstable); err != nil {
				return fmt.Errorf("%s: %w", writers[i].name, err)
			}
		}
		return nil
	}
	round := func(n int) error {
		errs := make([]error, len(writers))
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() { errs[i] = write(i, n) })
		}
		wg.Wait()
		return errors.Join(errs...)
	}
	for n := range 2 { // until each has its range
		if err := round(n); err != nil {
			t.Fatal(err)
		}
	}
	grants, recalls := x.grants.Load(), x.recalls.Load()
	for n := 2; n < 10; n++ {
		if err := round(n); err != nil {
			t.Fatal(err)
		}
	}
	if g, r := x.grants.Load()-grants, x.recalls.Load()-recalls; g > 6 || r > 6 {
		t.Errorf("%d grants and %d recalls for ranges that nobody shares", g, r)
	}
	got := make([]byte, 3*part)
	for off := 0; off < len(got); off += part {
		if _, err := x.gateways[0].get(h, uint64(off), got[off:off+part]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range got {
		if want := byte(16*9 + i/part + 1); got[i] != want {
			t.Fatalf("byte %d is %d, not %d", i, got[i], want)
		}
	}
	if err := write(0, 11); err != nil { // the same range elsewhere is taken from it, with what it wrote
		t.Fatal(err)
	}
	buf := make([]byte, 3)
	if _, err := writers[1].put(h, 1, []byte{7}, causeway.Unstable); err != nil {
		t.Fatal(err)
	}
	if _, err := writers[2].get(h, 0, buf); err != nil || !bytes.Equal(buf, []byte{177, 7, 177}) {
		t.Fatal(buf, err)
	}
}

// TestNewOwnerOnBlocks: the owner is gone without a word; another gateway reads its journal, and the grants of the others go
// on, with what they wrote and have not committed.
func TestNewOwnerOnBlocks(t *testing.T) {
	x := blockSite(t, 3, 10*time.Second)
	a, b, ctx := x.gateways[1], x.gateways[2], t.Context()
	h := a.create("f")
	if _, _, err := x.gateways[0].store.Lookup(ctx, x.root().Object, "f"); err != nil {
		t.Fatal(err)
	}
	if err := x.gateways[0].store.Persist(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.write(h, "not committed"); err != nil {
		t.Fatal(err)
	}
	next := causeway.Epoch{Revision: 2}
	if err := b.store.(*blocks.Store).Own(ctx, next); err != nil {
		t.Fatal(err)
	}
	between := make(chan error, 1) // two owners: it waits
	go func() { between <- a.write(h, "NOT") }()
	time.Sleep(50 * time.Millisecond) // or comes after; that is as good
	if _, _, err := x.gateways[0].store.Create(ctx, x.root().Object, "late", &backend.CreateSpec{Type: causeway.TypeRegular}); err == nil {
		if err := x.gateways[0].store.Persist(ctx); causeway.CodeOf(err) != causeway.ErrStaleEpoch {
			t.Fatal("the last owner goes on:", err)
		}
	}
	x.move(b, next)
	if err := <-between; err != nil {
		t.Fatal("a write between two owners:", err)
	}
	if _, err := a.put(h, 3, []byte(" yet"), causeway.Unstable); err != nil {
		t.Fatal(err)
	}
	if got, err := b.read(h); err != nil || got != "NOT yetmitted" {
		t.Fatalf("%q, %v", got, err)
	}
	x.atRest(b)
}

var _ gateway.Layouts = (*link)(nil)
