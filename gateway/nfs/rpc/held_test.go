package rpc

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"causeway/gateway/nfs/xdr"
)

// TestHeldReplies: calls whose replies are held are carried out one after the other without waiting, others pass them, and each
// reply comes when it is sent, or another one in its place, also when that was before the call ended or the watchdog came between.
func TestHeldReplies(t *testing.T) { each(t, testHeldReplies) }

func testHeldReplies(t *testing.T, cfg Config) {
	cfg.MaxCallsPerConn = 8
	s, p, addr := serve(t, cfg)
	var mu sync.Mutex
	waiting := map[uint32]*Held{}
	handle := func(c *Call) Verdict {
		kind := c.Args.Uint32()
		if c.NoWait && !c.MayHold() {
			return Park
		}
		c.Reply.Uint32(c.XID)
		if !c.NoWait {
			return Done
		}
		if kind == 3 {
			return Done // it had nothing to wait for
		}
		h := c.Hold()
		switch kind {
		case 1:
			h.Send()
		case 2:
			h.Fail(func(e *xdr.Encoder) { e.Uint32(0xbad) })
		case 4:
			time.Sleep(3 * watchPeriod)
			fallthrough
		default:
			mu.Lock()
			waiting[c.XID] = h
			mu.Unlock()
		}
		return Done
	}
	p.file.Store(&handle)
	nc := dial(t, addr)
	call := func(xid, kind uint32) {
		t.Helper()
		if _, err := nc.Write(marked(callBytes(xid, testProg, testVers, procFile, func(e *xdr.Encoder) { e.Uint32(kind) }))); err != nil {
			t.Fatal(err)
		}
	}
	want := func(xid, result uint32) {
		t.Helper()
		got, body := readReply(t, nc)
		var e xdr.Encoder
		e.Uint32(result)
		if got != xid || !bytes.Equal(body, append(accepted(acceptSuccess), e.Bytes()...)) {
			t.Fatalf("reply %d: %x, want %d: %x", got, body, xid, result)
		}
	}
	call(1, 0)
	call(2, 0)
	call(3, 1)
	want(3, 3)
	call(4, 2)
	want(4, 0xbad)
	call(5, 3)
	want(5, 5)
	call(6, 4)
	nc.Write(marked(callBytes(7, testProg, testVers, procEcho, opaque(nil))))
	if xid, _ := readReply(t, nc); xid != 7 {
		t.Fatal(xid)
	}
	held := func(n int) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(waiting) == n
		}
	}
	eventually(t, "three replies are held", held(3))
	if n := s.Stats().InFlight; n < 3 {
		t.Errorf("%d calls in flight", n)
	}
	release := func(xid uint32) {
		mu.Lock()
		h := waiting[xid]
		delete(waiting, xid)
		mu.Unlock()
		h.Send()
	}
	for _, xid := range []uint32{6, 2, 1} {
		release(xid)
		want(xid, xid)
	}

	// More than a connection may have: the rest waits its turn and is answered in the end.
	for xid := uint32(100); xid < 120; xid++ {
		call(xid, 0)
	}
	eventually(t, "all places are taken", held(cfg.MaxCallsPerConn))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			mu.Lock()
			for xid, h := range waiting {
				delete(waiting, xid)
				go h.Send()
			}
			mu.Unlock()
		}
	}()
	answered := map[uint32]bool{}
	for len(answered) < 20 {
		xid, _ := readReply(t, nc)
		answered[xid] = true
	}
	close(stop)
	<-stopped

	// A connection that ends while replies are held takes nothing with it.
	call(200, 0)
	eventually(t, "a reply is held", held(1))
	nc.Close()
	release(200)
}

// TestHeldRepliesOfWhoDoesNotRead: who sends held replies is not held up by a client that takes none of them.
func TestHeldRepliesOfWhoDoesNotRead(t *testing.T) { each(t, testHeldRepliesOfWhoDoesNotRead) }

func testHeldRepliesOfWhoDoesNotRead(t *testing.T, cfg Config) {
	const calls = 100
	cfg.MaxCallsPerConn, cfg.WriteTimeout = 2*calls, time.Hour // calls that are read have places too; the connection does not end by itself
	_, p, addr := serve(t, cfg)
	waiting := make(chan *Held, calls)
	handle := func(c *Call) Verdict {
		if !c.NoWait || !c.MayHold() {
			t.Error("no place")
			return SystemErr
		}
		c.Reply.Opaque(make([]byte, 250<<10))
		waiting <- c.Hold()
		return Done
	}
	p.file.Store(&handle)
	nc := dial(t, addr)
	for xid := range uint32(calls) {
		if _, err := nc.Write(marked(callBytes(xid, testProg, testVers, procFile, func(*xdr.Encoder) {}))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all replies are held", func() bool { return len(waiting) == calls })
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range calls {
			(<-waiting).Send()
		}
	}()
	select {
	case <-sent:
	case <-time.After(time.Minute):
		t.Error("waits for the client")
	}
	nc.Close()
	<-sent
}

// TestPanicAfterGrowing: a handler panics when its reply has outgrown its buffer.
func TestPanicAfterGrowing(t *testing.T) { each(t, testPanicAfterGrowing) }

func testPanicAfterGrowing(t *testing.T, cfg Config) {
	s, p, addr := serve(t, cfg)
	handle := func(c *Call) Verdict {
		c.Reply.Reserve(400 << 10)
		panic("now")
	}
	p.file.Store(&handle)
	nc := dial(t, addr)
	nc.Write(marked(callBytes(1, testProg, testVers, procFile, func(*xdr.Encoder) {})))
	readReply(t, nc)
	wantEnd(t, nc)
	eventually(t, "all buffers are back", func() bool { return s.pool.Lent() == 0 })
}
