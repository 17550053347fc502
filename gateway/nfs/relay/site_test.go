package relay

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/cluster/pki"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/nfs/drc"
	"causeway/gateway/nfs/export"
	"causeway/gateway/nfs/fh"
	mountd "causeway/gateway/nfs/mount"
	lockd "causeway/gateway/nfs/nlm"
	"causeway/gateway/nfs/portmap"
	"causeway/gateway/nfs/rpc"
	v3 "causeway/gateway/nfs/v3"
	"causeway/gateway/nfs/xdr"
	"causeway/gateway/transfer"
	"causeway/lockmgr"
)

// patience bounds what is waited for. It is never waited out unless something is broken.
const patience = 20 * time.Second

// site is two gateways in this process, with real sockets and certificates, and one volume whose storage both reach.
type site struct {
	testing.TB
	volume  *causeway.Volume
	store   backend.Store
	replies *drc.Cache // as if each knew the other's records
	ca      *pki.Authority
	g       [2]*gate
	guest   uint16              // port of the client's portmap and lock manager
	granted chan netip.AddrPort // from where it was called

	mu       sync.Mutex
	owner    string // empty: none
	expelled string
	epoch    causeway.Epoch
	changed  chan struct{}
}

// gate is one gateway.
type gate struct {
	site       *site
	name       string
	host       string
	identity   *pki.Identity
	local      map[Program]rpc.Handler
	catalog    *gateway.Catalog
	peers      *Peers
	rpc        *rpc.Server
	at         string // of the RPC server
	server     atomic.Pointer[Server]
	peerAt     string
	callClient func(context.Context, lockd.Callback) ([]byte, error)
	broken     atomic.Int32
	callbacks  atomic.Int32                    // that the other gateway had this one make
	before     atomic.Pointer[func(*rpc.Call)] // called before a call that came from the other gateway is executed
	after      atomic.Pointer[func(*rpc.Call)] // called after it
	inside     atomic.Pointer[func()]          // called within the execution of a REMOVE
}

func newSite(t testing.TB, wait time.Duration) *site {
	t.Helper()
	return newSiteOn(t, wait, memory())
}

// memory is a store whose clock rises by a millisecond whenever it is asked.
func memory() backend.Store {
	now := time.Unix(1_700_000_000, 123_456_789)
	var clock sync.Mutex
	return mem.New(mem.Config{Generation: 1, Mode: 0o777, MaxBytes: 64 << 20, Clock: func() time.Time {
		clock.Lock()
		defer clock.Unlock()
		now = now.Add(time.Millisecond)
		return now
	}})
}

func newSiteOn(t testing.TB, wait time.Duration, store backend.Store) *site {
	t.Helper()
	s := &site{TB: t, store: store, changed: make(chan struct{}), epoch: causeway.Epoch{Incarnation: 1, Revision: 7}, owner: "g1"}
	s.volume = &causeway.Volume{
		ID: 0x1122334455667788, Name: "v", Keys: []causeway.HandleKey{{ID: 1, Secret: [16]byte{1, 2, 3}}},
		Exports: []causeway.ExportRule{
			{Prefix: netip.MustParsePrefix("127.0.0.1/32"), Squash: causeway.NoRootSquash},
			{Prefix: netip.MustParsePrefix("127.0.0.8/32"), Squash: causeway.NoRootSquash, Secure: true},
			{Prefix: netip.MustParsePrefix("127.0.0.9/32"), Squash: causeway.AllSquash, AnonUID: 4711, AnonGID: 4712},
		},
	}
	var err error
	s.replies, err = drc.New(drc.Config{Secret: [16]byte{9}})
	s.must(err)
	s.ca, err = pki.NewAuthority("test", time.Now())
	s.must(err)
	s.startGuest()
	for i := range s.g {
		s.g[i] = s.newGate(fmt.Sprintf("g%d", i+1), fmt.Sprintf("127.0.0.%d", i+2), wait)
	}
	t.Cleanup(func() { s.store.Close() })
	return s
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func identity(t testing.TB, ca *pki.Authority, node, host string) *pki.Identity {
	t.Helper()
	r, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	der, err := r.DER(node, []string{host})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(der, node, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	trusted, _ := ca.PEM()
	id, err := pki.Store(t.TempDir(), cert, r.KeyPEM(), []byte(trusted))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// newGate starts a gateway.
func (s *site) newGate(name, host string, wait time.Duration) *gate {
	s.Helper()
	g := &gate{site: s, name: name, host: host, identity: identity(s, s.ca, name, host), catalog: &gateway.Catalog{}}
	s.must(g.catalog.Publish([]*causeway.Volume{s.volume}))
	locks, err := lockmgr.New(lockmgr.Config{})
	s.must(err)
	names := access.New(access.Config{Locks: locks})
	data := transfer.New(transfer.Config{Grants: names})
	names.Attach(s.volume, s.store)
	data.Attach(s.volume.ID, s.store)
	guard := &export.Guard{Catalog: g.catalog}
	nfsd, err := v3.New(v3.Config{Guard: guard, Access: held{names, g}, Transfer: data, Replies: s.replies})
	s.must(err)
	mounts, err := mountd.New(mountd.Config{Guard: guard, Access: names})
	s.must(err)
	records, err := lockd.OpenStateDir(s.TempDir())
	s.must(err)
	lockds, err := lockd.New(lockd.Config{
		Locker: names, Guard: guard, Records: records, Portmap: portmap.Client{Port: s.guest}, RetryMin: 50 * time.Millisecond,
		Elsewhere: func(local netip.Addr) (func(context.Context, lockd.Callback) ([]byte, error), bool) {
			return func(ctx context.Context, cb lockd.Callback) ([]byte, error) {
					return g.peers.CallBack(ctx, g.other().name, cb)
				},
				local.String() != host
		},
	})
	s.must(err)
	g.local = map[Program]rpc.Handler{{nfs, 3}: g.hooked(nfsd), {mount, 3}: g.hooked(mounts), {nlm, 4}: g.hooked(lockds), {nsm, 1}: g.hooked(lockds.NSM())}

	g.callClient = func(ctx context.Context, cb lockd.Callback) ([]byte, error) {
		g.callbacks.Add(1)
		return lockds.CallClient(ctx, cb)
	}
	g.listen("")
	g.peers, err = NewPeers(PeersConfig{
		Address: func(string) (string, bool) { return g.other().peerAt, true },
		Others:  func() []string { return []string{g.other().name} },
		TLS:     g.identity.Client,
		Broken:  func(string) { g.broken.Add(1) },
	})
	s.must(err)
	g.rpc, err = rpc.NewServer(rpc.Config{})
	s.must(err)
	for p, local := range g.local {
		h, err := New(Config{Local: local.(hooked).Handler, Catalog: g.catalog, Owner: g.ownerOf, Changed: s.change, Peers: g.peers, Wait: wait})
		s.must(err)
		g.rpc.Register(p.Number, p.Version, h)
	}
	l, err := net.Listen("tcp", host+":0")
	s.must(err)
	g.at = l.Addr().String()
	go g.rpc.Serve(l)
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		g.rpc.Shutdown(ctx)
		g.peers.Close()
		g.kill()
		lockds.Close()
		data.Close()
		locks.Close()
	})
	return g
}

// held lets tests do something while a REMOVE is being executed.
type held struct {
	gateway.Namespace
	g *gate
}

func (h held) Remove(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, kind gateway.RemoveKind) (causeway.Change, error) {
	if f := h.g.inside.Load(); f != nil {
		(*f)()
	}
	return h.Namespace.Remove(ctx, c, dir, name, kind)
}

func (s *site) isMember(node string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return node != s.expelled
}

func (g *gate) other() *gate {
	if g.site.g[0] == g {
		return g.site.g[1]
	}
	return g.site.g[0]
}

// startGuest starts the client's portmap and lock manager at 127.0.0.1.
func (s *site) startGuest() {
	s.Helper()
	server, err := rpc.NewServer(rpc.Config{})
	s.must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	at := l.Addr().(*net.TCPAddr).AddrPort()
	s.guest, s.granted = at.Port(), make(chan netip.AddrPort, 100)
	list := []portmap.Service{{Prog: nlm, Vers: 4, Network: "tcp", Addr: at}}
	server.Register(portmap.Program, 2, portmap.New(func() []portmap.Service { return list }))
	server.Register(nlm, 4, rpc.HandlerFunc(func(_ context.Context, c *rpc.Call) rpc.Verdict {
		if c.Proc != nlmGranted {
			return rpc.ProcUnavail
		}
		c.Reply.Opaque(c.Args.Opaque(maxNetobj))
		c.Reply.Uint32(0)
		s.granted <- c.Remote
		return rpc.Done
	}))
	go server.Serve(l)
	s.Cleanup(func() { server.Shutdown(context.Background()) })
}

// hooked lets tests do something around calls that came from the other gateway.
type hooked struct {
	rpc.Handler
	g *gate
}

func (g *gate) hooked(h rpc.Handler) rpc.Handler { return hooked{h, g} }

func (h hooked) Handle(ctx context.Context, c *rpc.Call) rpc.Verdict {
	if f := h.g.before.Load(); f != nil {
		(*f)(c)
	}
	v := h.Handler.Handle(ctx, c)
	if f := h.g.after.Load(); f != nil {
		(*f)(c)
	}
	return v
}

// listen starts the server for the other gateway, at the address that it had before if there is one.
func (g *gate) listen(at string) {
	g.site.Helper()
	if at == "" {
		at = g.host + ":0"
	}
	server, err := NewServer(ServerConfig{TLS: g.identity.Server(), Handlers: g.local, Catalog: g.catalog, Owns: g.owns, Member: func(node string) (uint64, bool) { return 1, g.site.isMember(node) }, CallClient: g.callClient})
	g.site.must(err)
	l, err := net.Listen("tcp", at)
	g.site.must(err)
	if g.peerAt == "" {
		g.peerAt = l.Addr().String()
	}
	g.server.Store(server)
	go server.Serve(l)
}

// kill ends all connections from the other gateway at once.
func (g *gate) kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	g.server.Load().Shutdown(ctx)
}

// cut breaks the connections from the other gateway; it may connect again.
func (g *gate) cut() {
	s := g.server.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.stream.Close()
	}
}

func (s *site) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// move makes a gateway the owner, or nobody.
func (s *site) move(owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owner = owner
	s.epoch.Revision++
	close(s.changed)
	s.changed = make(chan struct{})
}

func (g *gate) ownerOf(v causeway.VolumeID) (string, causeway.Epoch, bool, bool) {
	s := g.site
	s.mu.Lock()
	defer s.mu.Unlock()
	if v != s.volume.ID {
		return "", causeway.Epoch{}, true, true
	}
	return s.owner, s.epoch, s.owner == g.name, s.owner != ""
}

func (g *gate) owns(v causeway.VolumeID) (causeway.Epoch, bool) {
	_, epoch, local, ok := g.ownerOf(v)
	return epoch, local && ok && v == g.site.volume.ID
}

func (s *site) root() []byte { return fh.Append(nil, s.volume, s.store.Root()) }

// quiet waits until all buffers are given back.
func (s *site) quiet() {
	s.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		lent := int64(0)
		for _, g := range s.g {
			lent += g.peers.pool.Lent() + g.server.Load().pool.Lent()
		}
		if lent == 0 {
			return
		}
		if time.Now().After(end) {
			s.Error("buffers that were not given back:", lent)
			return
		}
	}
}

// client is a connection to a gateway.
type client struct {
	testing.TB
	nc net.Conn
}

// dial connects to a gateway from a loopback address.
func (g *gate) dial(from string) *client {
	g.site.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	nc, err := d.Dial("tcp", g.at)
	g.site.must(err)
	g.site.Cleanup(func() { nc.Close() })
	return &client{g.site.TB, nc}
}

// send sends a call of user 0.
func (c *client) send(xid, prog, vers, proc uint32, args []byte) {
	c.Helper()
	var e xdr.Encoder
	for _, v := range []uint32{0, xid, 0, 2, prog, vers, proc, uint32(rpc.AuthSys), 28, 77, 4} {
		e.Uint32(v)
	}
	e.Fixed([]byte("host"))
	for _, v := range []uint32{0, 0, 1, 5, 0, 0} { // user, group, groups, verifier
		e.Uint32(v)
	}
	e.PatchUint32(32, uint32(e.Len()-8-36))
	e.Fixed(args)
	e.PatchUint32(0, 1<<31|uint32(e.Len()-4))
	if _, err := c.nc.Write(e.Bytes()); err != nil {
		c.Error(err)
	}
}

// receive returns the result of the next reply, with what stands before it if the call was not accepted.
func (c *client) receive(within time.Duration) ([]byte, error) {
	c.nc.SetReadDeadline(time.Now().Add(within))
	var mark [4]byte
	if _, err := io.ReadFull(c.nc, mark[:]); err != nil {
		return nil, err
	}
	reply := make([]byte, binary.BigEndian.Uint32(mark[:])&^(1<<31))
	if _, err := io.ReadFull(c.nc, reply); err != nil {
		return nil, err
	}
	if good := make([]byte, 16); bytes.Equal(reply[8:24], good) {
		return reply[24:], nil
	}
	return nil, fmt.Errorf("rejected: %x", reply[8:])
}

// call sends a call and waits for its result.
func (c *client) call(xid, prog, vers, proc uint32, args []byte) []byte {
	c.Helper()
	c.send(xid, prog, vers, proc, args)
	result, err := c.receive(patience)
	if err != nil {
		c.Fatalf("program %d procedure %d: %v", prog, proc, err)
	}
	return result
}

func encoded(t testing.TB, m io.WriterTo) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func status(result []byte) uint32 {
	if len(result) < 4 {
		return 1<<32 - 1
	}
	return binary.BigEndian.Uint32(result)
}
