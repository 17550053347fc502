package address

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Abandon makes every TCP connection of this process whose local address is one of these end without a word to the client, whichever part
// of the process serves it: reading ends as if the client had closed, writing fails, and closing sends neither FIN nor RST. A
// Listener calls it from Close, after the last connection was accepted. It returns the number of connections, and needs
// CAP_NET_ADMIN; without that the connections only end.
func Abandon(addrs ...netip.Addr) (int, error) {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0, err
	}
	count := 0
	var errs []error
	for _, name := range names {
		fd, err := strconv.Atoi(name.Name())
		if err != nil || !connectedAt(fd, addrs) {
			continue
		}
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) // the number may be another's at any time
		if err != nil {
			continue
		}
		if connectedAt(own, addrs) {
			count++
			if err := abandon(own); err != nil && len(errs) == 0 {
				errs = append(errs, err)
			}
		}
		_ = unix.Close(own)
	}
	return count, errors.Join(errs...)
}

func abandon(fd int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_REPAIR, 1)
	return errors.Join(os.NewSyscallError("setsockopt(TCP_REPAIR)", err), unix.Shutdown(fd, unix.SHUT_RD))
}

// connectedAt reports whether fd is a TCP connection whose end here has one of these addresses.
func connectedAt(fd int, addrs []netip.Addr) bool {
	local, err := unix.Getsockname(fd)
	if err != nil || !slices.Contains(addrs, addressOf(local)) {
		return false
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil || kind != unix.IPPROTO_TCP {
		return false
	}
	_, err = unix.Getpeername(fd)
	return err == nil
}

func addressOf(sa unix.Sockaddr) netip.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(sa.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(sa.Addr).Unmap()
	}
	return netip.Addr{}
}
