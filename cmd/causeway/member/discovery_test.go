package member

import (
	"net/netip"
	"testing"

	"causeway/discovery"
)

// TestOrderIsOfSMB: clients of SMB are sent only to gateways that answer it.
func TestOrderIsOfSMB(t *testing.T) {
	m, v := &Member{}, discovery.View{Services: map[string]uint16{"nfs": 2049, "smb": 445}, Volumes: []discovery.Volume{{Name: "home"}}}
	for i, services := range [][]string{{"nfs"}, {"nfs", "smb"}, {"smb"}, nil} {
		v.Gateways = append(v.Gateways, discovery.Gateway{
			Name: string(rune('a' + i)), Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}, Capacity: 1, State: discovery.Active,
			Utilization: discovery.UnknownUtilization, Services: services,
		})
	}
	m.rank(v)
	got := map[string]bool{}
	for _, a := range m.Order("home", netip.MustParseAddr("192.0.2.1")) {
		got[a.String()] = true
	}
	if len(got) != 2 || !got["10.0.0.1"] || !got["10.0.0.2"] {
		t.Error(got)
	}
}
