package discovery

import (
	"net"
	"testing"

	"github.com/miekg/dns"
)

// withOptions is a question with options of EDNS.
func withOptions(q *dns.Msg, options ...dns.EDNS0) *dns.Msg {
	q.SetEdns0(1232, false)
	q.IsEdns0().Option = options
	return q
}

// optionsOf are those of a reply.
func optionsOf(m *dns.Msg) []dns.EDNS0 {
	if o := m.IsEdns0(); o != nil {
		return o.Option
	}
	return nil
}

// TestCookieAlone: who asks nothing, but sends a cookie, gets one; of several cookies the first one counts.
func TestCookieAlone(t *testing.T) {
	s := serve(t, zone(t, sample()), nil)
	cookie := &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}
	other := &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "1112131415161718"}
	for _, q := range []*dns.Msg{withOptions(&dns.Msg{}, cookie), withOptions(question("home.nas.example.com.", dns.TypeA), cookie, other)} {
		a := ask(t, s, "udp", q)
		got := optionsOf(a)
		if a.Rcode != dns.RcodeSuccess || len(a.Question) != len(q.Question) || len(a.Answer) != len(q.Question) || len(got) != 1 {
			t.Fatal(a)
		}
		if c, ok := got[0].(*dns.EDNS0_COOKIE); !ok || len(c.Cookie) != 48 || c.Cookie[:16] != cookie.Cookie {
			t.Error(a)
		}
	}
	if a := ask(t, s, "udp", withOptions(&dns.Msg{})); a.Rcode != dns.RcodeFormatError || len(a.Answer) != 0 {
		t.Errorf("nothing is asked: %v", a)
	}
}

// TestWrongOptions: what is wrong with options is told with EDNS, and nothing of them comes back.
func TestWrongOptions(t *testing.T) {
	s := serve(t, zone(t, sample()), nil)
	for _, o := range []dns.EDNS0{
		&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "010203"},
		&dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: []byte{0, 1, 20, 0, 10, 7, 1}}, // bits behind the network
		&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, SourceScope: 24, Address: net.IPv4(10, 7, 1, 0)},
	} {
		q := withOptions(question("home.nas.example.com.", dns.TypeA), o)
		if a := ask(t, s, "udp", q); a.Rcode != dns.RcodeFormatError || len(a.Question) != 1 || a.IsEdns0() == nil || len(optionsOf(a)) != 0 || len(a.Answer) != 0 {
			t.Errorf("%v: %v", o, a)
		}
	}
	q := withOptions(question("home.nas.example.com.", dns.TypeA))
	q.IsEdns0().Hdr.Name = "example.com."
	if a := ask(t, s, "udp", q); a.Rcode != dns.RcodeFormatError {
		t.Errorf("EDNS at a name: %v", a)
	}
}

// TestIdleTold: who asks by TCP how long it may say nothing is told (RFC 7828); who asks by UDP is not.
func TestIdleTold(t *testing.T) {
	s := serve(t, zone(t, sample()), nil)
	q := withOptions(question("home.nas.example.com.", dns.TypeA), &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE})
	for network, want := range map[string]int{"udp": 0, "tcp": 1} {
		got := optionsOf(ask(t, s, network, q))
		if len(got) != want {
			t.Fatalf("by %s: %v", network, got)
		}
		if want > 0 && got[0].(*dns.EDNS0_TCP_KEEPALIVE).Timeout != 50 {
			t.Errorf("%v, not 5 s", got)
		}
	}
}

// TestMetaTypes: types that stand for no data of a name are refused in their own way.
func TestMetaTypes(t *testing.T) {
	s := serve(t, zone(t, sample()), nil)
	for kind, want := range map[uint16]int{
		dns.TypeOPT: dns.RcodeFormatError, dns.TypeTSIG: dns.RcodeFormatError, dns.TypeTKEY: dns.RcodeFormatError,
		dns.TypeMAILA: dns.RcodeNotImplemented, dns.TypeAXFR: dns.RcodeRefused, dns.TypeIXFR: dns.RcodeRefused, dns.TypeCAA: dns.RcodeSuccess,
	} {
		if a := ask(t, s, "udp", question("home.nas.example.com.", kind)); a.Rcode != want || len(a.Answer) != 0 {
			t.Errorf("type %d: %v", kind, a)
		}
	}
}
