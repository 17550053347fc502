package peer

import (
	"context"
	"net"
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
	"causeway/gateway/gatewaytest"
	"causeway/gateway/route"
	"causeway/gateway/transfer"
	"causeway/lockmgr"
)

const vol causeway.VolumeID = 0x1122334455667788

// patience bounds what is waited for. It is never waited out unless something is broken.
const patience = 20 * time.Second

// site is some gateways in this process, with real sockets and certificates, and one volume whose storage all reach.
type site struct {
	testing.TB
	ca    *pki.Authority
	g     []*member
	epoch causeway.Epoch
	owner int
}

// member is one gateway. Others reach it through a proxy that can be cut.
type member struct {
	site     *site
	name     string
	identity *pki.Identity
	table    *route.Table
	valid    atomic.Bool
	store    backend.Store
	volume   *causeway.Volume
	engine   *access.Engine
	locks    *lockmgr.Manager
	data     *transfer.Engine
	hook     *hook
	peers    *Peers
	router   *Router
	proxy    *proxy
	at       string
	broken   atomic.Int32
}

// holder breaks the circle between who recalls grants and who asks for them.
type holder struct{ gateway.Holder }

// taker breaks another one: grants that come unasked.
type taker struct{ gateway.Taker }

func identity(t testing.TB, ca *pki.Authority, node string) *pki.Identity {
	t.Helper()
	r, err := pki.NewRequest()
	must(t, err)
	der, err := r.DER(node, []string{"127.0.0.1"})
	must(t, err)
	cert, err := ca.Issue(der, node, time.Now())
	must(t, err)
	trusted, _ := ca.PEM()
	id, err := pki.Store(t.TempDir(), cert, r.KeyPEM(), []byte(trusted))
	must(t, err)
	return id
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type options struct {
	gates  int
	store  func() backend.Store // per gateway; nil: one in memory for all
	async  bool
	near   bool
	direct bool // not through proxies
	tune   func(*Config)
	routes func(*RouterConfig)
}

func newSite(t testing.TB, o options) *site {
	t.Helper()
	ca, err := pki.NewAuthority("test", time.Now())
	must(t, err)
	s := &site{TB: t, ca: ca, epoch: causeway.Epoch{Incarnation: 1, Revision: 7}}
	if o.gates == 0 {
		o.gates = 2
	}
	if o.store == nil {
		one := mem.New(mem.Config{Generation: 1, Mode: 0o777, MaxBytes: 64 << 20})
		o.store = func() backend.Store { return one }
	}
	for i := range o.gates {
		s.g = append(s.g, s.newGate("g"+string(rune('1'+i)), o))
	}
	s.open(0)
	return s
}

func (s *site) newGate(name string, o options) *member {
	s.Helper()
	g := &member{site: s, name: name, identity: identity(s, s.ca, name)}
	g.valid.Store(true)
	var err error
	g.table, err = route.New(route.Config{Valid: g.valid.Load})
	must(s, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(s, err)
	g.at = l.Addr().String()
	g.proxy = newProxy(s, g.at)
	cfg := Config{
		Node: name, Client: g.identity.Client, Server: g.identity.Server(), Table: g.table, Strict: true, Known: func(v causeway.VolumeID) bool { return v == vol },
		Address: func(node string) (string, bool) {
			for _, other := range s.g {
				switch {
				case other.name == node && o.direct:
					return other.at, true
				case other.name == node:
					return other.proxy.at, true
				}
			}
			return "", false
		},
		Others: func() (list []string) {
			for _, other := range s.g {
				if other != g {
					list = append(list, other.name)
				}
			}
			return list
		},
		Broken: func(string) { g.broken.Add(1) },
	}
	if o.tune != nil {
		o.tune(&cfg)
	}
	g.peers, err = New(cfg)
	must(s, err)
	h, store := &holder{}, o.store()
	g.store = store
	locks, err := lockmgr.New(lockmgr.Config{})
	must(s, err)
	g.locks = locks
	g.engine = access.New(access.Config{Locks: locks, Holder: h, Node: name, Holders: g.peers})
	g.store, g.volume = store, &causeway.Volume{ID: vol, Name: "v", Async: o.async}
	g.engine.Attach(g.volume, store)
	g.hook = &hook{inner: g.engine}
	g.peers.Offer(Services{Access: g.hook, Stateful: g.engine, Holder: h})
	k := &taker{}
	rc := RouterConfig{Peers: g.peers, Taker: k}
	if o.near {
		rc.Near = func(causeway.VolumeID) bool { return true }
	}
	if o.routes != nil {
		o.routes(&rc)
	}
	g.router, err = NewRouter(rc)
	must(s, err)
	g.data = transfer.New(transfer.Config{Grants: g.router, Guard: g.router, Node: name})
	g.data.Attach(vol, store)
	h.Holder, k.Taker = g.data, g.data
	served := make(chan error, 1)
	go func() { served <- g.peers.Serve(l) }()
	s.Cleanup(func() {
		g.proxy.close()
		g.peers.Close()
		if err := <-served; err != nil {
			s.Error(err)
		}
		g.data.Close()
		locks.Close()
	})
	return g
}

// subscribe is what fronts do at each gateway: events go to the one that a request came by.
func subscribe(to []*member, kind causeway.OwnerKind, e gateway.Events) {
	for _, g := range to {
		g.router.Subscribe(kind, e)
	}
}

// front is the access part at one gateway.
type front struct {
	*Router
	s *site
}

// Subscribe implements gateway.Access.
func (f front) Subscribe(kind causeway.OwnerKind, e gateway.Events) { subscribe(f.s.g, kind, e) }

// open makes a gateway the owner, at all of them.
func (s *site) open(owner int) {
	s.owner = owner
	s.epoch.Revision++
	to := s.g[owner]
	to.engine.AttachAt(to.volume, to.store, s.epoch)
	for _, g := range s.g {
		held, err := g.data.Reassert(s.Context(), vol, s.epoch)
		must(s, err)
		refused, err := to.engine.AssertGrants(g.name, s.epoch, held)
		must(s, err)
		if len(refused) > 0 {
			s.Error("cannot go on to hold", refused)
		}
	}
	for i, g := range s.g {
		g.table.Open(vol, i == owner, s.g[owner].name, s.epoch)
	}
}

// shut closes the volume at all gateways.
func (s *site) shut() {
	for _, g := range s.g {
		g.table.Close(vol)
	}
}

func (s *site) root(g *member) causeway.Handle {
	s.Helper()
	e, err := s.patient(g).Root(s.Context(), gatewaytest.Root(), vol) // however short the patience under test is
	must(s, err)
	return e.Handle
}

func (g *member) create(name string) (causeway.Handle, error) {
	return g.createAs(gatewaytest.Root(), name)
}

func (g *member) createAs(c *gateway.Caller, name string) (causeway.Handle, error) {
	root, err := g.router.Root(g.site.Context(), c, vol)
	if err != nil {
		return causeway.Handle{}, err
	}
	e, _, err := g.router.Create(g.site.Context(), c, root.Handle, name, &gateway.CreateSpec{
		Type: causeway.TypeRegular, How: gateway.Guarded, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o644},
	})
	return e.Handle, err
}

// inner is embedded under its own name: as Access it would hide the method of that name.
type inner = gateway.Access

// hook lets tests do something around calls that are executed.
type hook struct {
	inner
	getAttr, create atomic.Pointer[func(context.Context)]
}

func (h *hook) GetAttr(ctx context.Context, c *gateway.Caller, o causeway.Handle) (causeway.Attr, error) {
	if f := h.getAttr.Load(); f != nil {
		(*f)(ctx)
	}
	return h.inner.GetAttr(ctx, c, o)
}

func (h *hook) Create(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, spec *gateway.CreateSpec) (gateway.Entry, causeway.Change, error) {
	if f := h.create.Load(); f != nil {
		(*f)(ctx)
	}
	return h.inner.Create(ctx, c, dir, name, spec)
}

// proxy passes connections on until they are cut; mute ones pass nothing on.
type proxy struct {
	at    string
	l     net.Listener
	tasks sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	down   bool
	mute   chan struct{} // not nil: bytes wait until it is closed
	closed bool
}

func newProxy(t testing.TB, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{at: l.Addr().String(), l: l, conns: make(map[net.Conn]struct{})}
	p.tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d, err := net.Dial("tcp", to)
			if err != nil || !p.add(c, d) {
				c.Close()
				if d != nil {
					d.Close()
				}
				continue
			}
			p.tasks.Go(func() { p.copy(c, d) })
			p.tasks.Go(func() { p.copy(d, c) })
		}
	})
	return p
}

func (p *proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down || p.closed {
		return false
	}
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return true
}

func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		p.mu.Lock()
		mute := p.mute
		p.mu.Unlock()
		if mute != nil {
			<-mute
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// cut breaks all connections; with down, no new ones are made either.
func (p *proxy) cut(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	for c := range p.conns {
		c.Close()
		delete(p.conns, c)
	}
}

// silence keeps bytes until the function that it returns is called.
func (p *proxy) silence() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	mute := make(chan struct{})
	p.mute = mute
	var once sync.Once
	return func() {
		once.Do(func() {
			p.mu.Lock()
			p.mute = nil
			p.mu.Unlock()
			close(mute)
		})
	}
}

func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.l.Close()
	p.cut(true)
	p.tasks.Wait()
}

// until polls.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
