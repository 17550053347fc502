package address

import (
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// monitor hears from the kernel what others do to addresses and interfaces.
type monitor struct {
	socket *os.File
	done   chan struct{}
}

// watch calls changed for every address that disappears or changes, and with an invalid address when interfaces change or news were lost,
// on one goroutine until close.
func watch(changed func(netip.Addr)) (*monitor, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket(AF_NETLINK)", err)
	}
	const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return nil, errors.Join(os.NewSyscallError("bind(AF_NETLINK)", err), unix.Close(fd))
	}
	m := &monitor{socket: os.NewFile(uintptr(fd), "netlink"), done: make(chan struct{})}
	go func() {
		defer close(m.done)
		m.listen(changed)
	}()
	return m, nil
}

func (m *monitor) close() error {
	err := m.socket.Close()
	<-m.done
	return err
}

func (m *monitor) listen(changed func(netip.Addr)) {
	buf := make([]byte, 64<<10)
	for {
		n, err := m.socket.Read(buf)
		switch {
		case errors.Is(err, unix.ENOBUFS): // the kernel had more to say than the socket holds
			changed(netip.Addr{})
			continue
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return
		}
		_ = messages(buf[:n], func(kind, _ uint16, _ uint32, body []byte) error {
			hear(kind, body, changed)
			return nil
		})
	}
}

// hear passes on what may concern a held address. What is only renewed, by us, does not.
func hear(kind uint16, body []byte, changed func(netip.Addr)) {
	switch kind {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		changed(netip.Addr{})
	case unix.RTM_DELADDR:
		if a, err := parseAddress(body); err == nil && a.prefix.IsValid() {
			changed(a.prefix.Addr())
		}
	case unix.RTM_NEWADDR:
		if a, err := parseAddress(body); err == nil && a.prefix.IsValid() && a.life < 0 {
			changed(a.prefix.Addr())
		}
	}
}
