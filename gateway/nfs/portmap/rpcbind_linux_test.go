package portmap

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"causeway/gateway/nfs/rpc"
)

// inside is set in the environment of the test's second life, in namespaces of its own.
const inside = "CAUSEWAY_TEST_RPCBIND"

// TestRpcbind registers with the real rpcbind, in network and mount namespaces of its own: that needs the superuser.
func TestRpcbind(t *testing.T) {
	if os.Getenv(inside) != "" {
		testRpcbind(t)
		return
	}
	for _, tool := range []string{"rpcbind", "mount", "ip", "sh"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("not the superuser")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	script := `mount --make-rprivate / && mount -t tmpfs none /run && ip link set lo up && exec "$0" -test.run '^TestRpcbind$' -test.v`
	cmd := exec.CommandContext(ctx, "sh", "-c", script, os.Args[0])
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("no namespaces here: ", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func testRpcbind(t *testing.T) {
	daemon := exec.Command("rpcbind", "-f", "-w")
	daemon.Stdout, daemon.Stderr = os.Stdout, os.Stderr
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		daemon.Process.Signal(syscall.SIGTERM)
		daemon.Wait()
	}()
	loopback := netip.MustParseAddr("127.0.0.1")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	find := func() (netip.AddrPort, error) {
		return Client{}.Find(ctx, "tcp", netip.Addr{}, loopback, 100021, 4)
	}
	for { // until it listens
		if _, err := find(); errors.Is(err, ErrNotRegistered) {
			break
		} else if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	mine := func(port uint16) []Service {
		return []Service{{100021, 4, "tcp", netip.AddrPortFrom(netip.IPv4Unspecified(), port)}, {100021, 4, "udp", netip.AddrPortFrom(loopback, port)}}
	}
	for _, by := range []string{"/run/rpcbind.sock", "/run/none.sock"} {
		r, err := Register(ctx, RegisterConfig{Services: mine(4045), Socket: by})
		if err != nil {
			t.Fatal(by, err)
		}
		if at, err := find(); err != nil || at.Port() != 4045 {
			t.Error(by, at, err)
		}
		if err := r.Close(ctx); err != nil {
			t.Error(by, err)
		}
		if at, err := find(); !errors.Is(err, ErrNotRegistered) {
			t.Error(by, at, err)
		}
	}
	leftBehind(t, ctx, mine, find)
}

// leftBehind: a registration without a server is replaced, one with a server is not.
func leftBehind(t *testing.T, ctx context.Context, mine func(uint16) []Service, find func() (netip.AddrPort, error)) {
	if _, err := Register(ctx, RegisterConfig{Services: mine(4045)}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:4046")
	if err != nil {
		t.Fatal(err)
	}
	s, err := rpc.NewServer(rpc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Register(100021, 4, rpc.HandlerFunc(func(context.Context, *rpc.Call) rpc.Verdict { return rpc.Done }))
	go s.Serve(l)
	defer s.Shutdown(ctx)
	if _, err := Register(ctx, RegisterConfig{Services: mine(4046)}); err != nil {
		t.Fatal(err)
	}
	if at, err := find(); err != nil || at.Port() != 4046 {
		t.Error(at, err)
	}
	if _, err := Register(ctx, RegisterConfig{Services: mine(4047)}); !errors.Is(err, ErrTaken) {
		t.Error(err)
	}
	nfs := Service{100003, 3, "tcp", netip.AddrPortFrom(netip.IPv4Unspecified(), 4047)}
	r, err := Register(ctx, RegisterConfig{Services: append(mine(4047), nfs), Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	// By UDP nobody answers at the old port, so that registration is replaced.
	if taken := r.Taken(); len(taken) != 1 || taken[0] != mine(4047)[0] {
		t.Errorf("taken: %v", taken)
	}
	if at, err := find(); err != nil || at.Port() != 4046 {
		t.Errorf("what another server has was replaced: %v, %v", at, err)
	}
	at, err := Client{}.Find(ctx, "tcp", netip.Addr{}, netip.MustParseAddr("127.0.0.1"), 100003, 3)
	if err != nil || at.Port() != 4047 {
		t.Errorf("what nobody has was not registered: %v, %v", at, err)
	}
	if err := r.Close(ctx); err != nil {
		t.Error(err)
	}
	if at, err := find(); err != nil || at.Port() != 4046 {
		t.Errorf("another server's registration was taken back: %v, %v", at, err)
	}
}
