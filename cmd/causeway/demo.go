package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"causeway/cmd/causeway/member"
	"causeway/internal/sleep"
)

// demoVolumes are what the demo serves.
var demoVolumes = []string{"home", "projects", "scratch"}

func newDemo() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Run a cluster of three gateways on this machine, to try what it does",
		Long: "Run a cluster of three gateways on 127.0.0.1, 127.0.0.2 and 127.0.0.3 of this machine, with three volumes in a temporary\n" +
			"directory. When it is ready it prints what to try. A gateway that is killed is started again after ten seconds. ^C ends\n" +
			"everything and removes the directory.",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// stage is where the demo happens.
type stage struct {
	program string
	dir     string
	port    uint16 // of NFS
	peer    uint16 // the first of the gateways' own
	dns     uint16
	out     io.Writer
	log     *slog.Logger
	actors  []*actor
	changes sync.WaitGroup
}

// demo runs until a signal ends it.
func demo(ctx context.Context, out, errs io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	s := &stage{out: out, log: slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if s.program, err = os.Executable(); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "causeway-demo-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		s.end()
	}()
	if err := s.begin(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	s.explain()
	for _, a := range s.actors {
		s.changes.Go(func() { s.supervise(ctx, a) })
	}
	<-ctx.Done()
	fmt.Fprintln(out, "\nstopping")
	return nil
}

// begin starts the gateways and makes the volumes.
func (s *stage) begin(ctx context.Context) error {
	if err := s.choosePorts(); err != nil {
		return err
	}
	for i := range 3 {
		name := fmt.Sprint("g", i+1)
		s.actors = append(s.actors, &actor{stage: s, name: name, addr: demoAddress(i), state: filepath.Join(s.dir, name)})
	}
	first := s.actors[0]
	if err := first.start(ctx, "--bootstrap"); err != nil {
		return err
	}
	token := member.Token{}
	if _, err := newControl(first.state).order(ctx, "/cluster/token", member.TokenOrder{Life: time.Hour}, &token); err != nil {
		return err
	}
	failed := make(chan error, 2)
	for _, a := range s.actors[1:] {
		go func() { failed <- a.start(ctx, "--join", token.Peer, "--token", token.Token) }()
	}
	if err := errors.Join(<-failed, <-failed); err != nil {
		return err
	}
	for _, name := range demoVolumes {
		if err := s.createVolume(ctx, name); err != nil {
			return err
		}
	}
	if err := shareDir(s.spare()); err != nil {
		return err
	}
	return s.awaitQuorum(ctx)
}

// awaitQuorum waits until any gateway may die: the configuration lies on three servers, and all gateways know them.
func (s *stage) awaitQuorum(ctx context.Context) error {
	for {
		enough := 0
		for _, a := range s.actors {
			if text, err := os.ReadFile(filepath.Join(a.state, "cluster", "cluster.json")); err == nil && strings.Count(string(text), "https://") == len(s.actors) {
				enough++
			}
		}
		if enough == len(s.actors) {
			return nil
		}
		if !sleep.For(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// spare is a directory that is no volume yet.
func (s *stage) spare() string { return filepath.Join(s.dir, "volumes", "spare") }

func (s *stage) createVolume(ctx context.Context, name string) error {
	dir := filepath.Join(s.dir, "volumes", name)
	if err := shareDir(dir); err != nil {
		return err
	}
	in, settings := member.VolumeOrder{Name: name, Backend: "posix:" + dir}, volumeSettings{}
	c := &cobra.Command{}
	settings.register(c)
	if err := settings.fill(c, true, &in); err != nil {
		return err
	}
	_, err := newControl(s.actors[0].state).order(ctx, "/cluster/volume/create", &in, nil)
	return err
}

// shareDir makes a directory where everybody may write, whatever the umask is: root is squashed.
func shareDir(dir string) error { return errors.Join(os.MkdirAll(dir, 0o777), os.Chmod(dir, 0o777)) }

func demoAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)}) }

// choosePorts takes the usual ports if they are free, else others.
func (s *stage) choosePorts() error {
	nfs := []uint16{12049, 22049, 32049}
	if euid() == 0 {
		nfs = append([]uint16{2049}, nfs...)
	}
	var err error
	for _, s.port = range nfs {
		if err = free(s.port); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	for _, s.dns = range []uint16{10053, 20053, 30053, 40053} {
		if err = free(s.dns); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	for _, s.peer = range []uint16{9441, 19441, 29441, 39441} {
		if err = errors.Join(free(s.peer), free(s.peer+enginePeerPort), free(s.peer+engineClientPort), free(s.peer+betweenPort), free(s.peer+mirrorPort)); err == nil {
			break
		}
	}
	return err
}

// free fails if a port is in use at one of the demo's addresses.
func free(port uint16) error {
	for i := range 3 {
		l, err := net.Listen("tcp4", netip.AddrPortFrom(demoAddress(i), port).String())
		if errors.Is(err, syscall.EADDRNOTAVAIL) {
			return fmt.Errorf("this system has no address %v: %w (on macOS: sudo ifconfig lo0 alias %v)", demoAddress(i), err, demoAddress(i))
		}
		if err != nil {
			return err
		}
		l.Close()
	}
	return nil
}

// explain prints what to try.
func (s *stage) explain() {
	w, first := s.out, s.actors[0]
	fmt.Fprintf(w, "ready: three gateways are one file server, with the volumes /%s\n\nMount a volume at any gateway:\n", strings.Join(demoVolumes, ", /"))
	for i, a := range s.actors {
		p := &place{addr: netip.AddrPortFrom(a.addr, s.port)}
		fmt.Fprintf(w, "  %s: %s\n", a.name, p.linux(demoVolumes[i]))
	}
	fmt.Fprintf(w, "\nSee who administers what, and who answers where:\n  %s status --state-dir %s\n", s.program, first.state)
	s.explainDNS(w)
	fmt.Fprintf(w, "\nKill a gateway while you copy files through its address (it is started again after %v):\n", restartAfter)
	for _, a := range s.actors {
		fmt.Fprintf(w, "  kill -9 $(head -1 %s)   # %s\n", filepath.Join(a.state, "lock"), a.name)
	}
	fmt.Fprintf(w, "\nMore to try:\n")
	for _, line := range []string{
		"volume ls", "volume create spare --backend posix:" + s.spare(), "volume set " + demoVolumes[0] + " --preferred g3",
		"node drain g2", "node set g2 --active", "node set g1 --weight 3", "rebalance --dry-run", "clients",
		"address move 127.0.0.1 --to g2", "address move 127.0.0.1 --to g1", "token", "discovery records --client 127.0.0.1",
	} {
		fmt.Fprintf(w, "  %s %s --state-dir %s\n", s.program, line, first.state)
	}
	fmt.Fprintf(w, "\nThe files are below %s, the logs are %s. End with ^C.\n", filepath.Join(s.dir, "volumes"), filepath.Join(s.dir, "g*.log"))
}

// end stops all gateways.
func (s *stage) end() {
	s.changes.Wait()
	var all sync.WaitGroup
	for _, a := range s.actors {
		all.Go(a.stop)
	}
	all.Wait()
}
