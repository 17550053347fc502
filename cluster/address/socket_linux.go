package address

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Freebind is a net.ListenConfig.Control that lets a listener bind an address which the machine does not have yet.
func Freebind(network, _ string, c syscall.RawConn) error {
	return control(c, "setsockopt(FREEBIND)", func(fd int) error {
		if strings.HasSuffix(network, "6") {
			return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
		}
		return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_FREEBIND, 1)
	})
}

func control(c syscall.RawConn, name string, set func(fd int) error) error {
	var err error
	if controlErr := c.Control(func(fd uintptr) { err = set(int(fd)) }); controlErr != nil {
		return controlErr
	}
	return os.NewSyscallError(name, err)
}
