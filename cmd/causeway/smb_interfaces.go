package main

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"causeway/gateway/smb"
)

// smbInterfaces are the addresses at which SMB is answered here, for clients that can use several. Of a gateway that listens everywhere those
// are left out that clients of the network cannot use.
func (n *node) smbInterfaces() (list []smb.Interface) {
	answers := func(netip.Addr) bool { return false }
	at := map[netip.Addr]bool{} // of a cluster
	if n.smb.at != nil {
		for _, a := range n.smb.at() {
			at[a.Unmap()] = true
		}
		answers = func(a netip.Addr) bool { return at[a] }
	} else if n.smb.listen != nil {
		if bound := n.smb.listen.Addr().(*net.TCPAddr).AddrPort().Addr().Unmap(); bound.IsUnspecified() {
			answers = func(a netip.Addr) bool { return a.IsGlobalUnicast() && (a.Is4() || bound.Is6()) }
		}
	}
	all, err := net.Interfaces()
	if err != nil {
		n.log.Debug("the network interfaces are not known", "err", err)
	}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && answers(p.Addr().Unmap()) {
				delete(at, p.Addr().Unmap())
				list = append(list, smb.Interface{Addr: p.Addr().Unmap(), Index: i.Index, Speed: linkSpeed(sysNet, i.Name)})
			}
		}
	}
	for a := range at { // the system routes it here without an interface that has it, as it does in 127.0.0.0/8
		list = append(list, smb.Interface{Addr: a})
	}
	return list
}

// smbAt lists the service addresses at which SMB is answered.
func (s *site) smbAt() (list []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a, p := range s.open {
		if p.smb != nil {
			list = append(list, a)
		}
	}
	return list
}

// sysNet is where Linux describes network interfaces.
const sysNet = "/sys/class/net"

// linkSpeed is how fast an interface is, in bits per second; 0 where the system does not say.
func linkSpeed(dir, name string) uint64 {
	text, err := os.ReadFile(filepath.Join(dir, name, "speed"))
	if err != nil {
		return 0
	}
	mbits, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 32)
	if err != nil || mbits <= 0 { // -1: no link, or none that has a speed
		return 0
	}
	return uint64(mbits) * 1e6
}
