package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"causeway/internal/sleep"
)

// restartAfter is when a gateway that was killed is started again.
const restartAfter = 10 * time.Second

// actor is a gateway of the demo: a process.
type actor struct {
	*stage
	name    string
	addr    netip.Addr
	state   string
	process *exec.Cmd
	ended   chan struct{} // closed when the process has ended
}

// start runs the gateway, and returns when it is ready.
func (a *actor) start(ctx context.Context, words ...string) error {
	log, err := os.OpenFile(filepath.Join(a.dir, a.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	a.process = exec.Command(a.program, append([]string{"node", "--name", a.name, "--service-address", a.addr.String(),
		"--peer", netip.AddrPortFrom(a.addr, a.peer).String(), "--port", fmt.Sprint(a.port), "--state-dir", a.state,
		"--zone", demoZone, "--dns", netip.AddrPortFrom(a.addr, a.dns).String()}, words...)...)
	a.process.Env = append(os.Environ(), "NOTIFY_SOCKET=", "STATE_DIRECTORY=")
	a.process.Stderr = log
	a.process.SysProcAttr = dieWithDemo()
	out, err := a.process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := a.process.Start(); err != nil {
		return err
	}
	a.ended = make(chan struct{})
	ready := make(chan bool, 1)
	go a.watch(out, ready)
	select {
	case ok := <-ready:
		if !ok {
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("gateway %s does not get ready:\n%s", a.name, said)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch reads what the process says until it has ended.
func (a *actor) watch(out io.Reader, ready chan<- bool) {
	defer close(a.ended)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "ready" {
			ready <- true
		}
	}
	a.process.Wait() // fails when it was killed
	select {
	case ready <- false:
	default:
	}
}

// supervise notices the death of the gateway, and starts it again.
func (s *stage) supervise(ctx context.Context, a *actor) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.ended:
		}
		if ctx.Err() != nil {
			return
		}
		fmt.Fprintf(s.out, "%s has died: the others take its volumes and its address\n", a.name)
		if !sleep.For(ctx, restartAfter) {
			return
		}
		if err := a.start(ctx); err != nil {
			fmt.Fprintf(s.out, "%s cannot be started again: %v\n", a.name, err)
			continue
		}
		fmt.Fprintf(s.out, "%s runs again\n", a.name)
	}
}

// stop ends the gateway.
func (a *actor) stop() {
	if a.ended == nil {
		return
	}
	a.process.Process.Signal(syscall.SIGTERM) // fails when it has ended
	select {
	case <-a.ended:
	case <-time.After(3 * time.Second): // the last two have no quorum to leave; nothing here is kept
		a.process.Process.Kill()
		<-a.ended
	}
}
