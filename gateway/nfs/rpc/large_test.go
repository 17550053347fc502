package rpc

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"causeway/gateway/nfs/xdr"
)

// TestLargeCallsRunInline: large calls run inline on a quiet server, and in goroutines where small calls are about; either way
// their replies are whole, also when the watchdog takes the connection away in the middle.
func TestLargeCallsRunInline(t *testing.T) { each(t, testLargeCallsRunInline) }

func testLargeCallsRunInline(t *testing.T, cfg Config) {
	_, p, addr := serve(t, cfg)
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var inline, apart, slow atomic.Int64
	handle := func(c *Call) Verdict {
		c.Large = true
		if c.NoWait && !c.LargeNow {
			return Park
		}
		if c.NoWait {
			inline.Add(1)
		} else {
			apart.Add(1)
		}
		c.Reply.Uint32(uint32(len(want)))
		dst := c.Reply.Reserve(len(want))
		if slow.Load() > 0 {
			time.Sleep(3 * watchPeriod)
		}
		copy(dst, want)
		return Done
	}
	p.file.Store(&handle)
	nc := dial(t, addr)
	xid := uint32(0)
	call := func(proc uint32) {
		xid++
		nc.Write(marked(callBytes(xid, testProg, testVers, proc, func(e *xdr.Encoder) { e.Opaque(nil) })))
	}
	large := func() {
		t.Helper()
		call(procFile)
		got, body := readReply(t, nc)
		if got != xid || len(body) != 20+4+len(want) || !bytes.Equal(body[24:], want) {
			t.Fatalf("reply %d to %d: %d bytes", got, xid, len(body))
		}
	}
	for deadline := time.Now().Add(10 * time.Second); inline.Load() < 20; large() {
		if time.Now().After(deadline) {
			t.Fatalf("%d large calls ran inline, %d apart", inline.Load(), apart.Load())
		}
	}
	before := apart.Load()
	call(procEcho)
	readReply(t, nc)
	large()
	if apart.Load() != before+1 {
		t.Error("a large call ran inline right after a small one")
	}
	slow.Store(1)
	for range 5 {
		large()
	}
}

// TestLargeRepliesAreBounded: who does not take large replies holds no more than his share, however they came about.
func TestLargeRepliesAreBounded(t *testing.T) { each(t, testLargeRepliesAreBounded) }

func testLargeRepliesAreBounded(t *testing.T, cfg Config) {
	cfg.MaxQueued = 3 << 20
	s, p, addr := serve(t, cfg)
	handle := func(c *Call) Verdict {
		c.Large = true
		if c.NoWait && !c.LargeNow {
			return Park
		}
		c.Reply.Uint32(1 << 20)
		c.Reply.Reserve(1 << 20)
		return Done
	}
	p.file.Store(&handle)
	nc := dial(t, addr)
	record := marked(callBytes(1, testProg, testVers, procFile, func(e *xdr.Encoder) { e.Opaque(nil) }))
	for range 60 {
		if _, err := nc.Write(record); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(50 * time.Millisecond) // let it take what it will
	if held := s.Stats().BufferBytes; held > 12<<20 {
		t.Errorf("%d bytes are held for one connection", held)
	}
	for range 60 {
		if _, body := readReply(t, nc); len(body) != 20+4+1<<20 {
			t.Fatal(len(body))
		}
	}
}
