package harness

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"path"
	"strings"
	"time"

	"causeway/e2e/harness/wire"
)

func (g *Guest) dial(ctx context.Context) (net.Conn, error) {
	return g.network.center.dial(ctx, "tcp", fmt.Sprintf("%v:%d", g.Address, wire.Port))
}

// Run runs a command in the guest until it ends or ctx is done; then its process group is killed.
func (g *Guest) Run(ctx context.Context, command wire.Command) (Result, error) {
	conn, err := g.dial(ctx)
	if err != nil {
		return Result{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := gob.NewEncoder(conn).Encode(command); err != nil {
		return Result{}, err
	}
	result, err := collect(gob.NewDecoder(conn))
	return result, errors.Join(err, context.Cause(ctx))
}

func collect(decoder *gob.Decoder) (Result, error) {
	var stdout, stderr strings.Builder
	for {
		var event wire.Event
		err := decoder.Decode(&event)
		switch {
		case err != nil:
			return Result{Status: -1, Stdout: stdout.String(), Stderr: stderr.String()}, fmt.Errorf("the guest went away: %w", err)
		case event.Stream == wire.Stdout:
			stdout.Write(event.Data)
		case event.Stream == wire.Stderr:
			stderr.Write(event.Data)
		case event.Error != "":
			return Result{Status: event.Status}, errors.New(event.Error)
		default:
			return Result{Status: event.Status, Stdout: stdout.String(), Stderr: stderr.String()}, nil
		}
	}
}

// CommandTime bounds commands that are expected to be short: over a hard mount, a call that gets no answer waits for ever.
const CommandTime = 2 * time.Minute

// MustRun runs a command in dir of the guest, fails the test unless it succeeds, and returns its output.
func (g *Guest) MustRun(dir string, argv ...string) string {
	g.t.Helper()
	ctx, cancel := context.WithTimeoutCause(g.t.Context(), CommandTime, errors.New("the command hangs"))
	defer cancel()
	result, err := g.Run(ctx, wire.Command{Argv: argv, Dir: dir})
	if err != nil || result.Status != 0 {
		g.t.Fatalf("%q in %s of guest %s: status %d, %v\n%s%s", argv, dir, g.config.Name, result.Status, err, result.Stdout, result.Stderr)
	}
	return result.Stdout
}

// Sh runs a shell script in dir of the guest like MustRun.
func (g *Guest) Sh(dir, script string) string {
	g.t.Helper()
	return g.MustRun(dir, "/bin/sh", "-euc", script)
}

// Mount says what a guest mounts, and how.
type Mount struct {
	Server    string // host name or address
	Export    string // path at the server
	Version   string // 3, 4.0, 4.1, 4.2
	Port      int    // of NFS
	MountPort int    // of MOUNT; default Port
	Locking   bool   // version 3: with NLM, which needs a portmapper at the server and GuestConfig.Locking
	Options   string // further ones, separated by commas
}

// Mount mounts an export and returns the directory where it is.
func (g *Guest) Mount(m Mount) string {
	g.t.Helper()
	dir, result, err := g.TryMount(m)
	if err != nil || result.Status != 0 {
		g.t.Fatalf("mount %s:%s in guest %s: status %d, %v\n%s%s", m.Server, m.Export, g.config.Name, result.Status, err, result.Stdout, result.Stderr)
	}
	return dir
}

// TryMount is Mount that returns what mount.nfs says.
func (g *Guest) TryMount(m Mount) (dir string, result Result, err error) {
	g.t.Helper()
	dir = path.Join("/mnt", strings.ReplaceAll(strings.Trim(m.Export, "/"), "/", "-"))
	g.MustRun("/", "mkdir", "-p", dir)
	ctx, cancel := context.WithTimeoutCause(g.t.Context(), CommandTime, errors.New("the mount hangs"))
	defer cancel()
	result, err = g.Run(ctx, wire.Command{Argv: []string{"mount.nfs", m.Server + ":" + m.Export, dir, "-o", m.options()}})
	return dir, result, err
}

func (m Mount) options() string {
	options := fmt.Sprintf("vers=%s,proto=tcp,port=%d", m.Version, m.Port)
	if m.Version == "3" {
		mountPort := m.MountPort
		if mountPort == 0 {
			mountPort = m.Port
		}
		options += fmt.Sprintf(",mountport=%d,mountproto=tcp", mountPort)
		if !m.Locking {
			options += ",nolock"
		}
	}
	if m.Options != "" {
		options += "," + m.Options
	}
	return options
}
