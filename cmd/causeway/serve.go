package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"causeway/backend/posix"
	"causeway/cmd/causeway/config"
)

// drainTime is how long calls that run when the gateway is told to stop may take to end.
const drainTime = 10 * time.Second

func newServe() *cobra.Command {
	s := &settings{}
	c := &cobra.Command{
		Use:   "serve [NAME=]DIR...",
		Short: "Serve directories over NFSv3",
		Long: "Serve directories over NFSv3. Every DIR is a volume, which clients mount as /NAME; without NAME= it is named after the\n" +
			"last element of DIR. When it is ready it prints the commands that mount the volumes.\n\n" +
			"SIGTERM and SIGINT drain and stop, a second one stops at once; SIGHUP reads the configuration file again.",
		Example: "  causeway serve /srv/data\n" +
			"  causeway serve home=/export/home --listen 0.0.0.0:2049 --portmap --allow 192.168.1.0/24=rw,secure\n" +
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
	r := &reloader{settings: s, log: log}
	n, err := start(ctx, c, log, r.command)
	if err != nil {
		return err
	}
	warnUnprivileged(stderr, euid())
	r.node.Store(n)
	p := n.place()
	announce(stdout, p, n.volumes.catalog.Volumes(), c.Allow)
	if n.http != nil {
		fmt.Fprintf(stdout, "administration on %v\n", n.http.Addr())
	}
	fmt.Fprintln(stdout, "ready")
	notify(log, daemon.SdNotifyReady)
	return wait(ctx, n, r, signals)
}

// wait serves until a signal or a failure ends it, and stops what was started.
func wait(ctx context.Context, n *node, r *reloader, signals <-chan os.Signal) (err error) {
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
