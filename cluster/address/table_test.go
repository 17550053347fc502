package address

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestGoldenDelta pins the format that neighbouring versions read.
func TestGoldenDelta(t *testing.T) {
	client := func(c Conn, port uint16) Conn {
		return Conn{Local: c.Local, Client: netip.AddrPortFrom(c.Client.Addr(), port)}
	}
	d := Delta{Base: 5, Seq: 6, Removed: []Conn{goldenOn4}, Added: []Conn{client(goldenOn4, 701), client(goldenOn4, 702), client(goldenOn6, 703)}}
	want := "0105060104c000020a080101c633640702bc" + "0204c000020a080102c633640702bdc633640702be" +
		"0620010db800000000000000000000001008010120010db800010000000000000000000702bf"
	if got := hex.EncodeToString(d.Append(nil)); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	back, err := ParseDelta(d.Append(nil))
	if err != nil || back.Base != 5 || back.Seq != 6 || !slices.Equal(back.Removed, d.Removed) || !slices.Equal(back.Added, d.Added) {
		t.Error(back, err)
	}
}

func drawConn(t *rapid.T) Conn {
	local := rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2", "fd00::1"}).Draw(t, "local")
	at := netip.AddrPortFrom(netip.MustParseAddr(local), rapid.SampledFrom([]uint16{445, 2049}).Draw(t, "port"))
	n := rapid.ByteRange(0, 3).Draw(t, "client")
	from := netip.AddrFrom4([4]byte{10, 1, 0, n})
	if at.Addr().Is6() {
		from = netip.AddrFrom16([16]byte{0: 0xfd, 1: 1, 15: n})
	}
	return Conn{Local: at, Client: netip.AddrPortFrom(from, rapid.Uint16Range(1, 4).Draw(t, "from port"))}
}

// TestReplica: whatever happens at the gateway, a replica that gets its deltas, of which some are lost, never has a table that the
// gateway did not have, and has the gateway's after Whole.
func TestReplica(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var from, to Table
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				from = Table{}
			}
			d, dropped := from.Update(rapid.SliceOfN(rapid.Custom(drawConn), 0, 20).Draw(t, "conns"))
			if dropped != 0 {
				t.Fatal("dropped", dropped)
			}
			if rapid.IntRange(0, 4).Draw(t, "lost") == 0 {
				continue
			}
			wire, err := ParseDelta(d.Append(nil))
			if err != nil {
				t.Fatal(err, d)
			}
			before, seq := to.Conns(netip.Addr{}), to.Seq()
			if err := to.Apply(wire); err != nil {
				if !errors.Is(err, ErrGap) || !slices.Equal(to.Conns(netip.Addr{}), before) || to.Seq() != seq {
					t.Fatal("a delta that was refused changed the table:", err)
				}
				if err := to.Apply(from.Whole()); err != nil {
					t.Fatal(err)
				}
			}
			if from.Seq() != to.Seq() || !slices.Equal(from.Conns(netip.Addr{}), to.Conns(netip.Addr{})) {
				t.Fatalf("seq %d and %d:\n%v\n%v", from.Seq(), to.Seq(), from.Conns(netip.Addr{}), to.Conns(netip.Addr{}))
			}
		}
	})
}

func TestTableBound(t *testing.T) {
	conns := make([]Conn, MaxConns+10)
	for i := range conns {
		client := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		conns[i] = Conn{Local: goldenOn4.Local, Client: netip.AddrPortFrom(client, 700)}
	}
	var from, to Table
	d, dropped := from.Update(conns)
	if dropped != 10 || from.Len() != MaxConns {
		t.Fatal(dropped, from.Len())
	}
	wire := d.Append(nil)
	if len(wire) > 6*MaxConns+64 {
		t.Fatal("not compact:", len(wire))
	}
	back, err := ParseDelta(wire)
	if err == nil {
		err = to.Apply(back)
	}
	if err != nil || to.Len() != MaxConns {
		t.Fatal(err, to.Len())
	}
	over := Delta{Base: to.Seq(), Seq: to.Seq() + 1, Added: conns[MaxConns:]}
	if err := to.Apply(over); !errors.Is(err, ErrGap) || to.Len() != MaxConns {
		t.Fatal(err, to.Len())
	}
	if _, err := ParseDelta(Delta{Seq: 1, Added: conns}.Append(nil)); !errors.Is(err, ErrDelta) {
		t.Fatal(err)
	}
}

// TestNormal: what is no connection of one family does not enter a table; IPv4 within IPv6 is IPv4.
func TestNormal(t *testing.T) {
	mapped := Conn{Local: netip.MustParseAddrPort("[::ffff:192.0.2.10]:2049"), Client: netip.MustParseAddrPort("[::ffff:198.51.100.7]:700")}
	zoned := Conn{Local: netip.MustParseAddrPort("[fe80::1%eth0]:2049"), Client: netip.MustParseAddrPort("[fe80::2%eth0]:700")}
	mixed := Conn{Local: goldenOn4.Local, Client: goldenOn6.Client}
	if got := normal([]Conn{goldenOn6, mapped, {}, zoned, mixed, goldenOn4}); !slices.Equal(got, []Conn{goldenOn4, goldenOn6}) {
		t.Fatal(got)
	}
}

// FuzzParseDelta: what is taken has one encoding, and a table can be made of it.
func FuzzParseDelta(f *testing.F) {
	f.Add(Delta{Base: 5, Seq: 6, Removed: []Conn{goldenOn4}, Added: []Conn{goldenOn6}}.Append(nil))
	f.Add(Delta{Seq: 1, Added: []Conn{goldenOn4, goldenOn6}}.Append(nil))
	f.Add([]byte{deltaFormat, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ParseDelta(data)
		if err != nil {
			return
		}
		if again := d.Append(nil); !bytes.Equal(again, data) {
			t.Fatalf("%x becomes %x", data, again)
		}
		var table Table
		if d.Base != 0 {
			table.seq, table.conns = d.Base, map[Conn]struct{}{}
			for _, c := range d.Removed {
				table.conns[c] = struct{}{}
			}
		}
		if err := table.Apply(d); err != nil || !slices.Equal(table.Conns(netip.Addr{}), d.Added) {
			t.Fatal(err, d)
		}
	})
}
