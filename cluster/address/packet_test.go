package address

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
)

var (
	goldenMAC = [6]byte{0x02, 0x00, 0x5e, 0x10, 0x00, 0x01}
	golden4   = netip.MustParseAddr("192.0.2.10")
	golden6   = netip.MustParseAddr("2001:db8::10")
	goldenOn4 = Conn{Local: netip.MustParseAddrPort("192.0.2.10:2049"), Client: netip.MustParseAddrPort("198.51.100.7:700")}
	goldenOn6 = Conn{Local: netip.MustParseAddrPort("[2001:db8::10]:2049"), Client: netip.MustParseAddrPort("[2001:db8:1::7]:700")}
)

// TestGoldenPackets compares with bytes that another program has made from the RFCs.
func TestGoldenPackets(t *testing.T) {
	solicit, group := solicitation(golden6)
	if want := [6]byte{0x33, 0x33, 0xff, 0, 0, 0x10}; group != want {
		t.Errorf("solicited-node group %x, want %x", group, want)
	}
	for _, test := range []struct {
		name string
		got  []byte
		want string
	}{
		{"ARP announcement", announcement(arpRequest, goldenMAC, golden4), "000108000604000102005e100001c000020a000000000000c000020a"},
		{"ARP announcement as a reply", announcement(arpReply, goldenMAC, golden4), "000108000604000202005e100001c000020a02005e100001c000020a"},
		{"ARP probe", arpProbe(goldenMAC, golden4), "000108000604000102005e10000100000000000000000000c000020a"},
		{"neighbour advertisement", advertisement(goldenMAC, golden6),
			"6000000000203aff20010db8000000000000000000000010ff020000000000000000000000000001" +
				"88009afc2000000020010db8000000000000000000000010020102005e100001"},
		{"neighbour solicitation", solicit,
			"6000000000183aff00000000000000000000000000000000ff0200000000000000000001ff000010" +
				"87004ccf0000000020010db8000000000000000000000010"},
		{"tickle over IPv4", tickle(goldenOn4), "450000280000400040064e8bc000020ac6336407" + "080102bc000000000000000050100400b4d20000"},
		{"tickle with a byte", tickle(goldenOn4, 0), "450000290000400040064e8ac000020ac6336407" + "080102bc000000000000000050100400b4d1000000"},
		{"tickle over IPv6", tickle(goldenOn6),
			"600000000014064020010db800000000000000000000001020010db8000100000000000000000007" + "080102bc000000000000000050100400458e0000"},
	} {
		if got := hex.EncodeToString(test.got); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestARPClaims(t *testing.T) {
	other := [6]byte{0x02, 0, 0x5e, 0x10, 0, 2}
	elsewhere := netip.MustParseAddr("192.0.2.99")
	for _, test := range []struct {
		name   string
		packet arp
		want   bool
	}{
		{"an answer", arp{op: arpReply, senderMAC: other, sender: golden4, target: netip.IPv4Unspecified()}, true},
		{"an announcement", arp{op: arpRequest, senderMAC: other, sender: golden4, target: golden4}, true},
		{"the holder asks for another", arp{op: arpRequest, senderMAC: other, sender: golden4, target: elsewhere}, true},
		{"another prober", arp{op: arpRequest, senderMAC: other, sender: netip.IPv4Unspecified(), target: golden4}, true},
		{"our own probe", arp{op: arpRequest, senderMAC: goldenMAC, sender: netip.IPv4Unspecified(), target: golden4}, false},
		{"a client asks for it", arp{op: arpRequest, senderMAC: other, sender: elsewhere, target: golden4}, false},
		{"a probe for another", arp{op: arpRequest, senderMAC: other, sender: netip.IPv4Unspecified(), target: elsewhere}, false},
	} {
		got, err := parseARP(append(test.packet.encode(), make([]byte, 18)...)) // with Ethernet's padding
		if err != nil || got != test.packet {
			t.Errorf("%s: parsed as %+v, %v", test.name, got, err)
		}
		if got.claims(golden4, goldenMAC) != test.want {
			t.Errorf("%s: claims is %v", test.name, !test.want)
		}
	}
}

func TestAdvertisementRoundTrip(t *testing.T) {
	target, mac, err := parseAdvertisement(advertisement(goldenMAC, golden6)[ipv6HeaderSize:])
	if err != nil || target != golden6 || mac != goldenMAC {
		t.Fatal(target, mac, err)
	}
}

func FuzzParseARP(f *testing.F) {
	f.Add(announcement(arpReply, goldenMAC, golden4))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := parseARP(data); err == nil && !bytes.Equal(p.encode(), data[:arpSize]) {
			t.Fatalf("%x becomes %x", data, p.encode())
		}
	})
}

func FuzzParseAdvertisement(f *testing.F) {
	f.Add(advertisement(goldenMAC, golden6)[ipv6HeaderSize:])
	f.Add([]byte{advertiseKind, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if target, _, err := parseAdvertisement(data); err == nil && !bytes.Equal(target.AsSlice(), data[8:24]) {
			t.Fatal(target)
		}
	})
}

// FuzzChecksum: a message with its checksum in place sums up to all ones (RFC 1071), whatever it is.
func FuzzChecksum(f *testing.F) {
	f.Add([]byte("a segment of a connection"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 18 || len(data) > 60000 {
			return
		}
		packet := ipv6Packet(tcp, 1, golden6, allNodes, bytes.Clone(data))
		if rest := checksum(golden6, allNodes, tcp, packet[ipv6HeaderSize:]); rest != 0 {
			t.Fatalf("checksum is off by %x", rest)
		}
	})
}
