package address

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// link is a network interface.
type link struct {
	index    int
	name     string
	mac      [6]byte
	ethernet bool
	up       bool // and has a carrier
}

// ifaddr is an address of an interface.
type ifaddr struct {
	index  int
	prefix netip.Prefix  // its address, not masked
	life   time.Duration // that remains; forever if negative
}

const forever = 1<<32 - 1 // seconds

// links lists the interfaces.
func (n *netlink) links() ([]link, error) {
	var all []link
	err := n.request(unix.RTM_GETLINK, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfInfomsg), func() { all = nil }, func(kind uint16, body []byte) error {
		l, err := parseLink(body)
		if kind == unix.RTM_NEWLINK && err == nil {
			all = append(all, l)
		}
		return err
	})
	return all, err
}

// parseLink reads an ifinfomsg and its attributes.
func parseLink(body []byte) (link, error) {
	if len(body) < unix.SizeofIfInfomsg {
		return link{}, errShort
	}
	flags := native.Uint32(body[8:])
	l := link{
		index: int(int32(native.Uint32(body[4:]))), ethernet: native.Uint16(body[2:]) == unix.ARPHRD_ETHER,
		up: flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING != 0,
	}
	return l, attributes(body[unix.SizeofIfInfomsg:], func(kind uint16, value []byte) {
		switch {
		case kind == unix.IFLA_IFNAME && len(value) > 0:
			l.name = string(value[:len(value)-1])
		case kind == unix.IFLA_ADDRESS && len(value) == len(l.mac):
			l.mac = [6]byte(value)
		}
	})
}

// addresses lists the addresses of a family.
func (n *netlink) addresses(family uint8) ([]ifaddr, error) {
	var all []ifaddr
	body := make([]byte, unix.SizeofIfAddrmsg)
	body[0] = family
	err := n.request(unix.RTM_GETADDR, unix.NLM_F_DUMP, body, func() { all = nil }, func(kind uint16, body []byte) error {
		a, err := parseAddress(body)
		if kind == unix.RTM_NEWADDR && err == nil && a.prefix.IsValid() {
			all = append(all, a)
		}
		return err
	})
	return all, err
}

// parseAddress reads an ifaddrmsg and its attributes. IFA_LOCAL is the address where there is one: IFA_ADDRESS is the other end
// of a point-to-point link then.
func parseAddress(body []byte) (ifaddr, error) {
	if len(body) < unix.SizeofIfAddrmsg {
		return ifaddr{}, errShort
	}
	a := ifaddr{index: int(native.Uint32(body[4:])), life: -1}
	var local, other netip.Addr
	err := attributes(body[unix.SizeofIfAddrmsg:], func(kind uint16, value []byte) {
		switch kind {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(value)
		case unix.IFA_ADDRESS:
			other, _ = netip.AddrFromSlice(value)
		case unix.IFA_CACHEINFO:
			if len(value) >= 8 && native.Uint32(value[4:]) != forever {
				a.life = time.Duration(native.Uint32(value[4:])) * time.Second
			}
		}
	})
	if !local.IsValid() {
		local = other
	}
	a.prefix = netip.PrefixFrom(local, int(body[1]))
	return a, err
}

// putAddress adds addr alone (no network comes with it) to an interface with a lifetime, or renews it; create makes it fail with
// EEXIST if it is there.
//
// An IPv6 address is deprecated from the start, so that no connection of this machine to others starts from an address that
// will leave (RFC 6724 §5 rule 3), and skips the kernel's duplicate detection, which would keep it unusable for a second: the
// probe was that.
func (n *netlink) putAddress(index int, addr netip.Addr, lifetime time.Duration, create bool) error {
	seconds := uint32(lifetime / time.Second)
	preferred := seconds
	if addr.Is6() {
		preferred = 0
	}
	info := make([]byte, 16) // ifa_cacheinfo
	native.PutUint32(info[0:], preferred)
	native.PutUint32(info[4:], seconds)
	body := appendAttribute(addressMessage(index, addr), unix.IFA_CACHEINFO, info)
	flags := uint16(unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_REPLACE)
	if create {
		flags = unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_EXCL
	}
	return n.request(unix.RTM_NEWADDR, flags, body, nothing, ignore)
}

// isLocal reports whether packets to addr are delivered on this machine.
func (n *netlink) isLocal(addr netip.Addr) (bool, error) {
	body := make([]byte, unix.SizeofRtMsg)
	body[0], body[1] = family(addr), uint8(addr.BitLen())
	body = appendAttribute(body, unix.RTA_DST, addr.AsSlice())
	local := false
	err := n.request(unix.RTM_GETROUTE, unix.NLM_F_ACK, body, nothing, func(kind uint16, body []byte) error {
		if kind == unix.RTM_NEWROUTE && len(body) >= unix.SizeofRtMsg {
			local = body[7] == unix.RTN_LOCAL
		}
		return nil
	})
	if err == unix.ENETUNREACH || err == unix.EHOSTUNREACH {
		err = nil
	}
	return local, err
}

// removeAddress removes addr as putAddress has added it.
func (n *netlink) removeAddress(index int, addr netip.Addr) error {
	return n.request(unix.RTM_DELADDR, unix.NLM_F_ACK, addressMessage(index, addr), nothing, ignore)
}

func nothing() {}

func ignore(uint16, []byte) error { return nil }

// addressMessage is an ifaddrmsg with the attributes that say which address is meant.
func addressMessage(index int, addr netip.Addr) []byte {
	body := make([]byte, unix.SizeofIfAddrmsg)
	body[0], body[1] = family(addr), uint8(addr.BitLen())
	native.PutUint32(body[4:], uint32(index))
	body = appendAttribute(body, unix.IFA_LOCAL, addr.AsSlice())
	body = appendAttribute(body, unix.IFA_ADDRESS, addr.AsSlice())
	if addr.Is6() {
		body = appendAttribute(body, unix.IFA_FLAGS, native.AppendUint32(nil, unix.IFA_F_NODAD|unix.IFA_F_NOPREFIXROUTE))
	}
	return body
}

func family(addr netip.Addr) uint8 {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
