package smb_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudsoda/go-smb2"

	"causeway/backend/mem"
	"causeway/gateway/smb"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// frame puts the length in front of a message.
func frame(m []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(m))), m...)
}

// negotiateRequest is a NEGOTIATE of a client that speaks 2.1 and 3.0.
func negotiateRequest() []byte {
	m := make([]byte, wire.HeaderSize, 128)
	h := wire.Header{Command: wire.Negotiate, Credits: 1}
	h.Put(m)
	body := make([]byte, 36)
	body[0], body[2], body[4] = 36, 2, 1
	m = append(m, body...)
	return append(m, 0x10, 0x02, 0x00, 0x03)
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// reply reads one message.
func reply(t *testing.T, c net.Conn) []byte {
	t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		t.Fatal(err)
	}
	m := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(c, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// works does what a user does, on a connection of its own.
func works(t *testing.T, s *site, name string) {
	t.Helper()
	fs := dial(t, s, "u", "p")
	if err := fs.WriteFile(name, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := fs.ReadFile(name); err != nil || string(got) != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
}

// TestHalfOpenCrowd: a thousand connections that stop within their negotiation or log-on keep nobody out, and are hung up on when their time
// is over; who has logged on is not.
func TestHalfOpenCrowd(t *testing.T) {
	const crowd = 1000
	late := &lateListener{Listener: listen(t)}
	s := serve(t, mem.New(mem.Config{Mode: 0o777}), late, func(c *smb.Config) { c.LogonTimeout = time.Hour })
	whole := frame(negotiateRequest())
	conns := make([]net.Conn, crowd)
	for i := range conns {
		conns[i] = connect(t, s.addr)
		switch i % 4 {
		case 1:
			conns[i].Write(whole[:2])
		case 2:
			conns[i].Write(whole[:len(whole)-5])
		case 3:
			conns[i].Write(whole)
			reply(t, conns[i])
		}
	}
	works(t, s, "beside the crowd")
	inside := dial(t, s, "u", "p")
	late.pass(time.Hour)
	for i, c := range conns {
		if _, err := io.Copy(io.Discard, c); err != nil && isTimeout(err) {
			t.Fatalf("connection %d was not closed", i)
		}
	}
	if _, err := inside.ReadDir(""); err != nil {
		t.Error("who has logged on was hung up on:", err)
	}
}

// lateListener lets time pass for the connections that it has accepted.
type lateListener struct {
	net.Listener
	mu     sync.Mutex
	conns  []*lateConn
	passed atomic.Int64 // nanoseconds: they count for who comes to wait to log on later, too
}

func (l *lateListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	late := &lateConn{Conn: c, passed: &l.passed}
	l.conns = append(l.conns, late)
	return late, nil
}

func (l *lateListener) pass(d time.Duration) {
	l.passed.Store(int64(d))
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.mu.Lock()
		if until := c.reading; !until.IsZero() && time.Until(until) <= d {
			c.Conn.SetReadDeadline(time.Now())
		}
		c.mu.Unlock()
	}
}

// lateConn remembers until when its reader waits.
type lateConn struct {
	net.Conn
	passed  *atomic.Int64
	mu      sync.Mutex
	reading time.Time
	began   bool
}

func (c *lateConn) SetReadDeadline(until time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.began // that of logging on
	c.reading, c.began = until, true
	if first && time.Until(until) <= time.Duration(c.passed.Load()) {
		until = time.Now()
	}
	return c.Conn.SetReadDeadline(until)
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// TestSlowReader: a client that asks for much and reads nothing is hung up on, others go on meanwhile, and its memory comes back.
func TestSlowReader(t *testing.T) {
	s := newSite(t, func(c *smb.Config) { c.WriteTimeout = 2 * time.Second })
	slow := &stalling{Conn: connect(t, s.addr), open: make(chan struct{})}
	fs := mountOver(t, slow, s, "u", "p")
	if err := fs.WriteFile("big", make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Open("big")
	if err != nil {
		t.Fatal(err)
	}
	slow.stall()
	done := make(chan struct{})
	for range 32 {
		go func() {
			_, _ = f.ReadAt(make([]byte, 1<<20), 0)
			done <- struct{}{}
		}()
	}
	works(t, s, "beside the slow one")
	for deadline := time.Now().Add(time.Minute); s.Stats().Conns > 1; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still connected: %+v", s.Stats())
		}
	}
	close(slow.open)
	slow.Close()
	for range 32 {
		<-done
	}
}

// TestReplayedLogon: what a client sent to log on is worth nothing on another connection, nor a second time on its own.
func TestReplayedLogon(t *testing.T) {
	s := newSite(t, nil)
	tap := &recording{Conn: connect(t, s.addr)}
	mountOver(t, tap, s, "u", "p")
	again := connect(t, s.addr)
	for _, m := range tap.frames() {
		if _, err := again.Write(m); err != nil {
			break // hung up on
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(again, got); err != nil {
			break
		}
		b := make([]byte, binary.BigEndian.Uint32(got))
		if _, err := io.ReadFull(again, b); err != nil {
			break
		}
		var h wire.Header
		if err := h.Parse(b); err == nil && h.Status == ntstatus.OK && h.Command != wire.Negotiate {
			t.Fatalf("a recorded %v was taken", h.Command)
		}
	}
	works(t, s, "beside the replay")
}

// mountOver logs on over a connection and mounts the volume.
func mountOver(t *testing.T, c net.Conn, s *site, user, password string) *smb2.Share {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d := smb2.Dialer{Initiator: &smb2.NTLMInitiator{User: user, Password: password}}
	ses, err := d.DialConn(ctx, c, s.addr)
	if err != nil {
		t.Fatal(err)
	}
	share, err := ses.Mount("vol")
	if err != nil {
		t.Fatal(err)
	}
	return share
}

// stalling is a connection that can stop reading until it is opened again.
type stalling struct {
	net.Conn
	stalled atomic.Bool
	open    chan struct{}
}

func (c *stalling) stall() { c.stalled.Store(true) }

func (c *stalling) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.stalled.Load() {
		<-c.open
	}
	return n, err
}

// recording is a connection that remembers what was sent.
type recording struct {
	net.Conn
	mu   sync.Mutex
	sent []byte
}

func (c *recording) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.sent = append(c.sent, p...)
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// frames are the messages that were sent.
func (c *recording) frames() (all [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for b := c.sent; len(b) >= 4; {
		n := 4 + int(binary.BigEndian.Uint32(b))
		all = append(all, b[:n])
		b = b[n:]
	}
	return all
}
