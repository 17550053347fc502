package address

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"causeway"
)

// TestChoose: where an address is, or should be.
func TestChoose(t *testing.T) {
	links := []link{{index: 1, name: "lo", up: true}, {index: 2, name: "eth0", ethernet: true, up: true}, {index: 3, name: "eth1", ethernet: true, up: true}}
	at := func(index int, prefix string, life time.Duration) ifaddr {
		return ifaddr{index: index, prefix: netip.MustParsePrefix(prefix), life: life}
	}
	base := []ifaddr{at(1, "127.0.0.1/8", -1), at(2, "10.0.0.5/8", -1), at(3, "10.1.0.5/16", -1)}
	for _, test := range []struct {
		name, addr, ifname string
		more               []ifaddr
		want               place
		code               causeway.Code
	}{
		{"the smallest network", "10.1.0.9", "", nil, place{index: 3, name: "eth1", up: true}, causeway.OK},
		{"the other network", "10.2.0.9", "", nil, place{index: 2, name: "eth0", up: true}, causeway.OK},
		{"a named interface", "10.1.0.9", "eth0", nil, place{index: 2, name: "eth0", up: true}, causeway.OK},
		{"an interface that is not there", "10.1.0.9", "eth9", nil, place{}, causeway.ErrNoDev},
		{"no network", "192.0.2.1", "", nil, place{}, causeway.ErrNoDev},
		{"a single address is no network", "192.0.2.1", "", []ifaddr{at(2, "192.0.2.1/32", 3*time.Second)},
			place{index: 2, name: "eth0", up: true, present: true}, causeway.OK},
		{"ours already", "10.1.0.9", "", []ifaddr{at(2, "10.1.0.9/32", 2*time.Second)},
			place{index: 2, name: "eth0", up: true, present: true, ours: true}, causeway.OK},
		{"the operator's", "10.1.0.9", "", []ifaddr{at(3, "10.1.0.9/32", -1)}, place{index: 3, name: "eth1", up: true, present: true}, causeway.OK},
		{"a lease of DHCP", "10.1.0.9", "", []ifaddr{at(3, "10.1.0.9/16", time.Second)}, place{index: 3, name: "eth1", up: true, present: true}, causeway.OK},
	} {
		got, err := choose(netip.MustParseAddr(test.addr), test.ifname, 2*time.Second, links, slices.Concat(base, test.more))
		if got != test.want || causeway.CodeOf(err) != test.code {
			t.Errorf("%s: %+v, %v", test.name, got, err)
		}
	}
}

// FuzzNetlink: the kernel is trusted, but not a reason to panic.
func FuzzNetlink(f *testing.F) {
	f.Add(addressMessage(1, golden4))
	f.Add(addressMessage(1, golden6))
	f.Add(appendAttribute(make([]byte, 16), 3, []byte("eth0\x00")))
	f.Add(bytes.Repeat([]byte{1, 0, 0, 0}, 30))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = messages(data, func(kind, _ uint16, _ uint32, body []byte) error {
			hear(kind, body, func(netip.Addr) {})
			return errnoOf(body)
		})
		if a, err := parseAddress(data); err == nil && a.prefix.IsValid() && !a.prefix.Addr().IsValid() {
			t.Fatal(a)
		}
		_, _ = parseLink(data)
		_, _ = parseDiag(data)
	})
}
