package peer

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace with a loopback interface that is up. It needs root.
type Namespace struct{ file *os.File }

// NewNamespace makes one without a name: it lives as long as it is open or a process runs in it.
func NewNamespace() (*Namespace, error) {
	var ns *Namespace
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare the network: %w", err)
		}
		if err := loopbackUp(); err != nil {
			return err
		}
		file, err := os.Open(threadNetwork)
		if err == nil {
			ns = &Namespace{file}
		}
		return err
	})
	return ns, err
}

// HostNamespace is the namespace of this process.
func HostNamespace() (*Namespace, error) {
	file, err := os.Open(threadNetwork)
	if err != nil {
		return nil, err
	}
	return &Namespace{file}, nil
}

const threadNetwork = "/proc/thread-self/ns/net"

// onThread runs f on an operating system thread of its own kind and brings the thread back to its namespace. A thread that
// cannot be brought back is not used again.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(threadNetwork)
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		defer home.Close()
		err = f()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// Do runs f on a thread that is inside the namespace: sockets made and processes started by f belong to it.
func (n *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

// Dial returns a TCP socket connected inside the namespace, without Nagle's delay, in blocking mode.
func (n *Namespace) Dial(to netip.AddrPort) (fd int, err error) {
	err = n.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err == nil {
			err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
		}
		if err != nil {
			unix.Close(fd)
		}
		return err
	})
	return fd, err
}

// DialConn is Dial for callers that want a net.Conn.
func (n *Namespace) DialConn(to netip.AddrPort) (net.Conn, error) {
	fd, err := n.Dial(to)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "nfs")
	defer file.Close()
	return net.FileConn(file)
}

// Close lets the namespace go.
func (n *Namespace) Close() error { return n.file.Close() }
