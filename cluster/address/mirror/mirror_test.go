package mirror

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"causeway/cluster/address"
	"causeway/cluster/pki"
)

// party is a gateway with what it answers for.
type party struct {
	*Mirror
	name string
	at   string
	id   *pki.Identity
	all  *parties

	mu    sync.Mutex
	held  []netip.Addr
	conns []address.Conn
}

// parties are the gateways of a cluster.
type parties struct {
	*testing.T
	ca       *pki.Authority
	interval time.Duration

	mu      sync.Mutex
	members map[string]string // address by name
}

func newParties(t *testing.T) *parties {
	t.Helper()
	ca, err := pki.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &parties{T: t, ca: ca, interval: 10 * time.Millisecond, members: map[string]string{}}
}

func identity(t testing.TB, ca *pki.Authority, node string) *pki.Identity {
	t.Helper()
	r, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	der, err := r.DER(node, []string{"127.0.0.1"})
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

// start makes a gateway; admitted, it is a member.
func (ps *parties) start(name string, ca *pki.Authority, admitted bool) *party {
	ps.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		ps.Fatal(err)
	}
	p := &party{name: name, at: l.Addr().String(), id: identity(ps, ca, name), all: ps}
	if admitted {
		ps.mu.Lock()
		ps.members[name] = p.at
		ps.mu.Unlock()
	}
	p.Mirror, err = New(Config{
		Node: name, Interval: ps.interval, Linger: time.Hour,
		Conns: func() ([]address.Conn, error) { p.mu.Lock(); defer p.mu.Unlock(); return slices.Clone(p.conns), nil },
		Held:  func() []netip.Addr { p.mu.Lock(); defer p.mu.Unlock(); return slices.Clone(p.held) },
		Peers: func() map[string]string {
			ps.mu.Lock()
			defer ps.mu.Unlock()
			others := map[string]string{}
			for n, at := range ps.members {
				if n != name {
					others[n] = at
				}
			}
			return others
		},
		Member: func(node string) bool { ps.mu.Lock(); defer ps.mu.Unlock(); return ps.members[node] != "" },
		Client: p.id.Client, Server: p.id.Server,
	})
	if err != nil {
		ps.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- p.Serve(l) }()
	ps.Cleanup(func() {
		if err := p.Close(); err != nil {
			ps.Error(err)
		}
		if err := <-served; err != nil {
			ps.Error(err)
		}
	})
	return p
}

func (p *party) has(held []netip.Addr, conns ...address.Conn) {
	p.mu.Lock()
	p.held, p.conns = held, conns
	p.mu.Unlock()
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatal("never: " + what)
}

var (
	a4 = netip.MustParseAddr("10.0.0.1")
	a6 = netip.MustParseAddr("2001:db8::1")
)

func conn(at netip.Addr, port uint16, client int) address.Conn {
	from := fmt.Sprintf("10.0.1.%d:900", client)
	if at.Is6() {
		from = fmt.Sprintf("[2001:db8::1:%d]:900", client)
	}
	return address.Conn{Local: netip.AddrPortFrom(at, port), Client: netip.MustParseAddrPort(from)}
}

// TestPeersKnow: what a gateway has is known to the others, also after its end, until it says something else.
func TestPeersKnow(t *testing.T) {
	ps := newParties(t)
	g1, g2 := ps.start("g1", ps.ca, true), ps.start("g2", ps.ca, true)
	nfs, smb, six := conn(a4, 2049, 1), conn(a4, 445, 2), conn(a6, 2049, 3)
	g1.has([]netip.Addr{a4, a6}, nfs, smb, six)
	eventually(t, "g2 knows", func() bool {
		return slices.Equal(g2.Conns(a4), []address.Conn{smb, nfs}) && slices.Equal(g2.Conns(a6), []address.Conn{six}) &&
			g2.Holder(a4) == "g1" && g2.Holder(a6) == "g1" && g2.Hears("g1")
	})
	g1.has([]netip.Addr{a4, a6}, smb)
	eventually(t, "g2 knows what has ended", func() bool { return slices.Equal(g2.Conns(a4), []address.Conn{smb}) && g2.Conns(a6) == nil })

	g1.has(nil) // given up: the connections are the next holder's to wake
	eventually(t, "g2 knows that the address is free", func() bool { return g2.Holder(a4) == "" && g2.Hears("g1") })
	if got := g2.Conns(a4); !slices.Equal(got, []address.Conn{smb}) {
		t.Errorf("the connections of an address that moves: %v", got)
	}

	g3 := ps.start("g3", ps.ca, true)
	eventually(t, "who comes later gets the whole", func() bool { return slices.Equal(g3.Conns(a4), []address.Conn{smb}) })
	if err := g1.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "g2 does not hear g1 any more", func() bool { return !g2.Hears("g1") })
	if got := g2.Conns(a4); !slices.Equal(got, []address.Conn{smb}) {
		t.Errorf("the connections of a dead gateway: %v", got)
	}
	again := ps.start("g1", ps.ca, true)
	again.has([]netip.Addr{a4})
	eventually(t, "its next life counts", func() bool { return g2.Holder(a4) == "g1" && g2.Conns(a4) == nil })
}

// TestStrangersAreNotHeard: who has no certificate of the cluster, or was removed from it, changes nothing.
func TestStrangersAreNotHeard(t *testing.T) {
	ps := newParties(t)
	g1 := ps.start("g1", ps.ca, true)
	other, err := pki.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	removed, forger := ps.start("removed", ps.ca, false), ps.start("forger", other, false)
	for _, p := range []*party{removed, forger} {
		p.has([]netip.Addr{a4}, conn(a4, 2049, 1))
	}
	g2 := ps.start("g2", ps.ca, true)
	g2.has([]netip.Addr{a6})
	eventually(t, "g1 hears g2", func() bool { return g1.Holder(a6) == "g2" })
	for range 50 { // they try again and again
		if g1.Hears("removed") || g1.Hears("forger") || g1.Holder(a4) != "" || len(g1.Conns(a4)) > 0 {
			t.Fatal("a stranger was believed")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestSlowPeerGetsTheWhole: whoever missed a change gets the table, not the next change.
func TestSlowPeerGetsTheWhole(t *testing.T) {
	s := &source{}
	s.init()
	p, table := progress{}, address.Table{}
	apply := func() {
		t.Helper()
		frames, _ := s.since(&p, nil)
		for len(frames) > 0 {
			n := int(frames[3]) | int(frames[2])<<8
			if body := frames[headSize : headSize+n]; body[0] == kindDelta {
				d, err := address.ParseDelta(body[1:])
				if err != nil {
					t.Fatal(err)
				}
				if err := table.Apply(d); err != nil {
					t.Fatal(err)
				}
			}
			frames = frames[headSize+n:]
		}
	}
	now, held := time.Now(), []netip.Addr{a4}
	for i := range 20 {
		s.update(held, []address.Conn{conn(a4, 2049, i), conn(a4, 445, i)}, now, time.Second)
		if i%3 != 1 { // sometimes two changes at once
			apply()
			if got := table.Conns(a4); len(got) != 2 || got[0] != conn(a4, 445, i) {
				t.Fatalf("after %d changes: %v", i, got)
			}
		}
	}
	s.update(nil, nil, now, time.Second)
	s.update(nil, nil, now.Add(500*time.Millisecond), time.Second)
	if apply(); table.Len() != 2 {
		t.Errorf("%d connections of an address that was left a moment ago", table.Len())
	}
	s.update(nil, nil, now.Add(2*time.Second), time.Second)
	if apply(); table.Len() != 0 {
		t.Errorf("%d connections of an address that was left long ago", table.Len())
	}
}

// TestRemovedIsNotHeard: who is removed from the cluster while it is connected is not believed any more.
func TestRemovedIsNotHeard(t *testing.T) {
	ps := newParties(t)
	g1, g2 := ps.start("g1", ps.ca, true), ps.start("g2", ps.ca, true)
	g1.has([]netip.Addr{a4})
	eventually(t, "g2 knows", func() bool { return g2.Holder(a4) == "g1" })
	ps.mu.Lock()
	delete(ps.members, "g1")
	ps.mu.Unlock()
	eventually(t, "g2 does not believe it", func() bool { return g2.Holder(a4) == "" && !g2.Hears("g1") })
}

// TestStrangersKeepNobodyOut: however many connections somebody makes who shows no certificate, peers are heard.
func TestStrangersKeepNobodyOut(t *testing.T) {
	ps := newParties(t)
	g1 := ps.start("g1", ps.ca, true)
	crowd := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: 10 * time.Second}
	for range maxGuests + 100 {
		c, err := crowd.Dial("tcp", g1.at)
		if err != nil {
			t.Skip("so many connections cannot be made here:", err)
		}
		defer c.Close()
	}
	g2 := ps.start("g2", ps.ca, true)
	g2.has([]netip.Addr{a4})
	eventually(t, "g1 hears g2", func() bool { return g1.Holder(a4) == "g2" })
	eventually(t, "most are not waited for", func() bool { return g1.door.Refused() > maxGuests/2 })
}

func TestConfig(t *testing.T) {
	if err := (&Config{}).Validate(); err == nil {
		t.Error("an empty configuration is accepted")
	}
}

// FuzzFrame: what a peer sends is read as it was written, or refused.
func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, kindHeld, func(b []byte) []byte { return appendHeld(b, []netip.Addr{a4, a6}) })[headSize:])
	f.Add(appendFrame(nil, kindDelta, (&address.Table{}).Whole().Append)[headSize:])
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) == 0 {
			return
		}
		m := &Mirror{cfg: Config{Changed: func() {}}}
		first := true
		_ = m.take(&replica{}, nil, body, &first)
		if held, err := parseHeld(body[1:]); err == nil && string(appendHeld(nil, held)) != string(body[1:]) {
			t.Fatalf("%v", held)
		}
	})
}

// TestArrival: the peers hear of a client that has just come before the state is looked at in its turn.
func TestArrival(t *testing.T) {
	ps := newParties(t)
	ps.interval = time.Minute
	a, b := ps.start("a", ps.ca, true), ps.start("b", ps.ca, true)
	a.Poke()
	b.Poke()
	eventually(t, "both are heard", func() bool { return a.Hears("b") && b.Hears("a") })
	for i := range 3 {
		a.has([]netip.Addr{a4}, conn(a4, 2049, i))
		a.Arrived()
		eventually(t, "a client is known", func() bool { c := b.Conns(a4); return len(c) == 1 && c[0] == conn(a4, 2049, i) })
	}
}
