package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"causeway/gateway/nfs/xdr"
)

// The test program: its procedures are named by what they do.
const (
	testProg = 300000
	testVers = 3

	procNull  = 0
	procEcho  = 1 // answers its opaque argument
	procPark  = 2 // parks, then waits for testProgram.release, then echoes
	procPanic = 3
	procDrop  = 4
	procBad   = 5 // garbage args
	procWho   = 6 // answers uid, gid, groups, machine
	procBulk  = 7 // parks, then answers n bytes through Reserve
	procFile  = 8 // answers a range of a file
	procSpin  = 9 // does not park, but waits for release
	procWeak  = 10
)

type testProgram struct {
	release chan struct{}
	parked  chan uint32
	latest  atomic.Pointer[context.Context] // of the call that was parked last
	file    atomic.Pointer[func(c *Call) Verdict]
}

func newTestProgram() *testProgram {
	return &testProgram{release: make(chan struct{}), parked: make(chan uint32, 1000)}
}

func (p *testProgram) Handle(ctx context.Context, c *Call) Verdict {
	switch c.Proc {
	case procNull:
		return Done
	case procEcho:
		return p.echo(c)
	case procPark, procSpin:
		if c.NoWait && c.Proc == procPark {
			c.Reply.Uint32(0xdeadbeef) // must be taken back
			return Park
		}
		kept := ctx
		p.latest.Store(&kept)
		p.parked <- c.XID
		<-p.release
		return p.echo(c)
	case procPanic:
		panic("as asked")
	case procDrop:
		return Drop
	case procBad:
		return GarbageArgs
	case procWeak:
		return AuthTooWeak
	case procWho:
		c.Reply.Uint32(c.Cred.UID)
		c.Reply.Uint32(c.Cred.GID)
		c.Reply.Uint32(uint32(len(c.Cred.Groups)))
		for _, g := range c.Cred.Groups {
			c.Reply.Uint32(g)
		}
		c.Reply.String(c.Machine)
		return Done
	case procBulk:
		if c.NoWait {
			return Park
		}
		n := int(min(c.Args.Uint32(), 2<<20))
		c.Reply.Uint32(uint32(n))
		b := c.Reply.Reserve(n)
		for i := range b {
			b[i] = byte(i)
		}
		return Done
	case procRead4K:
		n := c.Args.Uint32()
		c.Reply.Uint32(n)
		copy(c.Reply.Reserve(int(n&0xffff)), zeros[:])
		return Done
	case procWrite1M:
		if c.NoWait {
			return Park
		}
		c.Reply.Uint32(uint32(len(c.Args.Rest())))
		return Done
	case procFile, procRead1M:
		return (*p.file.Load())(c)
	}
	return ProcUnavail
}

func (p *testProgram) echo(c *Call) Verdict {
	b := c.Args.Opaque(2 << 20)
	if !c.Args.OK() {
		return GarbageArgs
	}
	c.Reply.Opaque(b)
	return Done
}

// serve runs a server with the test program until the test ends.
func serve(t testing.TB, cfg Config) (*Server, *testProgram, netip.AddrPort) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := newTestProgram()
	s.Register(testProg, testVers, p)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != ErrServerClosed {
			t.Errorf("serve: %v", err)
		}
		if st := s.Stats(); st.Conns != 0 || st.InFlight != 0 || st.Buffers != 0 || st.BufferBytes != 0 || s.bytes.now() != 0 {
			t.Errorf("left behind: %+v, %d bytes", st, s.bytes.now())
		}
	})
	return s, p, addrPort(l.Addr())
}

// each runs a test on both transports.
func each(t *testing.T, test func(t *testing.T, cfg Config)) {
	t.Run("netpoll", func(t *testing.T) { test(t, Config{Transport: Netpoll}) })
	if runtime.GOOS == "linux" {
		t.Run("epoll", func(t *testing.T) { test(t, Config{Transport: Epoll}) })
	}
}

// dial opens a raw connection.
func dial(t testing.TB, to netip.AddrPort) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	return nc
}

// callBytes returns a call's record without its mark.
func callBytes(xid, prog, vers, proc uint32, args func(*xdr.Encoder)) []byte {
	e := xdr.Encoder{}
	encodeCall(&e, xid, prog, vers, proc, nil)
	if args != nil {
		args(&e)
	}
	return e.Bytes()
}

func opaque(b []byte) func(*xdr.Encoder) { return func(e *xdr.Encoder) { e.Opaque(b) } }

// marked puts a record mark in front of a record.
func marked(record []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, lastFragment|uint32(len(record))), record...)
}

// readReply reads one record.
func readReply(t testing.TB, nc net.Conn) (xid uint32, body []byte) {
	t.Helper()
	var mark [4]byte
	if _, err := io.ReadFull(nc, mark[:]); err != nil {
		t.Fatal(err)
	}
	word := binary.BigEndian.Uint32(mark[:])
	if word&lastFragment == 0 {
		t.Fatalf("mark %x", word)
	}
	record := make([]byte, word&^lastFragment)
	if _, err := io.ReadFull(nc, record); err != nil {
		t.Fatal(err)
	}
	return binary.BigEndian.Uint32(record), record[4:]
}

// accepted is what a reply with an accept_stat starts with, behind the xid.
func accepted(stat uint32) []byte {
	b := []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	return binary.BigEndian.AppendUint32(b, stat)
}

func TestPipelinedAndParked(t *testing.T) { each(t, testPipelinedAndParked) }

func testPipelinedAndParked(t *testing.T, cfg Config) {
	_, p, addr := serve(t, cfg)
	nc := dial(t, addr)
	var out []byte
	for xid := range uint32(200) {
		proc := uint32(procEcho)
		if xid%10 == 3 {
			proc = procPark
		}
		out = append(out, marked(callBytes(xid, testProg, testVers, proc, opaque(bytes.Repeat([]byte{byte(xid)}, int(xid)))))...)
	}
	if _, err := nc.Write(out); err != nil {
		t.Fatal(err)
	}
	seen := map[uint32]bool{}
	check := func() {
		xid, body := readReply(t, nc)
		e := xdr.NewEncoder(accepted(0))
		e.Opaque(bytes.Repeat([]byte{byte(xid)}, int(xid)))
		if seen[xid] || !bytes.Equal(body, e.Bytes()) {
			t.Fatalf("xid %d: twice or wrong: %x", xid, body)
		}
		seen[xid] = true
	}
	for range 180 {
		check()
	}
	for xid := range seen {
		if xid%10 == 3 {
			t.Errorf("parked call %d overtook its release", xid)
		}
	}
	close(p.release)
	for range 20 {
		check()
	}
}

func TestClientTCP(t *testing.T) { each(t, testClientTCP) }

func testClientTCP(t *testing.T, cfg Config) {
	_, _, addr := serve(t, cfg)
	testClient(t, "tcp", addr)
}

func TestClientUDP(t *testing.T) {
	s, _, _ := serve(t, Config{})
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.ServePacket(pc)
	testClient(t, "udp", addrPort(pc.LocalAddr()))
}

// TestWildcardUDP: the reply comes from the address that was asked, also where the socket is bound to none; a connected client
// takes no other.
func TestWildcardUDP(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs an address of the loopback network that is not 127.0.0.1")
	}
	s, _, _ := serve(t, Config{})
	for _, network := range []string{"udp4", "udp"} {
		pc, err := net.ListenPacket(network, ":0")
		if err != nil {
			t.Fatal(err)
		}
		go s.ServePacket(pc)
		testClient(t, "udp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.7"), addrPort(pc.LocalAddr()).Port()))
	}
}

func testClient(t *testing.T, network string, addr netip.AddrPort) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := Dial(ctx, network, netip.MustParseAddrPort("127.0.0.1:0"), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cred := &ClientCred{Machine: "here", UID: 7, GID: 8, Groups: []uint32{9, 10}}
	for range 3 {
		err = c.Call(ctx, testProg, testVers, procWho, cred, nil, func(d *xdr.Decoder) error {
			if d.Uint32() != 7 || d.Uint32() != 8 || d.Uint32() != 2 || d.Uint32() != 9 || d.Uint32() != 10 || d.String(9) != "here" || !d.Done() {
				t.Error("credential changed on its way")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	bulk := func(d *xdr.Decoder) error {
		if len(d.Opaque(5000)) != 5000 {
			t.Error("short")
		}
		return nil
	}
	if err := c.Call(ctx, testProg, testVers, procBulk, nil, func(e *xdr.Encoder) { e.Uint32(5000) }, bulk); err != nil {
		t.Fatal(err)
	}
}

func TestBulkReply(t *testing.T) { each(t, testBulkReply) }

func testBulkReply(t *testing.T, cfg Config) {
	_, _, addr := serve(t, cfg)
	nc := dial(t, addr)
	for i := range 20 {
		n := 1 << i
		nc.Write(marked(callBytes(uint32(i), testProg, testVers, procBulk, func(e *xdr.Encoder) { e.Uint32(uint32(n)) })))
		xid, body := readReply(t, nc)
		if xid != uint32(i) || len(body) != 20+4+n {
			t.Fatal(xid, len(body))
		}
		for j, b := range body[24:] {
			if b != byte(j) {
				t.Fatal(n, j)
			}
		}
	}
}
