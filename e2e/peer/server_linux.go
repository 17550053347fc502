package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"causeway/e2e/bench/nfs3"
)

// readyTime bounds how long a server may take until it answers.
const readyTime = 30 * time.Second

// Server is a server that answers NFSv3 and MOUNT v3.
type Server struct {
	*Process
	Namespace  *Namespace
	NFS, Mount netip.AddrPort
	Export     string // what to mount
	Dir        string // the exported directory on this machine
	Admin      string // unix socket with pprof, empty if there is none

	more   []netip.AddrPort // where NFS is answered too
	turn   int              // of NFS and more, whose it is to get a connection
	beside []*Process       // servers whose work counts too: the other gateways of its cluster
	idle   float64          // what all of these use when nothing is asked, in CPU seconds per second, …
	rested time.Time        // … since when that is left out
}

// Rest measures for a time in which nothing is asked what the processes use by themselves, in seconds per second. From then on CPU leaves
// that out.
func (s *Server) Rest(d time.Duration) (float64, error) {
	s.idle, s.rested = 0, time.Now()
	before, err := s.CPU()
	time.Sleep(d)
	after, err2 := s.CPU()
	s.idle = (after - before).Seconds() / time.Since(s.rested).Seconds()
	return s.idle, errors.Join(err, err2)
}

// CPU returns the time of all processes that serve what is asked of this one.
func (s *Server) CPU() (time.Duration, error) {
	sum, err := s.Process.CPU()
	sum -= time.Duration(s.idle * float64(time.Since(s.rested)))
	for _, p := range s.beside {
		if err == nil {
			var d time.Duration
			d, err = p.CPU()
			sum += d
		}
	}
	return sum, err
}

// Config is where a server runs.
type Config struct {
	Dir  string // what it exports, absolute
	Work string // its own files: configuration, state, log. Created if missing
}

func (c *Config) prepare() error {
	if !filepath.IsAbs(c.Dir) || !filepath.IsAbs(c.Work) {
		return errors.New("peer: Dir and Work must be absolute")
	}
	return errors.Join(os.MkdirAll(c.Dir, 0o755), os.MkdirAll(c.Work, 0o755))
}

var (
	nfsPort   = netip.MustParseAddrPort("127.0.0.1:2049")
	mountPort = netip.MustParseAddrPort("127.0.0.1:20048") // where MOUNT is not on the NFS port
)

const exportName = "bench"

// launch starts a command in a new namespace and waits until MOUNT and NFS answer NULL.
func launch(ctx context.Context, cfg Config, s Server, cmd *exec.Cmd) (*Server, error) {
	ns, err := NewNamespace()
	if err != nil {
		return nil, err
	}
	s.Namespace, s.Dir = ns, cfg.Dir
	s.Process, err = start(ns, filepath.Join(cfg.Work, "log"), cmd)
	if err != nil {
		ns.Close()
		return nil, err
	}
	if err := s.awaitReady(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("%w; its last words: %s", err, s.log())
	}
	return &s, nil
}

// awaitReady asks until the server answers.
func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for {
		err := s.ping()
		if err == nil {
			return nil
		}
		if !s.Running() {
			return errors.New("the server ended")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Server) ping() error {
	for _, program := range []struct {
		at         netip.AddrPort
		prog, vers uint32
	}{{s.NFS, nfs3.ProgNFS, nfs3.VersNFS}, {s.Mount, nfs3.ProgMount, nfs3.VersMount}} {
		client, err := s.client(program.at, nfs3.Sys(0, 0))
		if err != nil {
			return err
		}
		_, err = client.Call(program.prog, program.vers, nfs3.Null, nil)
		client.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) client(to netip.AddrPort, cred nfs3.Cred) (*nfs3.Client, error) {
	conn, err := s.Namespace.DialConn(to)
	if err != nil {
		return nil, err
	}
	return nfs3.NewClient(conn, cred), nil
}

// Dial returns a connected blocking socket to the NFS port, where there are several to one after the other. It is not for
// concurrent use.
func (s *Server) Dial() (int, error) {
	all := append([]netip.AddrPort{s.NFS}, s.more...)
	s.turn++
	return s.Namespace.Dial(all[(s.turn-1)%len(all)])
}

// Connect returns a client of the NFS port.
func (s *Server) Connect(cred nfs3.Cred) (*nfs3.Client, error) { return s.client(s.NFS, cred) }

// MountRoot returns a client of the NFS port and the root handle of the export.
func (s *Server) MountRoot(cred nfs3.Cred) (*nfs3.Client, []byte, error) {
	mount, err := s.client(s.Mount, cred)
	if err != nil {
		return nil, nil, err
	}
	defer mount.Close()
	root, err := mount.Mount(s.Export)
	if err != nil {
		return nil, nil, err
	}
	client, err := s.Connect(cred)
	return client, root, err
}

// HTTP returns a client of the administration socket.
func (s *Server) HTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.Admin)
		},
	}}
}

// Stop ends the server and lets its namespace go.
func (s *Server) Stop() {
	s.Process.Stop()
	s.Namespace.Close()
}
