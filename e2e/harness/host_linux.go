package harness

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"testing"
)

// Host is a machine on a [Network]: it shares kernel and files with the test, but has its own addresses and ports.
type Host struct {
	t       testing.TB
	ns      *namespace
	Address netip.Addr
	center  *namespace // of the network
	port    string     // there, where the host is plugged in
}

// Result is what a command left behind.
type Result struct {
	Status         int // exit status; 128+n after signal n
	Stdout, Stderr string
}

// Run runs a command on the host until it ends or ctx is done.
func (h *Host) Run(ctx context.Context, argv ...string) (Result, error) {
	path, err := LookPath(argv[0])
	if err != nil {
		return Result{}, err
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, argv[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := h.ns.start(cmd); err != nil {
		return Result{}, err
	}
	err = cmd.Wait()
	if _, failed := err.(*exec.ExitError); failed {
		err = nil
	}
	return Result{Status: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}, err
}

// MustRun is Run that fails the test unless the command succeeds; it returns the command's output.
func (h *Host) MustRun(argv ...string) string {
	h.t.Helper()
	result, err := h.Run(h.t.Context(), argv...)
	if err != nil || result.Status != 0 {
		h.t.Fatalf("%q on %v: status %d, %v\n%s%s", argv, h.Address, result.Status, err, result.Stdout, result.Stderr)
	}
	return result.Stdout
}

// Dial connects from the host.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return h.ns.dial(ctx, network, address)
}

// Listen listens on the host.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	return h.ns.listen(network, address)
}

// Do runs f on a thread that stands on the host: sockets that f opens are the host's. f must not wait for long, since all
// that happens on the host waits for it.
func (h *Host) Do(f func()) { h.ns.do(f) }

// IP runs ip(8) on the host, once per line, and fails the test when it fails.
func (h *Host) IP(lines ...string) {
	h.t.Helper()
	if err := h.ns.ip(lines...); err != nil {
		h.t.Fatal(err)
	}
}

// HTTP returns a client that connects from the host.
func (h *Host) HTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: h.ns.dial, DisableKeepAlives: true}}
}

// tail returns the last bytes of a log, for a failing test.
func tail(path string) string {
	const limit = 8 << 10
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(text) > limit {
		text = append([]byte("…"), text[len(text)-limit:]...)
	}
	return string(text)
}
