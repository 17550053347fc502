package nlm

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/portmap"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
	"causeway/lockmgr"
)

// world is a server and its clients, each at a loopback address of its own, all with real sockets.
type world struct {
	t      *testing.T
	dir    string // of records
	port   uint16 // of all portmaps
	locks  *lockmgr.Manager
	nlm    *Service
	rpc    *rpc.Server
	at     netip.AddrPort // of the server, TCP and UDP
	change func(*Config)
}

// patience bounds what is waited for. It is never waited out unless something is broken.
const patience = 20 * time.Second

func newWorld(t *testing.T, change func(*Config)) *world {
	w := &world{t: t, dir: t.TempDir(), change: change}
	w.port = freePort(t)
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// freePort finds a port that is free at the addresses that guests use.
func freePort(t *testing.T) uint16 {
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.2:0")
		if err != nil {
			t.Skip("no second loopback address: ", err)
		}
		l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		pc, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.2:%d", port))
		if err == nil {
			pc.Close()
			return uint16(port)
		}
	}
	t.Fatal("no free port")
	return 0
}

// start begins a life of the server; records are those of the last one.
func (w *world) start() {
	w.t.Helper()
	records, err := OpenStateDir(w.dir)
	w.must(err)
	var known []lockmgr.Client
	for _, r := range records.Known() {
		known = append(known, lockmgr.Client{Kind: causeway.OwnerNLM, Name: r.Client()})
	}
	w.locks, err = lockmgr.New(lockmgr.Config{Known: known, Settle: time.Second})
	w.must(err)
	c := Config{
		Locker: &tableLocker{w.locks}, Guard: openGuard{}, Records: records, Name: "server",
		Told:    func(name string) { w.locks.Told(lockmgr.Client{Kind: causeway.OwnerNLM, Name: name}) },
		Portmap: portmap.Client{Port: w.port}, RetryMin: 20 * time.Millisecond, RetryMax: 100 * time.Millisecond,
	}
	if w.change != nil {
		w.change(&c)
	}
	w.nlm, err = New(c)
	w.must(err)
	var s *rpc.Server
	s, w.at = serveRPC(w.t, "127.0.0.1", 0, func(s *rpc.Server) {
		for _, vers := range []uint32{1, 3, 4} {
			s.Register(Program, vers, w.nlm)
		}
		s.Register(NSMProgram, 1, w.nlm.NSM())
	})
	w.rpc = s
	w.nlm.Start()
}

// stop ends a life of the server.
func (w *world) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.must(w.rpc.Shutdown(ctx))
	w.nlm.Close()
	w.locks.Close()
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// eventually polls until something is so.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatal("it never came true: ", what)
		}
	}
}

func serveRPC(t *testing.T, host string, port uint16, register func(*rpc.Server)) (*rpc.Server, netip.AddrPort) {
	t.Helper()
	s, err := rpc.NewServer(rpc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	register(s)
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, port))
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	go s.ServePacket(pc)
	return s, l.Addr().(*net.TCPAddr).AddrPort()
}

// openGuard lets everybody in. A handle is the text after "fh:".
type openGuard struct{}

func (openGuard) Admit(c *rpc.Call, wire []byte) (causeway.Handle, *causeway.Volume, *causeway.ExportRule, error) {
	if len(wire) < 4 || string(wire[:3]) != "fh:" || len(wire) > 64 {
		return causeway.Handle{}, nil, nil, causeway.ErrBadHandle
	}
	h := causeway.Handle{Volume: 1}
	copy(h.Object[:], wire[3:])
	c.Caller = gateway.Caller{Cred: c.Cred, Client: c.Remote.Addr()}
	return h, nil, nil, nil
}

// tableLocker is the access part without questions of rights.
type tableLocker struct{ m *lockmgr.Manager }

func orNil(c causeway.Code) error {
	if c == causeway.OK {
		return nil
	}
	return c
}

func (l *tableLocker) Lock(_ context.Context, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) (gateway.Lock, error) {
	by, code := l.m.Lock(h, c.Owner, lockmgr.Request(s))
	return gateway.Lock(by), orNil(code)
}

func (l *tableLocker) Unlock(_ context.Context, c *gateway.Caller, h causeway.Handle, s causeway.Span) error {
	return orNil(l.m.Unlock(h, c.Owner, s))
}

func (l *tableLocker) TestLock(_ context.Context, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) (gateway.Lock, error) {
	by, code := l.m.Test(h, c.Owner, lockmgr.Request(s))
	return gateway.Lock(by), orNil(code)
}

func (l *tableLocker) Cancel(_ context.Context, c *gateway.Caller, h causeway.Handle, s gateway.LockSpec) error {
	return orNil(l.m.Cancel(h, c.Owner, lockmgr.Request(s)))
}

func (l *tableLocker) ReleaseVia(_ context.Context, kind causeway.OwnerKind, client, gateway string) error {
	l.m.ReleaseVia(lockmgr.Client{Kind: kind, Name: client}, gateway)
	return nil
}

func (l *tableLocker) ReleaseClient(_ context.Context, kind causeway.OwnerKind, client string) error {
	l.m.ReleaseClient(lockmgr.Client{Kind: kind, Name: client})
	return nil
}

func (l *tableLocker) Locks(context.Context) (list []gateway.Lock, err error) {
	for _, k := range l.m.Locks() {
		list = append(list, gateway.Lock(k))
	}
	return list, nil
}

func (l *tableLocker) Subscribe(kind causeway.OwnerKind, e gateway.Events) {
	l.m.Subscribe(kind, func(ev lockmgr.Event) {
		e.Deliver(context.Background(), gateway.Event{Kind: gateway.LockGranted, Lock: gateway.Lock(ev.Lock)})
	})
}

// guest is a client host: a lock manager that is called back, a status monitor, and a portmap.
type guest struct {
	w       *world
	name    string
	addr    netip.Addr
	network string
	servers []*rpc.Server

	mu       sync.Mutex
	answer   status // to GRANTED
	syncless bool   // it has no GRANTED, only GRANTED_MSG
	granted  []granting
	results  []message // _RES calls
	notices  []notice  // SM_NOTIFY
}

type granting struct {
	from           netip.Addr
	caller, handle string
	svid           uint32
	offset, length uint64
	exclusive      bool
	msg            bool
	cookie         []byte
}

type message struct {
	proc   uint32
	cookie string
	status status
}

type notice struct {
	from  netip.Addr
	name  string
	state uint32
}

func (w *world) guest(n int, network string) *guest {
	w.t.Helper()
	g := &guest{w: w, name: fmt.Sprint("guest", n), addr: netip.AddrFrom4([4]byte{127, 0, 0, byte(n)}), network: network}
	g.boot()
	w.t.Cleanup(g.kill)
	return g
}

func (g *guest) boot() {
	s, at := serveRPC(g.w.t, g.addr.String(), 0, func(s *rpc.Server) {
		for _, vers := range []uint32{1, 4} {
			s.Register(Program, vers, rpc.HandlerFunc(g.lockd))
		}
		s.Register(NSMProgram, 1, rpc.HandlerFunc(g.statd))
	})
	var list []portmap.Service
	for _, network := range []string{"tcp", "udp"} {
		list = append(list, portmap.Service{Prog: Program, Vers: 4, Network: network, Addr: at}, portmap.Service{Prog: NSMProgram, Vers: 1, Network: network, Addr: at})
	}
	p, _ := serveRPC(g.w.t, g.addr.String(), g.w.port, func(s *rpc.Server) {
		s.Register(portmap.Program, 2, portmap.New(func() []portmap.Service { return list }))
	})
	g.servers = []*rpc.Server{s, p}
}

// kill takes the host off the network.
func (g *guest) kill() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, s := range g.servers {
		s.Shutdown(ctx)
	}
	g.servers = nil
}

func (g *guest) lockd(_ context.Context, c *rpc.Call) rpc.Verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch c.Proc {
	case procNull:
		return rpc.Done
	case procGranted, procGrantedMsg:
		if c.Proc == procGranted && g.syncless {
			return rpc.ProcUnavail
		}
		var a args
		if !a.decode(&c.Args, procGranted, wide(c.Vers)) {
			return rpc.GarbageArgs
		}
		g.granted = append(g.granted, granting{c.Remote.Addr(), string([]byte(a.lock.caller)), string(a.lock.handle), a.lock.svid, a.lock.offset, a.lock.length, a.exclusive, c.Proc == procGrantedMsg, slices.Clone(a.cookie)})
		if c.Proc == procGranted {
			(&result{cookie: a.cookie, status: g.answer}).encode(&c.Reply, wide(c.Vers))
		}
		return rpc.Done
	case procTestRes, procLockRes, procCancelRes, procUnlockRes:
		cookie, st := decodeResult(&c.Args)
		g.results = append(g.results, message{c.Proc, string(cookie), st})
		return rpc.Done
	}
	return rpc.ProcUnavail
}

func (g *guest) statd(_ context.Context, c *rpc.Call) rpc.Verdict {
	if c.Proc != smNotify {
		return rpc.ProcUnavail
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.notices = append(g.notices, notice{c.Remote.Addr(), string([]byte(c.Args.String(1024))), c.Args.Uint32()})
	return rpc.Done
}

func (g *guest) grants() []granting {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.granted)
}

// call calls the server from the guest's address.
func (g *guest) call(prog, vers, proc uint32, a func(*xdr.Encoder), reply func(*xdr.Decoder) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cred := rpc.ClientCred{Machine: g.name, UID: 1000}
	return rpc.CallOnce(ctx, g.network, netip.AddrPortFrom(g.addr, 0), g.w.at, prog, vers, proc, &cred, a, reply)
}

// ask is a lock request as a test writes it.
type ask struct {
	file           string
	svid           uint32
	offset, length uint64
	shared         bool
	block, reclaim bool
	state          uint32
}

func (g *guest) args(a ask) args {
	return args{
		cookie: []byte("cookie12"), block: a.block, exclusive: !a.shared, reclaim: a.reclaim, state: a.state,
		lock: lockArgs{g.name, []byte("fh:" + a.file), fmt.Append(nil, a.svid, "@", g.name), a.svid, a.offset, a.length},
	}
}

// encodeFor writes the arguments of any procedure about locks.
func (a *args) encodeFor(proc uint32, wide bool) func(*xdr.Encoder) {
	return func(e *xdr.Encoder) {
		e.Opaque(a.cookie)
		switch proc {
		case procLock, procNMLock, procCancel:
			e.Bool(a.block)
			fallthrough
		case procTest:
			e.Bool(a.exclusive)
		}
		a.lock.encode(e, wide)
		if proc == procLock || proc == procNMLock {
			e.Bool(a.reclaim)
			e.Uint32(a.state)
		}
	}
}

// do runs a procedure of version 4 and returns its status.
func (g *guest) do(proc uint32, a ask) status {
	g.w.t.Helper()
	var st status
	var cookie []byte
	args := g.args(a)
	err := g.call(Program, 4, proc, args.encodeFor(proc, true), func(d *xdr.Decoder) error {
		cookie, st = decodeResult(d)
		return nil
	})
	if err != nil || string(cookie) != "cookie12" {
		g.w.t.Fatal(cookie, err)
	}
	return st
}

func (g *guest) expect(want status, proc uint32, a ask) {
	g.w.t.Helper()
	if st := g.do(proc, a); st != want {
		g.w.t.Fatalf("%s, procedure %d, %+v: %d instead of %d", g.name, proc, a, st, want)
	}
}

// notify says that the guest has restarted.
func (g *guest) notify(name string, state uint32) {
	g.w.t.Helper()
	g.w.must(g.call(NSMProgram, 1, smNotify, func(e *xdr.Encoder) {
		e.String(name)
		e.Uint32(state)
	}, nil))
}

func (w *world) held() int { return w.locks.Stats().Held }

func svidOf(o causeway.Owner) uint32 { return binary.BigEndian.Uint32([]byte(o.Opaque)) }

// set changes how the guest behaves.
func (g *guest) set(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
}
