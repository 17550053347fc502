package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// controlName is the socket of the operator's commands in the state directory.
const controlName = "control.sock"

// shortPath returns a path to a socket that is not longer than the 108 bytes that unix(7) has for it, and what to call when
// it is not needed any more.
func shortPath(dir string) (path string, release func(), err error) {
	path = filepath.Join(dir, controlName)
	if len(path) < 100 {
		return path, func() {}, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", f.Fd(), controlName), func() { f.Close() }, nil
}

// listenControl makes the socket, for its owner only. The state directory is locked, so one that is there is a dead one's.
func listenControl(dir string) (net.Listener, error) {
	if err := os.Remove(filepath.Join(dir, controlName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	path, release, err := shortPath(dir)
	if err != nil {
		return nil, err
	}
	defer release()
	mask := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(mask)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // by then its short path may be gone
	return l, nil
}

// control speaks to a running gateway.
type control struct {
	dir      string
	http     http.Client
	progress io.Writer // where it is said that an answer takes long; nil: nowhere
}

// patient says, after a second and then every five, that the gateway has not answered yet, until the returned function is called.
func (c *control) patient() (stop func()) {
	if c.progress == nil {
		return func() {}
	}
	begun, done, over := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for wait := time.Second; ; wait = 5 * time.Second {
			select {
			case <-done:
				return
			case <-time.After(wait):
				fmt.Fprintf(c.progress, "the gateway has been working on it for %v\n", time.Since(begun).Round(time.Second))
			}
		}
	}()
	return func() { close(done); <-over }
}

func newControl(dir string) *control {
	c := &control{dir: dir}
	c.http.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		path, release, err := shortPath(dir)
		if err != nil {
			return nil, err
		}
		defer release()
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	return c
}

// order sends what is to be done, as JSON, and reads the answer into out unless it is nil.
func (c *control) order(ctx context.Context, path string, in, out any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	text, err := c.send(ctx, http.MethodPost, path, bytes.NewReader(body))
	if err == nil && out != nil {
		err = json.Unmarshal(text, out)
	}
	return text, err
}

// do sends a request and returns the body of the answer.
func (c *control) do(ctx context.Context, method, path string) ([]byte, error) {
	return c.send(ctx, method, path, nil)
}

// errNoCluster says that the gateway answers, but knows nothing of clusters.
var errNoCluster = errors.New("this gateway serves alone; causeway token makes it the first one of a cluster")

func (c *control) send(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://causeway"+path, body)
	if err != nil {
		return nil, err
	}
	defer c.patient()()
	a, err := c.http.Do(r)
	if err != nil {
		return nil, c.explain(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err == nil && a.StatusCode == http.StatusNotFound && strings.HasPrefix(path, "/cluster") {
		return nil, errNoCluster
	}
	if err == nil && a.StatusCode != http.StatusOK {
		err = fmt.Errorf("the gateway answers: %s", bytes.TrimSpace(text))
	}
	return text, err
}

func (c *control) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no gateway runs with the state directory %s; name the one it uses with --state-dir", c.dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the gateway with the state directory %s belongs to another user; run this as that user or as root", c.dir)
	}
	return err
}
