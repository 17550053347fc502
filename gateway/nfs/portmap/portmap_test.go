package portmap

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

var services = []Service{
	{100003, 3, "tcp", netip.MustParseAddrPort("0.0.0.0:2049")},
	{100005, 3, "tcp", netip.MustParseAddrPort("0.0.0.0:2049")},
	{100005, 3, "udp", netip.MustParseAddrPort("192.0.2.1:20048")},
	{100021, 4, "tcp", netip.MustParseAddrPort("[::]:4045")},
}

// ask runs one call on the handler.
func ask(vers, proc uint32, datagram bool, local string, args func(*xdr.Encoder)) (*rpc.Call, rpc.Verdict) {
	var e xdr.Encoder
	if args != nil {
		args(&e)
	}
	c := &rpc.Call{Vers: vers, Proc: proc, Datagram: datagram, Local: netip.MustParseAddrPort(local), Args: xdr.NewDecoder(e.Bytes())}
	return c, New(func() []Service { return services }).Handle(context.Background(), c)
}

func TestGetPort(t *testing.T) {
	for _, c := range []struct{ prog, vers, proto, want uint32 }{
		{100003, 3, protoTCP, 2049},
		{100003, 3, protoUDP, 0},
		{100003, 4, protoTCP, 2049}, // the server says which versions it has
		{100005, 3, protoUDP, 20048},
		{100021, 4, protoTCP, 4045},
		{100021, 4, 0, 0},
		{Program, 2, protoTCP, 111},
		{Program, 2, protoUDP, 111},
		{1, 1, protoTCP, 0},
	} {
		call, v := ask(2, procGetPort, true, "127.0.0.1:111", func(e *xdr.Encoder) {
			for _, n := range [...]uint32{c.prog, c.vers, c.proto, 0} {
				e.Uint32(n)
			}
		})
		d := xdr.NewDecoder(call.Reply.Bytes())
		if got := d.Uint32(); v != rpc.Done || got != c.want || !d.Done() {
			t.Errorf("%+v: %d, %v", c, got, v)
		}
	}
}

func TestGetAddr(t *testing.T) {
	for _, c := range []struct {
		vers, proc   uint32
		prog, of     uint32
		netid, local string
		datagram     bool
		want         string
	}{
		{3, procGetPort, 100003, 3, "tcp", "192.0.2.7:111", false, "192.0.2.7.8.1"},
		{4, procGetPort, 100003, 2, "tcp", "192.0.2.7:111", true, "192.0.2.7.8.1"},
		{4, procGetVersAddr, 100003, 2, "tcp", "192.0.2.7:111", true, ""},
		{4, procGetPort, 100005, 3, "", "192.0.2.7:111", true, "192.0.2.1.78.80"},
		{4, procGetPort, 100021, 4, "tcp6", "[2001:db8::1]:111", false, "2001:db8::1.15.205"},
		{4, procGetPort, 100021, 4, "tcp", "192.0.2.7:111", false, "192.0.2.7.15.205"},
		{4, procGetPort, 100003, 3, "tcp6", "[2001:db8::1]:111", false, ""},
	} {
		call, v := ask(c.vers, c.proc, c.datagram, c.local, binding{c.prog, c.of, c.netid, "", ""}.encode)
		d := xdr.NewDecoder(call.Reply.Bytes())
		if got := d.String(100); v != rpc.Done || got != c.want || !d.Done() {
			t.Errorf("%+v: %q, %v", c, got, v)
		}
	}
}

// TestDump has the bytes that rpcinfo -p expects (RFC 1833 §3.1, pmaplist).
func TestDump(t *testing.T) {
	call, v := ask(2, procDump, false, "127.0.0.1:111", nil)
	const want = "00000001000186a000000004000000060000006f" + "00000001000186a000000004000000110000006f" + // itself
		"00000001000186a000000003000000060000006f" + "00000001000186a000000003000000110000006f" +
		"00000001000186a000000002000000060000006f" + "00000001000186a000000002000000110000006f" +
		"00000001000186a3000000030000000600000801" +
		"00000001000186a5000000030000000600000801" +
		"00000001000186a5000000030000001100004e50" +
		"00000001000186b5000000040000000600000fcd" + "00000000"
	if got := hex.EncodeToString(call.Reply.Bytes()); v != rpc.Done || got != want {
		t.Errorf("%v\n%s\n%s", v, got, want)
	}
	call, v = ask(4, procDump, false, "127.0.0.1:111", nil)
	d := xdr.NewDecoder(call.Reply.Bytes())
	var ids []string
	for d.Bool() {
		b := decodeBinding(&d)
		ids = append(ids, b.netID+" "+b.addr)
	}
	if v != rpc.Done || !d.Done() || len(ids) != 11 || ids[0] != "tcp 0.0.0.0.0.111" || ids[9] != "tcp 0.0.0.0.15.205" || ids[10] != "tcp6 ::.15.205" {
		t.Error(v, ids)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		vers, proc uint32
		datagram   bool
		want       rpc.Verdict
	}{
		{2, procNull, true, rpc.Done},
		{2, procCallIt, true, rpc.Drop},
		{4, procCallIt, false, rpc.Drop},
		{4, procDump, true, rpc.Drop},
		{2, 6, true, rpc.ProcUnavail},
		{3, procGetVersAddr, true, rpc.ProcUnavail},
		{4, 10, true, rpc.ProcUnavail},
		{2, procGetPort, true, rpc.GarbageArgs},
		{4, procGetPort, true, rpc.GarbageArgs},
		{5, procNull, true, rpc.ProcUnavail},
	} {
		if _, v := ask(c.vers, c.proc, c.datagram, "127.0.0.1:111", nil); v != c.want {
			t.Errorf("%+v: %v", c, v)
		}
	}
	for _, proc := range []uint32{procSet, procUnset} {
		call, v := ask(4, proc, false, "127.0.0.1:111", binding{1, 1, "tcp", "1.2.3.4.5.6", "me"}.encode)
		if d := xdr.NewDecoder(call.Reply.Bytes()); v != rpc.Done || d.Bool() || !d.Done() {
			t.Errorf("procedure %d: %v %x", proc, v, call.Reply.Bytes())
		}
	}
}

func TestUAddr(t *testing.T) {
	for _, s := range []string{"127.0.0.1.8.1", "::1.0.111", "2001:db8::5.255.255", "0.0.0.0.0.0"} {
		a, err := ParseUAddr(s)
		if err != nil || UAddr(a) != s {
			t.Errorf("%s: %v %v", s, a, err)
		}
	}
	for _, s := range []string{"", "1.2", "127.0.0.1", "127.0.0.1.256.0", "127.0.0.1.-1.0", "host.0.1"} {
		if a, err := ParseUAddr(s); err == nil {
			t.Errorf("%s: %v", s, a)
		}
	}
}

// serve runs the responder on a port of its own, TCP and UDP.
func serve(t *testing.T, h rpc.Handler) uint16 {
	t.Helper()
	s, err := rpc.NewServer(rpc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for vers := uint32(2); vers <= 4; vers++ {
		s.Register(Program, vers, h)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	go s.ServePacket(pc)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func TestFind(t *testing.T) {
	port := serve(t, New(func() []Service { return services }))
	loopback := netip.MustParseAddr("127.0.0.1")
	c := Client{Port: port}
	for _, network := range []string{"tcp", "udp"} {
		at, err := c.Find(context.Background(), network, loopback, loopback, 100005, 3)
		want := map[string]uint16{"tcp": 2049, "udp": 20048}[network]
		if err != nil || at != netip.AddrPortFrom(loopback, want) {
			t.Error(network, at, err)
		}
	}
	if _, err := c.Find(context.Background(), "udp", loopback, loopback, 100003, 3); !errors.Is(err, ErrNotRegistered) {
		t.Error(err)
	}
}

func FuzzResponder(f *testing.F) {
	var e xdr.Encoder
	binding{100003, 3, "tcp", "127.0.0.1.8.1", "me"}.encode(&e)
	f.Add(uint32(4), uint32(3), e.Bytes())
	f.Add(uint32(2), uint32(3), e.Bytes()[:16])
	f.Fuzz(func(t *testing.T, vers, proc uint32, args []byte) {
		c := &rpc.Call{Vers: vers, Proc: proc, Local: netip.MustParseAddrPort("127.0.0.1:111"), Args: xdr.NewDecoder(args)}
		New(func() []Service { return services }).Handle(context.Background(), c)
	})
}

func FuzzUAddr(f *testing.F) {
	f.Add("127.0.0.1.8.1")
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseUAddr(s); err == nil {
			if b, err := ParseUAddr(UAddr(a)); err != nil || b.Port() != a.Port() {
				t.Fatal(s, a, b, err)
			}
		}
	})
}
