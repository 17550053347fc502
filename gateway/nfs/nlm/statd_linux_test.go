package nlm

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"causeway/gateway/nfs/portmap"
	"causeway/gateway/nfs/rpc"
)

// inside is set in the environment of a test's second life, in namespaces of its own.
const inside = "CAUSEWAY_TEST_STATD"

// apart runs a test again in network and mount namespaces of its own, with an empty /run. That needs the superuser.
func apart(t *testing.T, test func(*testing.T), tools ...string) {
	if os.Getenv(inside) != "" {
		test(t)
		return
	}
	for _, tool := range append(tools, "mount", "ip", "sh") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("not the superuser")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// The tools tell the kernel's lock manager, if there is one, a number: not this host's.
	script := `mount --make-rprivate / && mount -t tmpfs none /run && { [ ! -d /proc/sys/fs/nfs ] || mount -t tmpfs none /proc/sys/fs/nfs; } && ip link set lo up && exec "$0" -test.run "^$1\$" -test.v`
	cmd := exec.CommandContext(ctx, "sh", "-c", script, os.Args[0], t.Name())
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

// daemon runs a program until the test ends.
func daemon(t *testing.T, name string, arg ...string) {
	cmd := exec.Command(name, arg...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
}

// monitored makes a state directory of nfs-utils in which one host is monitored, on behalf of a program.
func monitored(t *testing.T, host, me string, prog uint32) string {
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} { // a user without rights reads them
		os.Chmod(d, 0o755)
	}
	line := fmt.Sprintf("0100007f %08x 00000003 00000010 %032x %s %s\n", prog, 0x77, host, me)
	for _, sub := range []string{"sm", "sm.bak"} {
		os.Mkdir(filepath.Join(dir, sub), 0o755)
	}
	if err := os.WriteFile(filepath.Join(dir, "sm", host), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestSMNotify: the program that Linux clients run when they boot makes the server release their locks.
func TestSMNotify(t *testing.T) { apart(t, testSMNotify, "sm-notify") }

func testSMNotify(t *testing.T) {
	w := newWorld(t, nil)
	serveRPC(t, "127.0.0.1", portmap.Port, func(s *rpc.Server) {
		list := []portmap.Service{{Prog: NSMProgram, Vers: 1, Network: "udp", Addr: w.at}, {Prog: NSMProgram, Vers: 1, Network: "tcp", Addr: w.at}}
		for _, vers := range []uint32{2, 3, 4} {
			s.Register(portmap.Program, vers, portmap.New(func() []portmap.Service { return list }))
		}
	})
	g := &guest{w: w, name: "guest.example.org", addr: netip.MustParseAddr("127.0.0.1"), network: "tcp"}
	g.expect(granted, procLock, ask{file: "f", svid: 1})
	dir := monitored(t, "127.0.0.1", g.name, Program)
	daemon(t, "sm-notify", "-d", "-f", "-n", "-m", "1", "-P", dir)
	w.eventually("released", func() bool { return w.held() == 0 })
}

// TestStatd: the status monitor of Linux clients understands that the server has restarted, and tells its lock manager.
func TestStatd(t *testing.T) { apart(t, testStatd, "rpcbind", "rpc.statd") }

func testStatd(t *testing.T) {
	const kernel = 400021 // stands for the client's lock manager
	w := newWorld(t, func(c *Config) { c.Portmap = portmap.Client{} })
	daemon(t, "rpcbind", "-f", "-w")
	told := make(chan string, 4)
	_, at := serveRPC(t, "127.0.0.1", 0, func(s *rpc.Server) {
		s.Register(kernel, 3, rpc.HandlerFunc(func(_ context.Context, c *rpc.Call) rpc.Verdict {
			if c.Proc == 16 {
				told <- fmt.Sprintf("%s %d %x", c.Args.String(1024), c.Args.Uint32(), c.Args.Fixed(16))
			}
			return rpc.Done
		}))
	})
	w.eventually("rpcbind takes a registration", func() bool {
		_, err := portmap.Register(t.Context(), portmap.RegisterConfig{Services: []portmap.Service{{Prog: kernel, Vers: 3, Network: "udp", Addr: at}, {Prog: kernel, Vers: 3, Network: "tcp", Addr: at}}})
		return err == nil
	})
	dir := monitored(t, "127.0.0.1", "guest", kernel)
	daemon(t, "rpc.statd", "-F", "-L", "-P", dir)
	w.eventually("statd is there", func() bool {
		_, err := portmap.Client{}.Find(t.Context(), "udp", netip.Addr{}, netip.MustParseAddr("127.0.0.1"), NSMProgram, 1)
		return err == nil
	})
	g := &guest{w: w, name: "guest", addr: netip.MustParseAddr("127.0.0.1"), network: "tcp"}
	g.expect(granted, procLock, ask{file: "f", svid: 1})
	w.stop()
	w.start()
	select {
	case got := <-told:
		if want := fmt.Sprintf("127.0.0.1 %d %032x", w.nlm.cfg.Records.State(), 0x77); got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	case <-time.After(patience):
		t.Error("not told")
	}
	w.eventually("acknowledged", func() bool { return w.nlm.Stats().Notified == 1 })
}
