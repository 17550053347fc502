package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/willscott/go-nfs-client/nfs"
	nfsrpc "github.com/willscott/go-nfs-client/nfs/rpc"
)

// TestMain makes the test binary the program itself when it is asked to, so that tests run what users run.
func TestMain(m *testing.M) {
	if os.Getenv("CAUSEWAY_TEST_AS_MAIN") != "" {
		if few, err := strconv.ParseUint(os.Getenv(fewDescriptors), 10, 64); err == nil {
			syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: few, Max: few})
		}
		if v := os.Getenv(testVersions); v != "" {
			if _, err := fmt.Sscanf(v, "%d-%d", &protocolVersions.Min, &protocolVersions.Max); err != nil {
				panic(err)
			}
		}
		main()
		os.Exit(0)
	}
	if text := os.Getenv(asEtcd); text != "" {
		runEtcd(text)
		return
	}
	os.Exit(m.Run())
}

// fewDescriptors says in the environment how many files the program may open.
const fewDescriptors = "CAUSEWAY_TEST_DESCRIPTORS"

// patience is for what happens within milliseconds, unless something is broken.
const patience = 30 * time.Second

// command is causeway with arguments.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, args...)
	c.Env = append(os.Environ(), "CAUSEWAY_TEST_AS_MAIN=1", "XDG_STATE_HOME="+t.TempDir(), "NOTIFY_SOCKET=")
	return c
}

// run runs causeway to its end.
func run(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, err bytes.Buffer
	c := command(t, args...)
	c.Stdout, c.Stderr = &out, &err
	if e := c.Run(); e != nil && c.ProcessState == nil {
		t.Fatal(e)
	}
	return out.String(), err.String(), c.ProcessState.ExitCode()
}

// running is `causeway serve` in a process of its own.
type running struct {
	t       *testing.T
	process *exec.Cmd
	state   string
	said    string         // until it was ready
	nfs     netip.AddrPort // where it listens
	admin   string

	mu  sync.Mutex
	log bytes.Buffer
	end chan error
}

func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *running) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// startServe serves and waits until it is ready.
func startServe(t *testing.T, state string, env []string, args ...string) *running {
	t.Helper()
	r := &running{t: t, state: state, end: make(chan error, 1)}
	r.process = command(t, append([]string{"serve", "--state-dir", state}, args...)...)
	r.process.Env = append(r.process.Env, env...)
	r.process.Stderr = r
	out, err := r.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.process.Start(); err != nil {
		t.Fatal(err)
	}
	lines, ready := bufio.NewReader(out), false
	for !ready {
		line, err := lines.ReadString('\n')
		if err != nil {
			r.process.Wait()
			t.Fatalf("not ready: %v\n%s%s", err, r.said, r.logged())
		}
		r.said += line
		ready = line == "ready\n"
	}
	go func() {
		io.Copy(io.Discard, lines)
		r.end <- r.process.Wait()
	}()
	t.Cleanup(func() {
		r.process.Process.Kill()
		if t.Failed() {
			t.Log(r.logged())
		}
	})
	r.nfs = netip.MustParseAddrPort(regexp.MustCompile(`NFSv3 on (\S+)`).FindStringSubmatch(r.said)[1])
	if m := regexp.MustCompile(`administration on (\S+)`).FindStringSubmatch(r.said); m != nil {
		r.admin = m[1]
	}
	return r
}

// signal sends a signal and returns how the process ends.
func (r *running) signal(s syscall.Signal) error {
	r.t.Helper()
	if err := r.process.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
	select {
	case err := <-r.end:
		return err
	case <-time.After(patience):
		r.t.Fatal("it does not end")
		return nil
	}
}

// someone is a user for whom files can be made: without root only this one.
var someone = func() uint32 {
	if os.Geteuid() == 0 {
		return 1000
	}
	return uint32(os.Geteuid())
}()

// mount mounts a volume as a user.
func (r *running) mount(volume string, uid uint32) (*nfs.Target, error) {
	c, err := nfsrpc.DialTCP("tcp", r.nfs.String(), false)
	for i := 0; errors.Is(err, syscall.EADDRINUSE) && i < 100; i++ { // it chooses its own port, at random
		c, err = nfsrpc.DialTCP("tcp", r.nfs.String(), false)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(c.Close)
	m := nfs.Mount{Client: c}
	return m.Mount("/"+volume, nfsrpc.NewAuthUnix("test", uid, uid).Auth())
}

func (r *running) mustMount(volume string, uid uint32) *nfs.Target {
	r.t.Helper()
	target, err := r.mount(volume, uid)
	if err != nil {
		r.t.Fatal(err)
	}
	return target
}

// get asks the admin address.
func (r *running) get(path string) (int, string) {
	r.t.Helper()
	a, err := http.Get("http://" + r.admin + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return a.StatusCode, string(text)
}

// share makes a directory that everybody may write.
func share(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := errors.Join(os.Mkdir(dir, 0o777), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// manager is a service manager's socket.
func manager(t *testing.T) (env string, next func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "n")
	c, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return "NOTIFY_SOCKET=" + path, func() string {
		b := make([]byte, 1024)
		c.SetReadDeadline(time.Now().Add(patience))
		n, _, err := c.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b[:n]))
	}
}
