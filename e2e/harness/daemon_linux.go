package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// daemon is a server process on a host, with its output in a file that a failing test shows.
type daemon struct {
	t    testing.TB
	host *Host
	name string
	argv []string
	log  string

	ordinary bool // not the first process of a PID namespace: what it has started outlives it

	process *exec.Cmd
	ended   chan struct{}
}

// startTime bounds the start and the orderly stop of a server.
const startTime = 60 * time.Second

func newDaemon(t testing.TB, host *Host, name string, argv ...string) *daemon {
	d := &daemon{t: t, host: host, name: name, argv: argv, log: filepath.Join(t.TempDir(), name+".log")}
	t.Cleanup(d.Kill)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, tail(d.log))
			d.keep()
		}
	})
	return d
}

// keep saves the whole log of a failed test in the directory that CAUSEWAY_E2E_LOGS names, with the stacks of a server that still runs.
func (d *daemon) keep() {
	dir := os.Getenv("CAUSEWAY_E2E_LOGS")
	if dir == "" {
		return
	}
	if d.process != nil {
		d.process.Process.Signal(syscall.SIGCONT)
		d.process.Process.Signal(syscall.SIGQUIT)
		select {
		case <-d.ended:
		case <-time.After(10 * time.Second):
		}
	}
	name := filepath.Join(dir, filepath.Base(d.t.Name())+"-"+d.name+".log")
	if err := os.WriteFile(name, []byte(d.Log()), 0o644); err != nil {
		d.t.Log(err)
	}
}

func (d *daemon) start() {
	d.t.Helper()
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	d.process = exec.Command(d.argv[0], d.argv[1:]...)
	d.process.Stdout, d.process.Stderr = log, log
	d.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: d.ordinary}
	if err := d.host.ns.start(d.process); err != nil {
		d.t.Fatalf("start %s: %v", d.name, err)
	}
	d.ended = make(chan struct{})
	go func(process *exec.Cmd, ended chan struct{}) { process.Wait(); close(ended) }(d.process, d.ended)
}

// await polls ready until it is nil; it fails the test when the server ends before.
func (d *daemon) await(ready func() error) {
	d.t.Helper()
	err := Poll(startTime, func() error {
		select {
		case <-d.ended:
			d.t.Fatalf("%s ended: %v\n%s", d.name, d.process.ProcessState, tail(d.log))
		default:
		}
		return ready()
	})
	if err != nil {
		d.t.Fatalf("%s is not ready: %v\n%s", d.name, err, tail(d.log))
	}
}

// Poll calls check until it returns nil, and gives up with its last error after limit.
func Poll(limit time.Duration, check func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %v: %w", limit, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Kill ends the server at once (SIGKILL) and waits until its sockets are gone.
func (d *daemon) Kill() {
	if d.process == nil {
		return
	}
	d.process.Process.Kill()
	<-d.ended
	d.process = nil
}

// Stop asks the server to end (SIGTERM) and fails the test unless it does so by itself with status 0.
func (d *daemon) Stop() {
	d.t.Helper()
	d.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(startTime):
		d.t.Fatalf("%s does not stop:\n%s", d.name, tail(d.log))
	}
	if !d.process.ProcessState.Success() {
		d.t.Errorf("%s stopped with %v:\n%s", d.name, d.process.ProcessState, tail(d.log))
	}
	d.process = nil
}

// Signal sends a signal: SIGHUP, or SIGSTOP and SIGCONT to freeze the server for a while.
func (d *daemon) Signal(signal syscall.Signal) {
	d.t.Helper()
	if err := d.process.Process.Signal(signal); err != nil {
		d.t.Fatalf("%s: %v", d.name, err)
	}
}

// Pid returns the process id of the running server.
func (d *daemon) Pid() int { return d.process.Process.Pid }

// Log returns what the server has written to its standard output and error so far.
func (d *daemon) Log() string {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
