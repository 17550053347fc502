package harness

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A namespace is a network namespace without a name: a thread lives in it and does what must be done there. Processes
// that it starts are killed by the kernel when the thread ends, which is at close or with the test process.
type namespace struct {
	tid  int // stands for the namespace where ip(8) wants one
	work chan func()
	done chan struct{}
}

func newNamespace() (*namespace, error) {
	ns := &namespace{work: make(chan func()), done: make(chan struct{})}
	ready := make(chan error)
	go ns.live(ready)
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	if err := ns.ip("link set lo up"); err != nil {
		ns.close()
		return nil, err
	}
	return ns, nil
}

// live never unlocks its thread, so that the thread ends with it and no other goroutine ever runs in the namespace.
func (ns *namespace) live(ready chan<- error) {
	defer close(ns.done)
	runtime.LockOSThread()
	ns.tid = unix.Gettid()
	err := unix.Unshare(unix.CLONE_NEWNET)
	ready <- err
	if err != nil {
		return
	}
	for f := range ns.work {
		f()
	}
}

// do runs f in the namespace. Sockets that f opens belong to the namespace for their life.
func (ns *namespace) do(f func()) {
	finished := make(chan struct{})
	ns.work <- func() { defer close(finished); f() }
	<-finished
}

// start starts cmd in the namespace. The process is the first of a PID namespace, so that whatever it forks dies with
// it: a User-mode Linux leaves traced children otherwise, which hold its tap. With Setpgid it is an ordinary process.
func (ns *namespace) start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if !cmd.SysProcAttr.Setpgid {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWPID
	}
	var err error
	ns.do(func() { err = cmd.Start() })
	return err
}

// ip runs ip(8) in the namespace, once per line of script.
func (ns *namespace) ip(script ...string) error {
	for _, line := range script {
		cmd := exec.Command("ip", "-batch", "-")
		cmd.Stdin = strings.NewReader(line + "\n")
		var out []byte
		var err error
		ns.do(func() { out, err = cmd.CombinedOutput() })
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, out)
		}
	}
	return nil
}

func (ns *namespace) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	var err error
	ns.do(func() { conn, err = (&net.Dialer{}).DialContext(ctx, network, address) })
	return conn, err
}

func (ns *namespace) listen(network, address string) (net.Listener, error) {
	var listener net.Listener
	var err error
	ns.do(func() { listener, err = net.Listen(network, address) })
	return listener, err
}

func (ns *namespace) close() {
	close(ns.work)
	<-ns.done
}
