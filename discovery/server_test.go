package discovery

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// serve answers from a zone on a port of loopback until the test ends.
func serve(t testing.TB, z *Zone, edit func(*Config)) *Server {
	t.Helper()
	cfg := Config{Addresses: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Log: quiet()}
	if edit != nil {
		edit(&cfg)
	}
	s, err := Listen(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if z != nil {
		s.Publish(z)
	}
	return s
}

func question(name string, kind uint16) *dns.Msg { return new(dns.Msg).SetQuestion(name, kind) }

func ask(t testing.TB, s *Server, network string, q *dns.Msg) *dns.Msg {
	t.Helper()
	c := dns.Client{Net: network, Timeout: 3 * time.Second}
	for try := 1; ; try++ { // under a flood a datagram may be lost
		a, _, err := c.Exchange(q, s.Addresses()[0].String())
		if err == nil {
			return a
		}
		if network != "udp" || try == 5 {
			t.Fatal(err)
		}
	}
}

func TestServer(t *testing.T) {
	s := serve(t, zone(t, sample()), nil)
	for _, network := range []string{"udp", "tcp"} {
		a := ask(t, s, network, question("secret.nas.example.com.", dns.TypeA))
		if len(a.Answer) != 1 || value(a.Answer[0]) != "10.0.0.2" || !a.Authoritative || a.RecursionAvailable || !a.RecursionDesired {
			t.Errorf("by %s: %v", network, a)
		}
	}
	q := question("version.bind.", dns.TypeTXT)
	q.Question[0].Qclass = dns.ClassCHAOS
	if a := ask(t, s, "udp", q); a.Rcode != dns.RcodeRefused || len(a.Answer) != 0 {
		t.Errorf("version.bind: %v", a)
	}
	if a := ask(t, s, "udp", question("example.net.", dns.TypeA)); a.Rcode != dns.RcodeRefused || a.Authoritative {
		t.Errorf("another zone: %v", a)
	}
	for _, op := range []int{dns.OpcodeNotify, dns.OpcodeUpdate} {
		q = question("nas.example.com.", dns.TypeSOA)
		q.Opcode = op
		if a := ask(t, s, "udp", q); a.Rcode != dns.RcodeNotImplemented {
			t.Errorf("operation %d: %v", op, a)
		}
	}
	q = question("hOmE.NAS.example.com.", dns.TypeA)
	if a := ask(t, s, "udp", q); a.Question[0].Name != q.Question[0].Name || a.Answer[0].Header().Name != q.Question[0].Name {
		t.Errorf("the case is not kept: %v", a)
	}
	if st := s.Stats(); st.Refused != 4 || st.Answered != 3 {
		t.Errorf("%+v", st)
	}
}

func TestNotFresh(t *testing.T) {
	s := serve(t, nil, func(c *Config) { c.Fresh = func() bool { return false } })
	if a := ask(t, s, "udp", question("nas.example.com.", dns.TypeA)); a.Rcode != dns.RcodeRefused {
		t.Errorf("without a zone: %v", a)
	}
	s.Publish(zone(t, sample()))
	if a := ask(t, s, "udp", question("nas.example.com.", dns.TypeA)); a.Rcode != dns.RcodeServerFailure {
		t.Errorf("cut off: %v", a)
	}
}

// TestSubnet holds that a client gets the same answer whether he asks himself or a resolver does that names him.
func TestSubnet(t *testing.T) {
	s := serve(t, zone(t, sample()), nil)
	got := map[string]int{}
	for i := range 60 {
		q := question("home.nas.example.com.", dns.TypeA)
		q.RecursionDesired = i%2 == 0
		q.SetEdns0(1232, true)
		client := netip.AddrFrom4([4]byte{10, 7, 1, 9})
		subnet := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 32, Address: client.AsSlice()}
		q.IsEdns0().Option = append(q.IsEdns0().Option, subnet)
		a := ask(t, s, "udp", q)
		got[value(a.Answer[0])]++
		back, _ := a.IsEdns0().Option[0].(*dns.EDNS0_SUBNET)
		if back == nil || back.SourceScope != 32 || back.SourceNetmask != 32 || !a.IsEdns0().Do() {
			t.Fatalf("%v", a)
		}
	}
	if len(got) != 1 {
		t.Errorf("one client gets %v", got)
	}
	spread, direct := map[string]int{}, map[string]int{}
	for i := range 120 {
		q := question("home.nas.example.com.", dns.TypeA)
		q.RecursionDesired = i%2 == 0
		into := spread
		if q.RecursionDesired {
			into = direct
		}
		into[value(ask(t, s, "udp", q).Answer[0])]++
	}
	if len(spread) != 3 || len(direct) != 1 {
		t.Errorf("a resolver gets %v, a client %v", spread, direct)
	}
}

func TestEDNS(t *testing.T) {
	v := sample()
	for i := range 200 {
		v.Volumes = append(v.Volumes, Volume{Name: fmt.Sprint("volume-with-a-long-name-", i)})
	}
	s := serve(t, zone(t, v), nil)
	list := question("_nfs._tcp.nas.example.com.", dns.TypePTR)
	for size, truncated := range map[uint16]bool{0: true, 512: true, 1232: true, 65535: true} {
		q := list.Copy()
		if size > 0 {
			q.SetEdns0(size, false)
		}
		if a := ask(t, s, "udp", q); a.Truncated != truncated || len(a.Answer) > 0 && truncated {
			t.Errorf("size %d: %v", size, a)
		}
	}
	if a := ask(t, s, "tcp", list); a.Truncated || len(a.Answer) != 206 {
		t.Errorf("by TCP: %d records", len(a.Answer))
	}
	// What is additional is left out before anything is truncated.
	v = sample()
	for i := 4; i < 10; i++ {
		g := v.Gateways[0]
		g.Name = fmt.Sprint("g", i)
		v.Gateways = append(v.Gateways, g)
	}
	s.Publish(zone(t, v))
	q := question("_nfs._tcp.nas.example.com.", dns.TypeSRV)
	if a := ask(t, s, "udp", q); a.Truncated || len(a.Answer) != 9 || len(a.Extra) != 0 {
		t.Errorf("%v", a)
	}
	q.SetEdns0(1232, false)
	if a := ask(t, s, "udp", q); a.Truncated || len(a.Answer) != 9 || len(a.Extra) != 19 {
		t.Errorf("%v", a)
	}
	q.IsEdns0().SetVersion(1)
	if a := ask(t, s, "udp", q); a.Rcode != dns.RcodeBadVers || len(a.Answer) != 0 {
		t.Errorf("a later version of EDNS: %v", a)
	}
	q = question("nas.example.com.", dns.TypeA).SetEdns0(1232, false).SetEdns0(1232, false)
	if a := ask(t, s, "udp", q); a.Rcode != dns.RcodeFormatError {
		t.Errorf("two OPT records: %v", a)
	}
}

// TestLimit holds that a network that does not prove its address gets little, and that it is told of TCP.
func TestLimit(t *testing.T) {
	now := time.Now()
	s := serve(t, zone(t, sample()), func(c *Config) {
		c.Exempt, c.Rate, c.Now = []netip.Prefix{}, 10, func() time.Time { return now }
	})
	packed, err := question("home.nas.example.com.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 0, maxStream)
	flood := func(from string) (whole, short, bytes int) {
		for range 100 {
			reply := s.answerPacket(packed, addr(from), out)
			switch m := new(dns.Msg); {
			case reply == nil:
			case m.Unpack(reply) != nil:
				t.Fatal("the reply cannot be read")
			case m.Truncated:
				short, bytes = short+1, bytes+len(reply)
			default:
				whole++
			}
		}
		return whole, short, bytes
	}
	if whole, short, bytes := flood("192.0.2.1"); whole != 20 || short != 40 || bytes > short*len(packed) {
		t.Errorf("%d whole answers, %d truncated of %d bytes", whole, short, bytes)
	}
	if whole, _, _ := flood("192.0.2.254"); whole != 0 {
		t.Errorf("its neighbour gets %d answers", whole)
	}
	if whole, _, _ := flood("198.51.100.1"); whole != 20 {
		t.Errorf("another network gets %d answers", whole)
	}
	now = now.Add(time.Second)
	if whole, _, _ := flood("192.0.2.1"); whole != 10 {
		t.Errorf("a second later there are %d answers", whole)
	}
	if st := s.Stats(); st.Limited != 350 {
		t.Errorf("%+v", st)
	}
	// Long answers count for several.
	short := packed
	if packed, err = question("_nfs._tcp.nas.example.com.", dns.TypeSRV).Pack(); err != nil {
		t.Fatal(err)
	}
	reply, _ := s.reply(packed, asker{addr: addr("203.0.113.1")}, out)
	if whole, _, _ := flood("203.0.113.1"); len(reply) < 256 || whole != 20/((len(reply)+127)/128) {
		t.Errorf("of %d bytes each there are %d answers", len(reply), whole)
	}
	packed = short
	limited := s.Stats().Limited
	// A cookie proves the address.
	q := question("home.nas.example.com.", dns.TypeA).SetEdns0(1232, false)
	cookie := &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(s.cookie([]byte("12345678"), addr("192.0.2.1"), now))}
	q.IsEdns0().Option = append(q.IsEdns0().Option, cookie)
	if packed, err = q.Pack(); err != nil {
		t.Fatal(err)
	}
	if whole, _, _ := flood("192.0.2.1"); whole != 100 {
		t.Errorf("with a cookie there are %d answers", whole)
	}
	if whole, _, _ := flood("192.0.2.2"); whole != 0 {
		t.Errorf("with the cookie of another there are %d answers", whole)
	}
	now = now.Add(2 * time.Hour)
	if flood("192.0.2.1"); s.Stats().Limited == limited {
		t.Error("an old cookie holds")
	}
}

func TestCookie(t *testing.T) {
	s := serve(t, zone(t, sample()), nil)
	q := question("home.nas.example.com.", dns.TypeA).SetEdns0(1232, false)
	mine := &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}
	q.IsEdns0().Option = []dns.EDNS0{mine}
	got, _ := ask(t, s, "udp", q).IsEdns0().Option[0].(*dns.EDNS0_COOKIE)
	if got == nil || len(got.Cookie) != 48 || !strings.HasPrefix(got.Cookie, mine.Cookie) {
		t.Fatalf("%v", got)
	}
	mine.Cookie = "010203"
	if a := ask(t, s, "udp", q); a.Rcode != dns.RcodeFormatError {
		t.Errorf("half a cookie: %v", a)
	}
}

// TestStreams holds that connections are bounded, in number and in time.
func TestStreams(t *testing.T) {
	s := serve(t, zone(t, sample()), func(c *Config) { c.MaxConns, c.Idle = 8, 300*time.Millisecond })
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.Addresses()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(20 * time.Second))
		return c
	}
	for range 20 { // says nothing, or half of something
		c := dial()
		c.Write([]byte{0, 100, 1, 2, 3})
	}
	ended := dial()
	if n, err := io.Copy(io.Discard, ended); n != 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if st := s.Stats(); st.Conns > 2 {
		t.Errorf("one network has %d connections of 8", st.Conns)
	}
	for begun := time.Now(); s.Stats().Conns > 0; time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatal("silent connections stay")
		}
	}
	// Several questions in one piece are answered in order.
	c, sent := dial(), []byte(nil)
	for i := range 3 {
		q := question("home.nas.example.com.", dns.TypeA)
		q.Id = uint16(i)
		packed, _ := q.Pack()
		sent = append(binary.BigEndian.AppendUint16(sent, uint16(len(packed))), packed...)
	}
	c.Write(sent)
	conn := &dns.Conn{Conn: c}
	for i := range 3 {
		if a, err := conn.ReadMsg(); err != nil || a.Id != uint16(i) || len(a.Answer) != 1 {
			t.Fatalf("%d: %v, %v", i, a, err)
		}
	}
	c.Write([]byte{0xff, 0xff, 1})
	if n, _ := c.Read(make([]byte, 1)); n != 0 {
		t.Error("a question of 64 KiB is read")
	}
}

// TestMalformed sends what is no question, by the thousand.
func TestMalformed(t *testing.T) {
	s := serve(t, zone(t, sample()), nil)
	c, err := net.Dial("udp", s.Addresses()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	good, _ := question("_nfs._tcp.home.nas.example.com.", dns.TypeSRV).SetEdns0(1232, true).Pack()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 20000 {
		p := append([]byte(nil), good[:random.IntN(len(good)+1)]...)
		if i%3 == 0 {
			p = make([]byte, random.IntN(1400))
			for i := range p {
				p[i] = byte(random.Uint32())
			}
		}
		for range random.IntN(4) {
			if len(p) > 0 {
				p[random.IntN(len(p))] = byte(random.Uint32())
			}
		}
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 0 {
			ask(t, s, "tcp", question("home.nas.example.com.", dns.TypeA))
		}
	}
	if a := ask(t, s, "udp", question("secret.nas.example.com.", dns.TypeA)); len(a.Answer) != 1 {
		t.Errorf("%v", a)
	}
	if st := s.Stats(); st.Malformed < 1000 {
		t.Errorf("%+v", st)
	}
}

func TestConfig(t *testing.T) {
	at := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	for _, c := range []Config{{}, {Addresses: at}, {Addresses: at, Log: quiet(), Rate: -2}, {Addresses: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:53")}, Log: quiet()}} {
		if s, err := Listen(context.Background(), c); err == nil {
			s.Close()
			t.Errorf("%+v is taken", c)
		}
	}
	s := serve(t, nil, nil)
	if _, err := Listen(context.Background(), Config{Addresses: append(at, s.Addresses()...), Log: quiet()}); err == nil {
		t.Error("an address is taken twice")
	}
}

func FuzzReply(f *testing.F) {
	for _, kind := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypePTR, dns.TypeTXT, dns.TypeANY, dns.TypeNS} {
		for _, name := range []string{"nas.example.com.", "_nfs._tcp.HOME.nas.example.com.", `my\.files._nfs._tcp.nas.example.com.`, "b._dns-sd._udp.nas.example.com."} {
			q := question(name, kind).SetEdns0(700, true)
			q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"},
				&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(10, 7, 0, 0).To4()}}
			packed, err := q.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packed)
		}
	}
	cfg := Config{Addresses: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if err := cfg.Validate(); err != nil {
		f.Fatal(err)
	}
	s := &Server{cfg: cfg, secret: cfg.Secret}
	s.Publish(zone(f, sample()))
	f.Fuzz(func(t *testing.T, query []byte) {
		if len(query) > maxQuery {
			return
		}
		for _, stream := range []bool{false, true} {
			reply, _ := s.reply(query, asker{addr: addr("192.0.2.1"), stream: stream}, make([]byte, 0, maxStream))
			if reply == nil {
				continue
			}
			m := new(dns.Msg)
			if err := m.Unpack(reply); err != nil || !m.Response || m.Id != binary.BigEndian.Uint16(query) || m.RecursionAvailable {
				t.Fatalf("%v: %v", err, m)
			}
			if !stream && len(reply) > maxDatagram {
				t.Fatalf("a datagram of %d bytes", len(reply))
			}
		}
	})
}

// TestBrowseCost: to list all exports in a datagram, where they do not fit, takes no more than what fits.
func TestBrowseCost(t *testing.T) {
	v := sample()
	for i := range 1000 {
		v.Volumes = append(v.Volumes, Volume{Name: fmt.Sprint("v", i)})
	}
	s := serve(t, zone(t, v), nil)
	q := question("_nfs._tcp.nas.example.com.", dns.TypePTR)
	packed, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 0, maxStream)
	made := testing.AllocsPerRun(10, func() { s.answerPacket(packed, netip.MustParseAddr("10.9.9.9"), out) })
	if made > 300 {
		t.Errorf("%v allocations", made)
	}
	if a := ask(t, s, "udp", q); !a.Truncated {
		t.Error("it is not told to ask by TCP")
	}
	if a := ask(t, s, "tcp", q); len(a.Answer) != maxListed {
		t.Errorf("%d exports by TCP", len(a.Answer))
	}
}

// TestStreamsHeld: who holds all connections and says nothing keeps nobody from asking by TCP.
func TestStreamsHeld(t *testing.T) {
	s := serve(t, zone(t, sample()), func(c *Config) { c.MaxConns, c.Idle = 8, time.Minute })
	for range 20 {
		c, err := net.Dial("tcp", s.Addresses()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for range 3 {
		if a := ask(t, s, "tcp", question("home.nas.example.com.", dns.TypeA)); len(a.Answer) != 1 {
			t.Error(a)
		}
	}
	networks := map[netip.Prefix]int{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.conns {
		networks[of.network]++
	}
	if len(s.conns) > 2 || s.counts[netip.MustParsePrefix("127.0.0.0/24")] != networks[netip.MustParsePrefix("127.0.0.0/24")] {
		t.Errorf("%d connections, %v counted as %v", len(s.conns), networks, s.counts)
	}
}
