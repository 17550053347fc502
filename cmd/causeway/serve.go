package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"causeway/backend/posix"
	"causeway/cluster/address"
	"causeway/cmd/causeway/config"
)

// drainTime is how long calls that run when the gateway is told to stop may take to end.
const drainTime = 10 * time.Second

func newServe() *cobra.Command {
	s := &settings{}
	c := &cobra.Command{
		Use:   "serve [NAME=]DIR...",
		Short: "Serve directories over NFSv3, and over SMB 3 with --smb",
		Long: "Serve directories over NFSv3, and with --smb over SMB 3. Every DIR is a volume, which clients mount as /NAME; without NAME= it\n" +
			"is named after the last element of DIR. When it is ready it prints the commands that mount the volumes.\n\n" +
			"SIGTERM and SIGINT drain and stop, a second one stops at once; SIGHUP reads the configuration file again.",
		Example: "  causeway serve /srv/data\n" +
			"  causeway serve home=/export/home --listen 0.0.0.0:2049 --portmap --allow 192.168.1.0/24=rw,secure\n" +
			"  causeway serve /srv/data --smb 0.0.0.0:445\n" +
			"  causeway serve old=smb://ann@fileserver/data --password-file /etc/causeway/ann\n" +
			"  causeway serve --config /etc/causeway.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			s.args = args
			c, err := s.load()
			if err != nil {
				return usage(cmd, err)
			}
			return serve(cmd.Context(), s, c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	s.register(c.Flags())
	return c
}

// serve runs a gateway until a signal ends it.
func serve(ctx context.Context, s *settings, c *config.Config, stdout, stderr io.Writer) error {
	ctx, stopNow := context.WithCancel(ctx)
	defer stopNow()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	log := newLogger(c, stderr)
	if err := posix.DropPrivileges(); err != nil {
		log.Warn("privileges of root that clients could profit from stay: quotas may be exceeded, set-user-id bits may survive a write", "err", err)
	}
	dir, err := stateDir(c.StateDir)
	if err != nil {
		return err
	}
	g := &grower{log: log, ask: make(chan struct{}, 1)}
	for {
		f, err := readFounding(dir)
		if err != nil {
			return err
		}
		if f == nil && isNode(dir) {
			return fmt.Errorf("the state directory %s is a gateway's of a cluster, whose volumes serve must not take: start it with causeway node, or choose another --state-dir", dir)
		}
		n, r, err := launch(ctx, s, c, f, g)
		if err != nil {
			return err
		}
		if n.member == nil {
			f = nil // it goes on alone, whatever it should have become
		}
		warnUnprivileged(stderr, euid())
		n.announce(stdout, f)
		fmt.Fprintln(stdout, "ready")
		notify(log, daemon.SdNotifyReady)
		err = wait(ctx, n, r, signals)
		if !errors.Is(err, errGrows) {
			return err
		}
		f, err = readFounding(dir)
		if err == nil && f != nil {
			fmt.Fprintf(stdout, "\ngateway %s becomes the first one of a cluster; clients wait a moment\n", f.Name)
		}
	}
}

// launch starts the gateway: alone, or as what the state directory says that it is in a cluster. If it cannot become that, it goes on
// alone.
func launch(ctx context.Context, s *settings, c *config.Config, f *founding, g *grower) (*node, *reloader, error) {
	r := &reloader{settings: s, log: g.log}
	if f != nil {
		mc := f.membership()
		mc.smbPort = c.SMBAddr.Port()
		var err error
		if mc.survivor, err = address.NewGuard(); err != nil {
			g.log.Warn("if this process is killed, clients are told at once, and some wait for seconds before they ask elsewhere", "err", err)
		}
		n, err := startMember(ctx, c, mc, g.log)
		if err == nil {
			r.node.Store(n)
		}
		if err == nil || !g.asked() {
			return n, r, err
		}
		dir, pathErr := stateDir(c.StateDir)
		if pathErr != nil {
			return nil, nil, errors.Join(err, pathErr)
		}
		g.failedWith(dir, err)
	}
	n, err := start(ctx, c, g.log, r.command, g)
	if err == nil {
		r.node.Store(n)
	}
	return n, r, err
}

// announce tells the user how to mount the volumes.
func (n *node) announce(w io.Writer, f *founding) {
	if f == nil {
		announce(w, n.place(), n.volumes.catalog.Volumes(), n.config.Allow)
	} else {
		at := netip.AddrPortFrom(f.Addresses[0], f.Port)
		fmt.Fprintf(w, "causeway %s serves NFSv3 on %v as gateway %s of a cluster, for other gateways at %s\n", versionText(), at, f.Name, n.member.Peer())
		for _, v := range n.volumes.catalog.Volumes() {
			for _, a := range f.Addresses {
				p := &place{addr: netip.AddrPortFrom(a, f.Port)}
				fmt.Fprintf(w, "\nvolume /%s (%s), for %s\n  Linux:  %s\n", v.Name, strings.Join(modes(v), ", "), whoMay(v), p.linux(v.Name))
			}
		}
		fmt.Fprintln(w, "\nOther gateways join with what causeway token prints.")
	}
	n.announceSMB(w, f)
	if n.http != nil {
		fmt.Fprintf(w, "administration on %v\n", n.http.Addr())
	}
}

// errGrows says that the gateway stopped to become one of a cluster.
var errGrows = errors.New("the gateway becomes one of a cluster")

// wait serves until a signal or a failure ends it, and stops what was started.
func wait(ctx context.Context, n *node, r *reloader, signals <-chan os.Signal) (err error) {
	var grows <-chan struct{} // nil: it never does
	if n.grower != nil {
		grows = n.grower.ask
	}
	for running := true; running; {
		select {
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				r.signalled(ctx)
				continue
			}
			n.log.Info("stopping", "signal", sig.String())
			running = false
		case err = <-n.failed:
			running = false
		case <-grows:
			n.grower.growing()
			if err := drain(ctx, n, signals); err != nil { // it does not count: what starts now begins anew
				n.log.Warn("not all ended well", "err", err)
			}
			return errGrows
		case <-ctx.Done():
			running = false
		}
	}
	notify(n.log, daemon.SdNotifyStopping)
	return errors.Join(err, drain(ctx, n, signals))
}

// drain stops the gateway. Another signal ends waiting for calls that run; a disk that answers nothing at all ends the process.
func drain(ctx context.Context, n *node, signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	stuck := time.AfterFunc(2*drainTime, func() {
		n.log.Error("storage does not answer; unstable writes may be lost, clients send them again")
		os.Exit(1)
	})
	defer stuck.Stop()
	stopped, watch := make(chan struct{}), sync.WaitGroup{}
	watch.Go(func() {
		for {
			select {
			case sig := <-signals:
				if sig != syscall.SIGHUP {
					cancel()
				}
			case <-stopped:
				return
			}
		}
	})
	err := n.stop(ctx)
	close(stopped)
	watch.Wait()
	return err
}

func newLogger(c *config.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// notify tells the service manager, if there is one (sd_notify(3)).
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("the service manager does not listen", "err", err)
	}
}
