package main

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"causeway/e2e/harness/wire"
)

// serve runs commands until the guest ends.
func serve() {
	listener, err := net.Listen("tcp", fmt.Sprint(":", wire.Port))
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		return
	}
	if err := os.WriteFile("/var/lib/nfs/"+wire.ReadyFile, nil, 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			return
		}
		go runCommand(conn)
	}
}

// events sends the output of one command; its writers may run at once.
type events struct {
	mu      sync.Mutex
	encoder *gob.Encoder
}

func (e *events) send(event wire.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.encoder.Encode(event)
}

type streamWriter struct {
	events *events
	stream wire.Stream
}

func (w streamWriter) Write(p []byte) (int, error) {
	if err := w.events.send(wire.Event{Stream: w.stream, Data: p}); err != nil {
		return 0, err
	}
	return len(p), nil
}

func runCommand(conn net.Conn) {
	defer conn.Close()
	var command wire.Command
	if err := gob.NewDecoder(conn).Decode(&command); err != nil || len(command.Argv) == 0 {
		return
	}
	out := &events{encoder: gob.NewEncoder(conn)}
	cmd := exec.Command(command.Argv[0], command.Argv[1:]...)
	cmd.Dir, cmd.Env = command.Dir, append(os.Environ(), command.Env...)
	cmd.Stdin = bytes.NewReader(command.Input)
	cmd.Stdout, cmd.Stderr = streamWriter{out, wire.Stdout}, streamWriter{out, wire.Stderr}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if command.UID != 0 || command.GID != 0 || command.Groups != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: command.UID, Gid: command.GID, Groups: command.Groups}
	}
	if err := cmd.Start(); err != nil {
		out.send(wire.Event{Stream: wire.Exit, Status: 127, Error: err.Error()})
		return
	}
	go killWhenClosed(conn, cmd.Process.Pid)
	out.send(wire.Event{Stream: wire.Exit, Status: exitStatus(cmd.Wait())})
}

// killWhenClosed kills the process group of a command when the test closes its connection. The test sends nothing more,
// so that the read ends only then, or when runCommand closes the connection itself after the command's end.
func killWhenClosed(conn net.Conn, group int) {
	conn.Read(make([]byte, 1))
	syscall.Kill(-group, syscall.SIGKILL)
}

func exitStatus(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
			return 128 + int(status.Signal())
		}
		return exit.ExitCode()
	}
	return 126
}
