package address

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// host is a network namespace with an interface cwaddr0 on the test's network. A thread lives in it and does what must be
// done there; it is gone with the test process at the latest.
type host struct {
	t      testing.TB
	n      int // the last part of its addresses
	tid    int
	work   chan func()
	done   chan struct{}
	center *host
}

const ifname = "cwaddr0"

func own4(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 98, 0, byte(n)}) }

func own6(n int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fd98::%x", n)) }

// newNamespace makes a namespace. Its thread never serves another goroutine.
func newNamespace(t testing.TB) *host {
	t.Helper()
	h := &host{t: t, work: make(chan func()), done: make(chan struct{})}
	ready := make(chan error)
	go func() {
		defer close(h.done)
		runtime.LockOSThread()
		h.tid = unix.Gettid()
		err := unix.Unshare(unix.CLONE_NEWNET)
		ready <- err
		if err != nil {
			return
		}
		for f := range h.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(h.work); <-h.done })
	h.ip("link set lo up")
	return h
}

// newNetwork makes an Ethernet segment with n hosts. It skips the test where that cannot be, unless it was asked for.
func newNetwork(t testing.TB, n int) []*host {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("CAUSEWAY_E2E") != "" {
		skip = t.Fatalf
	}
	if os.Getuid() != 0 {
		skip("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		skip("needs ip (apt-get install iproute2): %v", err)
	}
	center := newNamespace(t)
	center.ip("link add cwaddrbr type bridge stp_state 0 forward_delay 0 mcast_snooping 0", "link set cwaddrbr up")
	hosts := make([]*host, n)
	for i := range hosts {
		h := newNamespace(t)
		h.n, h.center = i+1, center
		h.attach()
		hosts[i] = h
	}
	return hosts
}

// attach gives the host its interface.
func (h *host) attach() {
	h.t.Helper()
	h.center.ip(fmt.Sprintf("link add cwaddr%d type veth peer name %s netns %d", h.n, ifname, h.tid),
		fmt.Sprintf("link set cwaddr%d master cwaddrbr up", h.n))
	h.ip("link set "+ifname+" up", fmt.Sprintf("addr add %v/24 dev %s", own4(h.n), ifname),
		fmt.Sprintf("addr add %v/64 dev %s nodad", own6(h.n), ifname))
}

func (h *host) do(f func()) {
	finished := make(chan struct{})
	h.work <- func() { defer close(finished); f() }
	<-finished
}

// ip runs ip(8), once per line.
func (h *host) ip(script ...string) string {
	h.t.Helper()
	var all strings.Builder
	for _, line := range script {
		var out []byte
		var err error
		h.do(func() { out, err = exec.Command("ip", strings.Fields(line)...).CombinedOutput() })
		if err != nil {
			h.t.Fatalf("ip %s: %v: %s", line, err, out)
		}
		all.Write(out)
	}
	return all.String()
}

// unplug cuts the host from the network: it does not hear and is not heard, as if its machine were dead.
func (h *host) unplug() { h.center.ip(fmt.Sprintf("link set cwaddr%d down", h.n)) }

func (h *host) plug() { h.center.ip(fmt.Sprintf("link set cwaddr%d up", h.n)) }

// has reports whether addr is an address of the host, and whether it has a lifetime.
func (h *host) has(addr netip.Addr) (present, mortal bool) {
	h.t.Helper()
	for line := range strings.Lines(h.ip("-o addr show dev " + ifname)) {
		if strings.Contains(line, " "+addr.String()+"/") {
			return true, !strings.Contains(line, "valid_lft forever")
		}
	}
	return false, false
}

// neighbour returns what the host knows about who has addr, which it first tries to reach.
func (h *host) neighbour(addr netip.Addr) string {
	fields := strings.Fields(h.ip("neigh show " + addr.String() + " dev " + ifname))
	for i, f := range fields {
		if f == "lladdr" && i+1 < len(fields) {
			return fields[i+1]
		}
	}
	return ""
}

func (h *host) mac() string {
	fields := strings.Fields(h.ip("-o link show dev " + ifname))
	for i, f := range fields {
		if f == "link/ether" {
			return fields[i+1]
		}
	}
	h.t.Fatal("no hardware address")
	return ""
}

func (h *host) dial(addr netip.Addr) (*net.TCPConn, error) {
	var conn net.Conn
	var err error
	h.do(func() { conn, err = net.DialTimeout("tcp", netip.AddrPortFrom(addr, port).String(), 5*time.Second) })
	if err != nil {
		return nil, err
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn), nil
}

// start starts cmd on the host; the kernel kills it with the test.
func (h *host) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	h.do(func() { err = cmd.Start() })
	return err
}

// bound is far beyond anything that is waited for here.
const bound = 30 * time.Second

// eventually polls.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(bound); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatal("never: " + what)
}
