package rpc

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"causeway/gateway"
	"causeway/gateway/nfs/xdr"
)

// eventually waits for something that has to come.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: did not come", what)
		}
	}
}

// wantEcho reads the reply of an echo.
func wantEcho(t testing.TB, nc net.Conn, xid uint32, b []byte) {
	t.Helper()
	got, body := readReply(t, nc)
	e := xdr.NewEncoder(accepted(0))
	e.Opaque(b)
	if got != xid || !bytes.Equal(body, e.Bytes()) {
		t.Fatalf("xid %d, want %d; %d bytes, want %d", got, xid, len(body), e.Len())
	}
}

// wantEnd wants the server to have closed the connection.
func wantEnd(t testing.TB, nc net.Conn) {
	t.Helper()
	if n, err := nc.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
		t.Fatalf("not closed: %d, %v", n, err)
	}
}

func TestByteAtATime(t *testing.T) { each(t, testByteAtATime) }

func testByteAtATime(t *testing.T, cfg Config) {
	_, _, addr := serve(t, cfg)
	nc := dial(t, addr)
	payload := bytes.Repeat([]byte("abc"), 50)
	for xid := range uint32(3) {
		for _, b := range fragmented(callBytes(xid, testProg, testVers, procEcho, opaque(payload)), 1, 1, 2, 40, 100) {
			if _, err := nc.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		wantEcho(t, nc, xid, payload)
	}
}

func TestLargeRecords(t *testing.T) { each(t, testLargeRecords) }

func testLargeRecords(t *testing.T, cfg Config) {
	_, _, addr := serve(t, cfg)
	nc := dial(t, addr)
	for xid, n := range []int{1 << 20, 1 << 20, 10, 70000, 65536, 1<<20 + 60000, 0, 300000} {
		payload := make([]byte, n)
		for i := range payload {
			payload[i] = byte(i * (xid + 3))
		}
		record := callBytes(uint32(xid), testProg, testVers, procEcho, opaque(payload))
		var cuts []int
		if xid%2 == 1 {
			for at := 1000; at < len(record); at += 1000 {
				cuts = append(cuts, at)
			}
		}
		sent := make(chan error, 1)
		go func() {
			_, err := nc.Write(append(fragmented(record, cuts...), marked(callBytes(1000, testProg, testVers, procNull, nil))...))
			sent <- err
		}()
		for range 2 { // in any order: a slow machine may be taken for a stuck handler
			got, body := readReply(t, nc)
			e := xdr.NewEncoder(accepted(0))
			if got != 1000 {
				e.Opaque(payload)
			}
			if got != 1000 && got != uint32(xid) || !bytes.Equal(body, e.Bytes()) {
				t.Fatalf("%d: %d bytes", got, len(body))
			}
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadRecordsEndTheConnection(t *testing.T) { each(t, testBadRecords) }

func testBadRecords(t *testing.T, cfg Config) {
	_, _, addr := serve(t, cfg)
	for name, stream := range map[string][]byte{
		"too large": words(lastFragment | (1<<20 + 64<<10 + 1)), "no call": append(words(lastFragment|4), 1, 2, 3, 4), "HTTP": []byte("GET / HTTP/1.0\r\n\r\n"),
	} {
		nc := dial(t, addr)
		good := marked(callBytes(7, testProg, testVers, procEcho, opaque([]byte("before"))))
		if _, err := nc.Write(append(good, stream...)); err != nil {
			t.Fatal(name, err)
		}
		wantEcho(t, nc, 7, []byte("before"))
		wantEnd(t, nc)
	}
}

func TestPanic(t *testing.T) { each(t, testPanic) }

func testPanic(t *testing.T, cfg Config) {
	s, _, addr := serve(t, cfg)
	nc, other := dial(t, addr), dial(t, addr)
	nc.Write(append(marked(callBytes(1, testProg, testVers, procEcho, opaque(nil))), marked(callBytes(2, testProg, testVers, procPanic, nil))...))
	wantEcho(t, nc, 1, nil)
	if xid, body := readReply(t, nc); xid != 2 || !bytes.Equal(body, accepted(acceptSystemErr)) {
		t.Errorf("%d %x", xid, body)
	}
	wantEnd(t, nc)
	other.Write(marked(callBytes(3, testProg, testVers, procEcho, opaque(nil))))
	wantEcho(t, other, 3, nil)
	if s.Stats().Panics != 1 {
		t.Error(s.Stats())
	}
}

// TestDisconnectWhileCallsRun: the calls finish, nothing is left (serve's cleanup looks).
func TestDisconnectWhileCallsRun(t *testing.T) { each(t, testDisconnect) }

func testDisconnect(t *testing.T, cfg Config) {
	s, p, addr := serve(t, cfg)
	for n := range uint32(20) {
		nc := dial(t, addr)
		for i := range uint32(5) {
			nc.Write(marked(callBytes(5*n+i, testProg, testVers, procPark, opaque(make([]byte, 5000)))))
		}
		for range 5 {
			<-p.parked
		}
		nc.(*net.TCPConn).SetLinger(0)
		nc.Close()
	}
	if got := s.Stats().InFlight; got != 100 {
		t.Error(got)
	}
	close(p.release)
	eventually(t, "connections gone", func() bool { return s.Stats().Conns == 0 })
}

// TestRepetitionsTakeTurns: a call that comes again over another connection is run when the first one has ended, and not at all if that
// connection has gone too.
func TestRepetitionsTakeTurns(t *testing.T) { each(t, testTurns) }

func testTurns(t *testing.T, cfg Config) {
	s, p, addr := serve(t, cfg)
	call := marked(callBytes(7, testProg, testVers, procPark, opaque([]byte("again"))))
	var conns []net.Conn
	for n := range 3 {
		conns = append(conns, dial(t, addr))
		conns[n].Write(call)
		eventually(t, "the call is here", func() bool { return s.Stats().InFlight == n+1 })
	}
	<-p.parked
	conns[0].Close()
	conns[1].Close()
	eventually(t, "their ends are seen", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		n := 0
		for c := range s.conns {
			c.mu.Lock()
			if c.readerDone || c.broken {
				n++
			}
			c.mu.Unlock()
		}
		return n == 2
	})
	if len(p.parked) > 0 {
		t.Error("a repetition runs beside the call")
	}
	close(p.release)
	wantEcho(t, conns[2], 7, []byte("again"))
	if n := len(p.parked); n != 1 {
		t.Errorf("%d repetitions were run, want the one whose sender is there", n)
	}
}

// TestReplacedConnection: what is found in a connection that its client has closed is not run once the client has come over another one.
func TestReplacedConnection(t *testing.T) { each(t, testReplaced) }

func testReplaced(t *testing.T, cfg Config) {
	if runtime.GOOS != "linux" {
		t.Skip("the end of a connection is seen behind what it brings")
	}
	cfg.MaxCallsPerConn = 1
	s, p, addr := serve(t, cfg)
	old := dial(t, addr)
	old.Write(marked(callBytes(1, testProg, testVers, procPark, opaque([]byte("runs")))))
	<-p.parked
	again := marked(callBytes(2, testProg, testVers, procPark, opaque([]byte("again"))))
	old.Write(again) // it waits: there is no place for it
	eventually(t, "it is here", func() bool { return s.Stats().Conns == 1 })
	old.Close()
	replacing := dial(t, addr)
	replacing.Write(again)
	<-p.parked
	close(p.release)
	wantEcho(t, replacing, 2, []byte("again"))
	eventually(t, "the old connection is gone", func() bool { return s.Stats().Conns == 1 })
	if n := len(p.parked); n != 0 {
		t.Errorf("%d calls were run after their repetition", n)
	}
}

// TestAwait: who gives an address up waits for the calls that have begun, and those that have not begun do not begin any more.
func TestAwait(t *testing.T) { each(t, testAwait) }

func testAwait(t *testing.T, cfg Config) {
	s, p, addr := serve(t, cfg)
	nc := dial(t, addr)
	nc.Write(marked(callBytes(1, testProg, testVers, procPark, opaque(nil))))
	<-p.parked
	s.Disconnect(addr.Addr())
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if s.Await(short, addr.Addr()) {
		t.Error("a call runs still")
	}
	if !gateway.Abandoned(*p.latest.Load()) {
		t.Error("the call is not told that nobody waits for it")
	}
	other := dial(t, addr)
	other.Write(marked(callBytes(2, testProg, testVers, procPark, opaque(nil))))
	<-p.parked
	if gateway.Abandoned(*p.latest.Load()) {
		t.Error("a call whose client waits is called abandoned")
	}
	close(p.release)
	if !s.Await(t.Context(), addr.Addr()) {
		t.Error("no call runs any more")
	}
	wantEcho(t, other, 2, nil)
}

// TestHalfClose: a client that has said all still gets its answers.
func TestHalfClose(t *testing.T) { each(t, testHalfClose) }

func testHalfClose(t *testing.T, cfg Config) {
	_, p, addr := serve(t, cfg)
	nc := dial(t, addr)
	nc.Write(marked(callBytes(1, testProg, testVers, procPark, opaque([]byte("late")))))
	nc.(*net.TCPConn).CloseWrite()
	<-p.parked
	close(p.release)
	wantEcho(t, nc, 1, []byte("late"))
	wantEnd(t, nc)
}

// TestCallLimits: with all slots taken the connection is not read; when one is free, it goes on.
func TestCallLimits(t *testing.T) { each(t, testCallLimits) }

func testCallLimits(t *testing.T, cfg Config) {
	for name, set := range map[string]func(*Config){
		"connection": func(c *Config) { c.MaxCallsPerConn = 3 }, "client": func(c *Config) { c.MaxCallsPerClient = 3 }, "total": func(c *Config) { c.MaxCalls = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			set(&cfg)
			s, p, addr := serve(t, cfg)
			nc := dial(t, addr)
			var stream []byte
			for xid := range uint32(50) {
				stream = append(stream, marked(callBytes(xid, testProg, testVers, procPark, opaque(nil)))...)
			}
			nc.Write(stream)
			for range 3 {
				<-p.parked
			}
			select {
			case <-p.parked:
				t.Error("one too many runs")
			case <-time.After(20 * time.Millisecond):
			}
			if got := s.Stats().InFlight; got != 3 {
				t.Error(got)
			}
			close(p.release)
			for range 50 {
				readReply(t, nc)
			}
		})
	}
}

// TestWaitersThatLeave: of many connections that wait for a slot, those that are gone do not keep it from the others.
func TestWaitersThatLeave(t *testing.T) { each(t, testWaitersThatLeave) }

func testWaitersThatLeave(t *testing.T, cfg Config) {
	cfg.MaxCalls = 1
	s, p, addr := serve(t, cfg)
	call := marked(callBytes(1, testProg, testVers, procPark, opaque(nil)))
	first := dial(t, addr)
	first.Write(call)
	<-p.parked
	var conns []net.Conn
	for range 30 {
		nc := dial(t, addr)
		nc.Write(call)
		conns = append(conns, nc)
	}
	eventually(t, "all wait", func() bool {
		s.calls.mu.Lock()
		defer s.calls.mu.Unlock()
		return len(s.calls.waiting) == 30
	})
	for i, nc := range conns {
		if i%10 != 9 {
			nc.(*net.TCPConn).SetLinger(0)
			nc.Close()
		}
	}
	close(p.release)
	for i := 9; i < 30; i += 10 {
		wantEcho(t, conns[i], 1, nil)
	}
	wantEcho(t, first, 1, nil)
}

func TestConnLimits(t *testing.T) { each(t, testConnLimits) }

func testConnLimits(t *testing.T, cfg Config) {
	cfg.MaxConnsPerClient = 2
	s, _, addr := serve(t, cfg)
	a, b, c := dial(t, addr), dial(t, addr), dial(t, addr)
	wantEnd(t, c)
	if s.Stats().Refused != 1 {
		t.Error(s.Stats())
	}
	a.Close()
	eventually(t, "room for another", func() bool { return s.Stats().Conns == 1 })
	d := dial(t, addr)
	for _, nc := range []net.Conn{b, d} {
		nc.Write(marked(callBytes(1, testProg, testVers, procEcho, opaque(nil))))
		wantEcho(t, nc, 1, nil)
	}
}

// TestSlowReader: a client that sends calls and takes no replies holds a bounded amount, and is dropped in the end.
func TestSlowReader(t *testing.T) { each(t, testSlowReader) }

func testSlowReader(t *testing.T, cfg Config) {
	cfg.WriteTimeout, cfg.MaxQueued = 300*time.Millisecond, 1<<20
	s, _, addr := serve(t, cfg)
	nc := dial(t, addr)
	call := marked(callBytes(1, testProg, testVers, procEcho, opaque(make([]byte, 20000))))
	bulk := marked(callBytes(1, testProg, testVers, procBulk, func(e *xdr.Encoder) { e.Uint32(500000) }))
	most := int64(0)
	for {
		nc.SetWriteDeadline(time.Now().Add(10 * time.Second))
		_, err := nc.Write(append(call, bulk...))
		most = max(most, s.Stats().BufferBytes)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("still connected")
			}
			break
		}
	}
	eventually(t, "dropped", func() bool { return s.Stats().Conns == 0 && s.Stats().TimedOut == 1 })
	t.Logf("held %d KiB", most>>10)
	if most > 8<<20 {
		t.Errorf("held %d bytes", most)
	}
}

// TestHalfRecord: who does not send the rest of a call is dropped, and holds little meanwhile.
func TestHalfRecord(t *testing.T) { each(t, testHalfRecord) }

func testHalfRecord(t *testing.T, cfg Config) {
	cfg.RecordTimeout = 300 * time.Millisecond
	s, _, addr := serve(t, cfg)
	var conns []net.Conn
	for range 20 {
		nc := dial(t, addr)
		nc.Write(words(lastFragment|1<<20, 1, 0, 2))
		conns = append(conns, nc)
	}
	eventually(t, "buffers small", func() bool {
		st := s.Stats()
		return st.Conns < 20 || st.Buffers == 20 && st.BufferBytes <= 20*tailSize
	})
	for _, nc := range conns {
		wantEnd(t, nc)
	}
	eventually(t, "counted", func() bool { return s.Stats().TimedOut == 20 })
}

func TestIdleTimeout(t *testing.T) { each(t, testIdleTimeout) }

func testIdleTimeout(t *testing.T, cfg Config) {
	cfg.IdleTimeout = 200 * time.Millisecond
	_, p, addr := serve(t, cfg)
	busy, idle := dial(t, addr), dial(t, addr)
	busy.Write(marked(callBytes(1, testProg, testVers, procPark, opaque(nil))))
	wantEnd(t, idle)
	time.Sleep(300 * time.Millisecond)
	close(p.release)
	wantEcho(t, busy, 1, nil)
}

// TestShutdown: what runs is finished and answered, then the connections end.
func TestShutdown(t *testing.T) { each(t, testShutdown) }

func testShutdown(t *testing.T, cfg Config) {
	s, p, addr := serve(t, cfg)
	nc, idle := dial(t, addr), dial(t, addr)
	nc.Write(marked(callBytes(1, testProg, testVers, procPark, opaque([]byte("x")))))
	<-p.parked
	eventually(t, "both accepted", func() bool { return s.Stats().Conns == 2 })
	done := make(chan error)
	go func() { done <- s.Shutdown(context.Background()) }()
	wantEnd(t, idle)
	select {
	case <-done:
		t.Error("did not wait for the call")
	default:
	}
	close(p.release)
	wantEcho(t, nc, 1, []byte("x"))
	wantEnd(t, nc)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", addr.String()); err == nil {
		t.Error("still listens")
	}
}

func TestShutdownGivesUp(t *testing.T) { each(t, testShutdownGivesUp) }

func testShutdownGivesUp(t *testing.T, cfg Config) {
	s, p, addr := serve(t, cfg)
	nc := dial(t, addr)
	nc.Write(marked(callBytes(1, testProg, testVers, procPark, opaque(nil))))
	<-p.parked
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	wantEnd(t, nc)
	close(p.release)
}

// TestWatchdog: a handler that is stuck does not hold up the other calls, on its own connection and on others.
func TestWatchdog(t *testing.T) { each(t, testWatchdog) }

func testWatchdog(t *testing.T, cfg Config) {
	cfg.Loops = 1
	s, p, addr := serve(t, cfg)
	nc, other := dial(t, addr), dial(t, addr)
	other.Write(marked(callBytes(1, testProg, testVers, procEcho, opaque(nil))))
	wantEcho(t, other, 1, nil)
	var stream []byte
	for xid := range uint32(9) {
		proc := uint32(procEcho)
		if xid%3 == 1 {
			proc = procSpin
		}
		stream = append(stream, marked(callBytes(xid, testProg, testVers, proc, opaque([]byte{byte(xid)})))...)
	}
	nc.Write(stream)
	for _, xid := range []uint32{0, 2, 3, 5, 6, 8} {
		wantEcho(t, nc, xid, []byte{byte(xid)})
	}
	other.Write(marked(callBytes(2, testProg, testVers, procEcho, opaque(nil))))
	wantEcho(t, other, 2, nil)
	if st := s.Stats(); st.Stuck != 3 || st.InFlight != 3 {
		t.Errorf("%+v", st)
	}
	close(p.release)
	seen := map[uint32]bool{}
	for range 3 {
		xid, body := readReply(t, nc)
		e := xdr.NewEncoder(accepted(0))
		e.Opaque([]byte{byte(xid)})
		if !bytes.Equal(body, e.Bytes()) || xid%3 != 1 || seen[xid] {
			t.Errorf("%d: %x", xid, body)
		}
		seen[xid] = true
	}
}

type releases struct{ n chan struct{} }

func (r releases) Release() { r.n <- struct{}{} }

// TestFileReplies: ranges of a descriptor, in order with others, padded, and with zeros for what the file has lost.
func TestFileReplies(t *testing.T) { each(t, testFileReplies) }

func testFileReplies(t *testing.T, cfg Config) {
	_, p, addr := serve(t, cfg)
	content := make([]byte, 3<<20)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	released := releases{make(chan struct{}, 1000)}
	answer := func(c *Call) Verdict {
		off, n, inline := c.Args.Uint32(), c.Args.Uint32(), c.Args.Bool()
		if c.NoWait && !inline {
			return Park
		}
		c.Reply.Uint32(n)
		c.File = gateway.FileRange{FD: int(f.Fd()), Offset: int64(off), ReadResult: gateway.ReadResult{N: int(n)}, Hold: released}
		return Done
	}
	p.file.Store(&answer)
	nc := dial(t, addr)
	type ask struct{ off, n int }
	var asks []ask
	var stream []byte
	for i := range 60 {
		a := ask{i * 4099, []int{0, 1, 2, 3, 4, 4096, 65537, 1 << 20}[i%8]}
		if i == 50 {
			a = ask{len(content) - 1000, 5001} // shrunk: the rest is zeros
		}
		asks = append(asks, a)
		stream = append(stream, marked(callBytes(uint32(i), testProg, testVers, procFile, func(e *xdr.Encoder) {
			e.Uint32(uint32(a.off))
			e.Uint32(uint32(a.n))
			e.Bool(i%3 == 0)
		}))...)
		stream = append(stream, marked(callBytes(uint32(1000+i), testProg, testVers, procEcho, opaque([]byte("between"))))...)
	}
	go nc.Write(stream)
	time.Sleep(20 * time.Millisecond) // let the socket fill, so that the sending stops and goes on
	padded := append(bytes.Clone(content), make([]byte, 8000)...)
	for range 120 {
		xid, body := readReply(t, nc)
		if xid >= 1000 {
			continue
		}
		e := xdr.NewEncoder(accepted(0))
		a := asks[xid]
		e.Opaque(padded[a.off : a.off+a.n])
		if !bytes.Equal(body, e.Bytes()) {
			t.Fatalf("%d: %v: %d bytes differ from %d", xid, a, len(body), e.Len())
		}
	}
	for range asks {
		<-released.n
	}
}

// TestPipe: connections that are not TCP work too.
func TestPipe(t *testing.T) {
	s, _, _ := serve(t, Config{})
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	go s.Serve(l)
	nc, theirs := net.Pipe()
	defer nc.Close()
	l.conns <- theirs
	payload := bytes.Repeat([]byte("x"), 200000)
	for xid := range uint32(3) {
		go nc.Write(marked(callBytes(xid, testProg, testVers, procEcho, opaque(payload))))
		wantEcho(t, nc, xid, payload)
	}
}

// pipeListener accepts what it is given.
type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return nil }

// TestOneClientsRecords: a client that sends half of many large calls does not keep another one's from being read.
func TestOneClientsRecords(t *testing.T) { each(t, testOneClientsRecords) }

func testOneClientsRecords(t *testing.T, cfg Config) {
	cfg.MaxBytes = 8 << 20
	s, _, addr := serve(t, cfg)
	record := marked(callBytes(1, testProg, testVers, procEcho, opaque(make([]byte, 1<<20))))
	for range 16 {
		if _, err := dial(t, addr).Write(record[:100<<10]); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the halves", func() bool { return s.bytes.now() >= 3<<20 })
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	other, err := d.Dial("tcp", addr.String())
	if err != nil {
		t.Skip(err) // a system with one loopback address
	}
	defer other.Close()
	other.SetDeadline(time.Now().Add(30 * time.Second))
	go other.Write(record)
	wantEcho(t, other, 1, make([]byte, 1<<20))
}
