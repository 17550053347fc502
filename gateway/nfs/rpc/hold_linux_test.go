package rpc

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// callAndWait makes a call whose reply the client does not take.
func callAndWait(t *testing.T, s *Server, nc net.Conn, payload []byte) {
	t.Helper()
	before := calls(s)
	if _, err := nc.Write(marked(callBytes(1, testProg, testVers, procEcho, opaque(payload)))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the call", func() bool { return calls(s) > before })
}

func calls(s *Server) (n uint64) {
	for _, c := range s.Conns() {
		n += c.Calls
	}
	return n
}

// queued returns the bytes of replies that wait for clients.
func queued(s *Server) (n int) {
	for _, c := range s.Conns() {
		n += c.Queued
	}
	return n
}

// TestSmallRepliesHoldLittle: what waits for a client that takes no replies costs about its size, also when every reply is that
// of a call that came alone.
func TestSmallRepliesHoldLittle(t *testing.T) {
	s, _, addr := serve(t, Config{Transport: Epoll})
	nc := dial(t, addr)
	nc.(*net.TCPConn).SetReadBuffer(4 << 10)
	for queued(s) == 0 {
		callAndWait(t, s, nc, make([]byte, 60<<10))
	}
	for range 200 {
		callAndWait(t, s, nc, bytes.Repeat([]byte("x"), 40))
	}
	if held := s.Stats().BufferBytes; held > 2<<20 {
		t.Errorf("%d bytes of replies keep %d bytes", queued(s), held)
	}
}

// TestManySlowReadersHoldLittle: the bound of one connection does not add up over many.
func TestManySlowReadersHoldLittle(t *testing.T) {
	s, _, addr := serve(t, Config{Transport: Epoll, MaxRecord: 64 << 10, MaxBytes: 256 << 10})
	call := marked(callBytes(1, testProg, testVers, procEcho, opaque(make([]byte, 20<<10))))
	var writers sync.WaitGroup
	t.Cleanup(writers.Wait) // after the connections are closed
	for range 16 {
		nc := dial(t, addr)
		nc.(*net.TCPConn).SetReadBuffer(4 << 10)
		writers.Go(func() {
			for {
				if _, err := nc.Write(call); err != nil {
					return
				}
			}
		})
	}
	eventually(t, "replies that wait", func() bool { return queued(s) > 256<<10 })
	for was := uint64(0); was != calls(s); time.Sleep(100 * time.Millisecond) {
		was = calls(s)
	}
	if held := s.Stats().BufferBytes; held > 12<<20 {
		t.Errorf("%d bytes of replies keep %d bytes", queued(s), held)
	}
}
