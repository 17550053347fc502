package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"causeway/gateway/nfs/portmap"
	"causeway/gateway/nfs/rpc"
)

const insideNamespace = "CAUSEWAY_TEST_INSIDE"

// TestPortmapBesideAnotherLockd serves with a real rpcbind at which another server has NLM, in namespaces of its own.
func TestPortmapBesideAnotherLockd(t *testing.T) {
	if os.Getenv(insideNamespace) != "" {
		besideAnotherLockd(t)
		return
	}
	if _, err := exec.LookPath("rpcbind"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs rpcbind and root: ", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	script := `mount --make-rprivate / && mount -t tmpfs none /run && ip link set lo up && exec "$0" -test.v -test.run "^$1\$"`
	c := exec.CommandContext(ctx, "sh", "-c", script, self, t.Name())
	c.Env = append(os.Environ(), insideNamespace+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func besideAnotherLockd(t *testing.T) {
	rpcbind := exec.Command("rpcbind", "-f", "-w")
	if err := rpcbind.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		rpcbind.Process.Kill()
		rpcbind.Wait()
	})
	other := anotherLockd(t)
	r := startServe(t, t.TempDir(), nil, "--listen", "127.0.0.1:2049", "--admin", "off", "--portmap", share(t, "data"))
	if !strings.Contains(r.said, "-o vers=3,proto=tcp,nolock 127.0.0.1:/data") {
		t.Errorf("clients are not told to do without locks:\n%s", r.said)
	}
	for end := time.Now().Add(patience); !strings.Contains(r.logged(), "rpcinfo -p") && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond) // the log has a pipe of its own
	}
	if !strings.Contains(r.logged(), "program=100021") || strings.Count(r.logged(), "rpcinfo -p") != 1 {
		t.Errorf("the log does not say what is missing:\n%s", r.logged())
	}
	for _, c := range []struct {
		program, version uint32
		port             uint16
	}{{100003, 3, 2049}, {100005, 3, 2049}, {100024, 1, 2049}, {100021, 4, other}} {
		at, err := portmap.Client{}.Find(t.Context(), "tcp", netip.Addr{}, netip.MustParseAddr("127.0.0.1"), c.program, c.version)
		if err != nil || at.Port() != c.port {
			t.Errorf("program %d is at %v, %v; want port %d", c.program, at, err, c.port)
		}
	}
}

// anotherLockd answers NLM and is registered for it.
func anotherLockd(t *testing.T) (port uint16) {
	t.Helper()
	s, err := rpc.NewServer(rpc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Register(100021, 4, rpc.HandlerFunc(func(context.Context, *rpc.Call) rpc.Verdict { return rpc.Done }))
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Shutdown(context.Background())
		<-served
	})
	at := l.Addr().(*net.TCPAddr).AddrPort()
	services := []portmap.Service{{Prog: 100021, Vers: 4, Network: "tcp", Addr: at}}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // until rpcbind listens
		_, err := portmap.Register(t.Context(), portmap.RegisterConfig{Services: services})
		if err == nil {
			return at.Port()
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
