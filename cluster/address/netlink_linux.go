package address

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

var native = binary.NativeEndian

// netlink is a socket to the kernel for requests and their answers (RFC 3549 §2.3). It belongs to the network namespace of
// the thread that opened it. It is safe for concurrent use.
type netlink struct {
	mu  sync.Mutex
	fd  int
	seq uint32
	buf []byte
}

// netlinkTimeout bounds the wait for the kernel's answer, in seconds.
const netlinkTimeout = 1

func dialNetlink(protocol int) (*netlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket(AF_NETLINK)", err)
	}
	n := &netlink{fd: fd, buf: make([]byte, 64<<10)}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: netlinkTimeout})
	}
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("bind(AF_NETLINK)", err), n.close())
	}
	return n, nil
}

func (n *netlink) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return unix.Close(n.fd)
}

// errInterrupted means that a dump changed while it was read.
var errInterrupted = errors.New("the kernel's table changed while it was read")

// request sends a request and hands each answer to each, until the kernel says that it was the last. A dump that changed
// under way is asked for again, so each must be ready to start over when restart is called.
func (n *netlink) request(kind, flags uint16, body []byte, restart func(), each func(kind uint16, body []byte) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range 5 {
		restart()
		err := n.once(kind, flags, body, each)
		if !errors.Is(err, errInterrupted) {
			return err
		}
	}
	return errInterrupted
}

func (n *netlink) once(kind, flags uint16, body []byte, each func(kind uint16, body []byte) error) error {
	n.seq++
	msg := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	native.PutUint32(msg[0:], uint32(unix.SizeofNlMsghdr+len(body)))
	native.PutUint16(msg[4:], kind)
	native.PutUint16(msg[6:], flags|unix.NLM_F_REQUEST)
	native.PutUint32(msg[8:], n.seq)
	if err := unix.Sendto(n.fd, append(msg, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("send(AF_NETLINK)", err)
	}
	interrupted := false
	for {
		size, _, err := unix.Recvfrom(n.fd, n.buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("receive(AF_NETLINK)", err)
		}
		last, err := n.answers(n.buf[:size], &interrupted, each)
		if last || err != nil {
			return err
		}
	}
}

// answers handles the messages of a datagram; those of earlier requests that timed out are passed over.
func (n *netlink) answers(data []byte, interrupted *bool, each func(kind uint16, body []byte) error) (last bool, err error) {
	err = messages(data, func(kind, flags uint16, seq uint32, body []byte) error {
		if seq != n.seq || last {
			return nil
		}
		*interrupted = *interrupted || flags&unix.NLM_F_DUMP_INTR != 0
		switch kind {
		case unix.NLMSG_DONE:
			last = true
			if *interrupted {
				return errInterrupted
			}
			return errnoOf(body)
		case unix.NLMSG_ERROR:
			last = true
			return errnoOf(body)
		}
		return each(kind, body)
	})
	return last, err
}

// errnoOf reads the negative errno at the start of NLMSG_ERROR and NLMSG_DONE; zero is success.
func errnoOf(body []byte) error {
	if len(body) < 4 {
		return nil
	}
	if code := int32(native.Uint32(body)); code < 0 {
		return unix.Errno(-code)
	}
	return nil
}

var errShort = errors.New("short netlink message")

// messages splits a datagram.
func messages(data []byte, each func(kind, flags uint16, seq uint32, body []byte) error) error {
	for len(data) > 0 {
		if len(data) < unix.SizeofNlMsghdr {
			return errShort
		}
		size := native.Uint32(data)
		if size < unix.SizeofNlMsghdr || uint64(size) > uint64(len(data)) {
			return fmt.Errorf("%w: %d of %d bytes", errShort, len(data), size)
		}
		if err := each(native.Uint16(data[4:]), native.Uint16(data[6:]), native.Uint32(data[8:]), data[unix.SizeofNlMsghdr:size]); err != nil {
			return err
		}
		data = data[min(aligned(int(size)), len(data)):]
	}
	return nil
}

// attributeKind masks the flags of nesting and byte order (NLA_TYPE_MASK).
const attributeKind = 0x3fff

// attributes splits the attributes at the end of a message.
func attributes(data []byte, each func(kind uint16, value []byte)) error {
	for len(data) >= unix.SizeofRtAttr {
		size := int(native.Uint16(data))
		if size < unix.SizeofRtAttr || size > len(data) {
			return errShort
		}
		each(native.Uint16(data[2:])&attributeKind, data[unix.SizeofRtAttr:size])
		data = data[min(aligned(size), len(data)):]
	}
	return nil
}

// appendAttribute appends an attribute and its padding.
func appendAttribute(dst []byte, kind uint16, value []byte) []byte {
	dst = native.AppendUint16(dst, uint16(unix.SizeofRtAttr+len(value)))
	dst = native.AppendUint16(dst, kind)
	dst = append(dst, value...)
	return append(dst, make([]byte, aligned(len(value))-len(value))...)
}

// aligned is NLMSG_ALIGN and RTA_ALIGN.
func aligned(n int) int { return (n + 3) &^ 3 }
