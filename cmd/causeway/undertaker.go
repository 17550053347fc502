package main

import (
	"context"
	"log/slog"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"causeway/cluster"
	"causeway/cmd/causeway/config"
	"causeway/cmd/causeway/member"
	"causeway/cmd/causeway/undertaker"
)

const undertakerCommand = "undertaker"

// newUndertaker is the second process of a gateway of a cluster. Nobody else can run it.
func newUndertaker() *cobra.Command {
	c := config.Default()
	cmd := &cobra.Command{
		Use: undertakerCommand, Hidden: true, Short: "Watch a gateway, and do what it cannot when it has crashed",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return undertaker.Run(newLogger(&c, cmd.ErrOrStderr())) },
	}
	cmd.Flags().StringVar(&c.LogFormat, "log-format", c.LogFormat, "text or json")
	cmd.Flags().StringVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
	return cmd
}

// startUndertaker is for a crash only: without it the others wait for a lease to end.
func (j *joining) startUndertaker(context.Context) error {
	if j.alone {
		return nil
	}
	program, err := os.Executable()
	if err == nil {
		j.undertaker, err = undertaker.Start(undertaker.Config{Program: program, Log: j.log,
			Arguments: []string{undertakerCommand, "--log-format", j.config.LogFormat, "--log-level", j.config.LogLevel}})
	}
	if err != nil {
		j.log.Log(context.Background(), slog.LevelWarn, "no undertaker: if this process crashes, others wait for its lease to end", "err", err)
		return nil
	}
	// After all that can still fail: what was not given up in order is left to it.
	j.teardown.addClose("undertaker", func() error { j.undertaker.Dismiss(j.member == nil || !j.member.Behind()); return nil })
	return nil
}

// leaves hears what this process would leave if it died now.
func (j *joining) leaves(r cluster.Remains) {
	if len(j.etcd.endpoints) > 0 {
		r.Certificate, r.Key, r.Authority = j.etcd.cert, j.etcd.key, j.etcd.cacert
	}
	if j.undertaker != nil {
		j.undertaker.Tell(func(w *undertaker.Will) { w.Remains = r })
	}
}

// holds hears which service addresses it would leave on this machine.
func (j *joining) holds(addrs []netip.Addr) {
	if j.undertaker != nil {
		j.undertaker.Tell(func(w *undertaker.Will) {
			w.Addresses, w.Interface, w.Lifetime = addrs, j.network, member.AddressLifetime
		})
	}
}
