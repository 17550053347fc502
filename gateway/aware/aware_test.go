package aware_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"causeway"
	"causeway/backend/mem"
	"causeway/client/clientpb"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/aware"
	"causeway/gateway/replies"
	"causeway/gateway/transfer"
	"causeway/internal/testcert"
	"causeway/lockmgr"
)

type holder struct{ gateway.Holder }

// serve answers for a volume in memory.
func serve(t testing.TB, change func(*aware.Config, *causeway.Volume)) (address string, s *aware.Server) {
	t.Helper()
	store, h := mem.New(mem.Config{Mode: 0o777}), &holder{}
	locks, err := lockmgr.New(lockmgr.Config{})
	if err != nil {
		t.Fatal(err)
	}
	engine := access.New(access.Config{Holder: h, Locks: locks})
	moves := transfer.New(transfer.Config{Grants: engine})
	h.Holder = moves
	v := &causeway.Volume{ID: 7, Name: "v", Async: true, Keys: []causeway.HandleKey{{ID: 1, Secret: [16]byte{1}}},
		Exports: []causeway.ExportRule{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Squash: causeway.RootSquash, AnonUID: causeway.Nobody, AnonGID: causeway.Nobody}}}
	cfg := aware.Config{Transfer: moves, Catalog: &gateway.Catalog{}, Log: slog.New(slog.DiscardHandler), Every: 20 * time.Millisecond}
	if change != nil {
		change(&cfg, v)
	}
	engine.Attach(v, store)
	moves.Attach(v.ID, store)
	slow, _ := cfg.Access.(*slowLocks)
	if cfg.Access, err = replies.New(replies.Config{Access: engine}); err != nil {
		t.Fatal(err)
	}
	if slow != nil {
		slow.accessUnder = cfg.Access
		cfg.Access = slow
	}
	if err := cfg.Catalog.Publish([]*causeway.Volume{v}); err != nil {
		t.Fatal(err)
	}
	if s, err = aware.New(cfg); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := errors.Join(s.Shutdown(ctx), <-served, moves.Close(), store.Close()); err != nil {
			t.Error(err)
		}
		locks.Close()
	})
	return l.Addr().String(), s
}

func connect(t testing.TB, address string, creds credentials.TransportCredentials) clientpb.FilesClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds), grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return clientpb.NewFilesClient(conn)
}

func caller(uid uint32) *clientpb.Caller {
	return &clientpb.Caller{Uid: uid, Gid: uid, Client: make([]byte, 15, 16), Groups: []uint32{uid}}
}

// me is a caller with an id.
func me(uid uint32) *clientpb.Caller {
	c := caller(uid)
	c.Client = append(c.Client, 1)
	return c
}

func root(t testing.TB, f clientpb.FilesClient) []byte {
	t.Helper()
	r, err := f.OpenVolume(t.Context(), &clientpb.Request{Caller: me(1000), Name: []byte("v")})
	if err != nil || r.Code != 0 {
		t.Fatal(r, err)
	}
	return r.Handle
}

func op(n byte) []byte { return append(make([]byte, 15), n) }

// TestBounds: what asks for too much is refused, and the next caller is answered.
func TestBounds(t *testing.T) {
	at, _ := serve(t, nil)
	f := connect(t, at, insecure.NewCredentials())
	h := root(t, f)
	for name, c := range map[string]struct {
		ask  func() (uint32, error)
		code causeway.Code
	}{
		"a long read": {func() (uint32, error) {
			r, err := f.Read(t.Context(), &clientpb.ReadRequest{Caller: me(1), Handle: h, Count: causeway.MaxTransfer + 1})
			return r.GetCode(), err
		}, causeway.ErrInval},
		"many names": {func() (uint32, error) {
			r, err := f.Walk(t.Context(), &clientpb.Request{Caller: me(1), Handle: h, Names: make([][]byte, 257)})
			return r.GetCode(), err
		}, causeway.ErrInval},
		"a forged handle": {func() (uint32, error) {
			r, err := f.GetAttr(t.Context(), &clientpb.Request{Caller: me(1), Handle: append(append([]byte(nil), h[:len(h)-1]...), h[len(h)-1]^1)})
			return r.GetCode(), err
		}, causeway.ErrBadHandle},
		"no handle": {func() (uint32, error) {
			r, err := f.GetAttr(t.Context(), &clientpb.Request{Caller: me(1)})
			return r.GetCode(), err
		}, causeway.ErrBadHandle},
		"a nameless change": {func() (uint32, error) {
			r, err := f.Create(t.Context(), &clientpb.Request{Caller: me(1), Handle: h, Name: []byte("x"), Type: 1})
			return r.GetCode(), err
		}, causeway.ErrInval},
		"a device": {func() (uint32, error) {
			r, err := f.Create(t.Context(), &clientpb.Request{Caller: me(1), Handle: h, Name: []byte("x"), Type: uint32(causeway.TypeBlock), Op: op(1)})
			return r.GetCode(), err
		}, causeway.ErrBadType},
		"strange bits": {func() (uint32, error) {
			r, err := f.SetAttr(t.Context(), &clientpb.Request{Caller: me(1), Handle: h, Op: op(2), Set: &clientpb.SetAttr{Mask: 1 << 31}})
			return r.GetCode(), err
		}, causeway.ErrInval},
		"a lock of nobody": {func() (uint32, error) {
			r, err := f.Lock(t.Context(), &clientpb.LockRequest{Caller: caller(1), Handle: h})
			return r.GetCode(), err
		}, causeway.ErrInval},
		"many groups": {func() (uint32, error) {
			c := me(1)
			c.Groups = make([]uint32, 64<<10+1)
			r, err := f.GetAttr(t.Context(), &clientpb.Request{Caller: c, Handle: h})
			return r.GetCode(), err
		}, causeway.ErrInval},
	} {
		if got, err := c.ask(); err != nil || causeway.Code(got) != c.code {
			t.Errorf("%s: %v, %v, not %v", name, causeway.Code(got), err, c.code)
		}
	}
	if _, err := f.Write(t.Context(), &clientpb.WriteRequest{Caller: me(1), Handle: h, Data: make([]byte, 3<<20)}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message beyond all bounds: %v", err)
	}
	root(t, f)
}

// TestConnections: one address gets a quarter of the connections, and who hangs up makes room.
func TestConnections(t *testing.T) {
	at, _ := serve(t, func(c *aware.Config, _ *causeway.Volume) { c.MaxConns = 8 })
	dial := func() net.Conn {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	greeted := func(c net.Conn) bool { // HTTP/2 begins with the server's settings
		io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		n, err := c.Read(make([]byte, 9))
		return err == nil && n > 0
	}
	first, second := dial(), dial()
	if !greeted(first) || !greeted(second) {
		t.Fatal("the first connections are not answered")
	}
	if greeted(dial()) {
		t.Error("one address has more than a quarter")
	}
	first.Close()
	for begun := time.Now(); !greeted(dial()); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatal("a connection that was closed counts for ever")
		}
	}
}

// TestCrowd: more calls than may run at once are all answered.
func TestCrowd(t *testing.T) {
	at, _ := serve(t, func(c *aware.Config, _ *causeway.Volume) { c.MaxCalls = 2 })
	f := connect(t, at, insecure.NewCredentials())
	h := root(t, f)
	errs := make(chan error)
	for range 64 {
		go func() {
			r, err := f.GetAttr(t.Context(), &clientpb.Request{Caller: me(1), Handle: h})
			if err == nil && r.Code != 0 {
				err = causeway.Code(r.Code)
			}
			errs <- err
		}()
	}
	for range 64 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestTLS: who speaks in the clear to a front with a certificate is not answered; who does not know the certificate does not speak.
func TestTLS(t *testing.T) {
	cert, pool := testcert.New(t)
	at, _ := serve(t, func(c *aware.Config, _ *causeway.Volume) { c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} })
	root(t, connect(t, at, credentials.NewTLS(&tls.Config{RootCAs: pool})))
	for name, creds := range map[string]credentials.TransportCredentials{
		"in the clear": insecure.NewCredentials(), "not known": credentials.NewTLS(&tls.Config{RootCAs: x509.NewCertPool()}),
	} {
		if _, err := connect(t, at, creds).Hello(t.Context(), &clientpb.HelloRequest{MinVersion: 1, MaxVersion: 1}); err == nil {
			t.Errorf("%s: answered", name)
		}
	}
}

// TestVersions: a client without a version in common is told so.
func TestVersions(t *testing.T) {
	at, _ := serve(t, nil)
	f := connect(t, at, insecure.NewCredentials())
	for _, c := range []struct{ min, max, want uint32 }{{1, 1, 1}, {0, 9, 1}, {2, 9, 0}, {0, 0, 0}} {
		if r, err := f.Hello(t.Context(), &clientpb.HelloRequest{MinVersion: c.min, MaxVersion: c.max}); err != nil || r.Version != c.want {
			t.Errorf("%d to %d: %v, %v", c.min, c.max, r, err)
		}
	}
}

// TestSquash: nobody becomes root by saying so, and who says nothing is nobody.
func TestSquash(t *testing.T) {
	at, _ := serve(t, nil)
	f := connect(t, at, insecure.NewCredentials())
	h := root(t, f)
	for i, c := range []*clientpb.Caller{me(0), nil} {
		r, err := f.Create(t.Context(), &clientpb.Request{Caller: c, Handle: h, Name: []byte{'a' + byte(i)}, Type: uint32(causeway.TypeRegular), Op: op(byte(10 + i)), Set: &clientpb.SetAttr{Mask: uint32(causeway.SetMode), Mode: 0o600}})
		if err != nil || r.Code != 0 || r.Attr.GetUid() != causeway.Nobody {
			t.Errorf("%v: %v, %v", c, r, err)
		}
	}
	groups := me(1000)
	groups.Groups = []uint32{0}
	r, err := f.Create(t.Context(), &clientpb.Request{Caller: groups, Handle: h, Name: []byte("g"), Type: uint32(causeway.TypeRegular), Op: op(20),
		Set: &clientpb.SetAttr{Mask: uint32(causeway.SetMode | causeway.SetGID), Mode: 0o600, Gid: 0}})
	if err != nil || r.Code == 0 && r.Attr.GetGid() == 0 {
		t.Errorf("root's group: %v, %v", r, err)
	}
}

// TestUnsent: a client that asks for much and takes nothing costs no more than its share, and others are answered.
func TestUnsent(t *testing.T) {
	var now atomic.Int64
	at, server := serve(t, func(c *aware.Config, _ *causeway.Volume) {
		c.MaxUnsent, c.Lease = 8<<20, 80*time.Millisecond
		c.Now = func() time.Time { return time.Unix(1000+now.Load(), 0) }
	})
	f := connect(t, at, insecure.NewCredentials())
	made, err := f.Create(t.Context(), &clientpb.Request{Caller: me(1000), Handle: root(t, f), Name: []byte("f"), Type: uint32(causeway.TypeRegular), Op: op(1)})
	if err != nil || made.Code != 0 {
		t.Fatal(made, err)
	}
	const size = 1 << 20
	w, err := f.Write(t.Context(), &clientpb.WriteRequest{Caller: me(1000), Handle: made.Handle, Data: make([]byte, size)})
	if err != nil || w.Code != 0 {
		t.Fatal(w, err)
	}
	var open sync.Map
	hostile, err := grpc.NewClient("passthrough:///"+at, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}).DialContext(ctx, "tcp", to)
		deaf := &deafConn{Conn: c, closed: make(chan struct{})}
		open.Store(deaf, true)
		return deaf, err
	}), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(8<<20)))
	if err != nil {
		t.Fatal(err)
	}
	defer hostile.Close()
	h := clientpb.NewFilesClient(hostile)
	if r, err := h.Read(t.Context(), &clientpb.ReadRequest{Caller: me(1000), Handle: made.Handle, Count: size}); err != nil || len(r.Data) != size {
		t.Fatal(err)
	}
	open.Range(func(c, _ any) bool { c.(*deafConn).deaf.Store(true); return true })
	ctx, cancel := context.WithCancel(t.Context())
	var asked sync.WaitGroup
	for range 100 {
		asked.Go(func() { h.Read(ctx, &clientpb.ReadRequest{Caller: me(1000), Handle: made.Handle, Count: size}) })
	}
	most := 0
	for range 50 {
		held := server.Unsent()
		most = max(most, held)
		if r, err := f.Read(t.Context(), &clientpb.ReadRequest{Caller: me(1000), Handle: made.Handle, Count: size}); err != nil || len(r.Data) != size {
			t.Fatal(err)
		}
	}
	if most == 0 || most > 3<<20 {
		t.Errorf("%d bytes wait for it", most)
	}
	now.Add(1000) // it is hung up on
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		if held := server.Unsent(); held == 0 {
			break
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatal("it still holds what it does not take")
		}
	}
	cancel()
	asked.Wait()
}

// deafConn stops to read.
type deafConn struct {
	net.Conn
	deaf   atomic.Bool
	once   sync.Once
	closed chan struct{}
}

func (d *deafConn) Close() error {
	d.once.Do(func() { close(d.closed) })
	return d.Conn.Close()
}

func (d *deafConn) Read(p []byte) (int, error) {
	n, err := d.Conn.Read(p)
	if d.deaf.Load() && err == nil {
		<-d.closed
	}
	return n, err
}

// from connects from another address of loopback.
func from(t testing.TB, at string, client net.IP) clientpb.FilesClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+at, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: client}}).DialContext(ctx, "tcp", to)
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return clientpb.NewFilesClient(conn)
}

// TestManyNames: a host that calls itself by ever more names leaves room for others, for what is remembered of them and for their locks.
func TestManyNames(t *testing.T) {
	at, server := serve(t, func(c *aware.Config, _ *causeway.Volume) { c.MaxClients = 16 })
	hostile, other := from(t, at, net.IPv4(127, 0, 0, 9)), from(t, at, net.IPv4(127, 0, 0, 8))
	h := root(t, other)
	made, err := other.Create(t.Context(), &clientpb.Request{Caller: me(1000), Handle: h, Name: []byte("f"), Type: uint32(causeway.TypeRegular), Op: op(1)})
	if err != nil || made.Code != 0 {
		t.Fatal(made, err)
	}
	lock := func(f clientpb.FilesClient, name byte) causeway.Code {
		c := caller(1000)
		c.Client = append(c.Client, name)
		r, err := f.Lock(t.Context(), &clientpb.LockRequest{Caller: c, Handle: made.Handle, Owner: 1, Offset: uint64(name) * 10, Length: 1, Exclusive: true})
		if err != nil {
			t.Fatal(err)
		}
		return causeway.Code(r.Code)
	}
	for name := range byte(30) {
		lock(hostile, name+10)
	}
	if code := lock(other, 2); code != 0 {
		t.Error("another host's lock:", code)
	}
	if n := len(server.Clients()); n > 16/4+2 {
		t.Errorf("%d clients are remembered", n)
	}
}

// TestStrangers: who may use no volume is told the names of none, and takes no place among those who are told of redirects.
func TestStrangers(t *testing.T) {
	at, server := serve(t, func(c *aware.Config, v *causeway.Volume) {
		v.Exports[0].Prefix = netip.MustParsePrefix("127.0.0.1/32")
		c.Gateways = func() []aware.Gateway { return []aware.Gateway{{Node: "g2", Refuses: []string{"v", "hidden"}}} }
	})
	for client, want := range map[byte]int{1: 1, 9: 0} {
		f := from(t, at, net.IPv4(127, 0, 0, client))
		r, err := f.Hello(t.Context(), &clientpb.HelloRequest{MinVersion: 1, MaxVersion: 1})
		if err != nil || len(r.Gateways) != 1 || len(r.Gateways[0].Refuses) != want {
			t.Errorf("127.0.0.%d is told %v, %v", client, r, err)
		}
		stream, err := f.Watch(t.Context(), &clientpb.WatchRequest{Caller: me(1)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); (err == nil) != (want == 1) {
			t.Errorf("127.0.0.%d watches: %v", client, err)
		}
	}
	root(t, from(t, at, net.IPv4(127, 0, 0, 1)))
	if l := server.Clients(); len(l) != 1 || server.Redirect(l[0].Client, "v", "10.0.0.1:1", "hidden") {
		t.Errorf("%v is told of a volume that it cannot use", l)
	}
}

// TestNoWayOut: names lead nowhere but down.
func TestNoWayOut(t *testing.T) {
	at, _ := serve(t, nil)
	f := connect(t, at, insecure.NewCredentials())
	h := root(t, f)
	for _, name := range []string{"", ".", "..", "a/b", "/etc", "../etc", "a\x00b", ".causeway"} {
		r, err := f.Create(t.Context(), &clientpb.Request{Caller: me(1000), Handle: h, Name: []byte(name), Type: uint32(causeway.TypeDirectory), Op: op(9)})
		if err != nil || r.Code == 0 {
			t.Errorf("%q is created: %v, %v", name, r, err)
		}
		r, err = f.Walk(t.Context(), &clientpb.Request{Caller: me(1000), Handle: h, Names: [][]byte{[]byte(name)}})
		if err != nil || r.Code == 0 && r.Walked > 0 && string(r.Handle) != string(h) {
			t.Errorf("%q is found: %v, %v", name, r, err)
		}
	}
}
