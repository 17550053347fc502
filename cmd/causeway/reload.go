package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"causeway/cmd/causeway/config"
)

// reloader reads the configuration again while the gateway runs.
type reloader struct {
	settings *settings
	log      *slog.Logger
	node     atomic.Pointer[node] // nil until it is ready

	mu sync.Mutex // one at a time
}

// reload puts the volumes, their rules and settings into force. If the configuration is at fault nothing changes.
func (r *reloader) reload(ctx context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.node.Load()
	if n == nil {
		return "", errors.New("the gateway is still starting")
	}
	if n.member != nil {
		return n.reloadMember(ctx)
	}
	if r.settings.file == "" {
		return "", errors.New("there is no configuration file to read again: serve was started without --config")
	}
	c, err := r.settings.load()
	if err != nil {
		return "", err
	}
	if err := apart(n.state.Path(), c.Volumes); err != nil {
		return "", err
	}
	notes, err := n.volumes.apply(ctx, c.Volumes)
	if err != nil {
		return "", err
	}
	if n.groups != nil {
		n.groups.Forget()
	}
	var wait []string
	for i, now := range fixed(n.config) {
		if fixed(c)[i] != now {
			wait = append(wait, now[0])
		}
	}
	if len(wait) > 0 {
		notes = append(notes, "what changed of "+strings.Join(wait, ", ")+" takes effect at the next start")
	}
	return strings.Join(append([]string{counted(len(c.Volumes), "volume") + " served"}, notes...), "; "), nil
}

// reloadMember is reload at a gateway of a cluster, which reads nothing from a file: its settings are the cluster's.
func (n *node) reloadMember(context.Context) (string, error) {
	if n.groups == nil {
		return "", errors.New("a gateway of a cluster has its settings from the cluster: see causeway volume set and causeway node set")
	}
	n.groups.Forget()
	return "the groups of users are looked up anew", nil
}

// fixed are the settings that only a start puts into force.
func fixed(c *config.Config) [][2]string {
	return [][2]string{
		{"listen", c.Listen}, {"portmap", fmt.Sprint(c.Portmap)}, {"admin", c.Admin}, {"aware", fmt.Sprint(c.Aware)}, {"aware-unix", c.AwareUnix},
		{"aware-tls", c.AwareTLS}, {"link-speed", fmt.Sprint(c.LinkSpeed)}, {"shared-cpu", fmt.Sprint(c.SharedCPU)}, {"state-dir", c.StateDir},
		{"grace", c.Grace}, {"groups", fmt.Sprint(c.Groups)}, {"log-format", c.LogFormat}, {"log-level", c.LogLevel}, {"smb", c.SMB}, {"smb-signing", c.Signing},
	}
}

// command is reload, logged.
func (r *reloader) command(ctx context.Context) (string, error) {
	text, err := r.reload(ctx)
	if err != nil {
		r.log.Error("not reloaded; everything stays as it was", "err", err)
	} else {
		r.log.Info("reloaded", "result", text)
	}
	return text, err
}

// signalled is command for SIGHUP: the service manager is told when it begins and ends (systemd.service(5), notify-reload).
func (r *reloader) signalled(ctx context.Context) {
	notify(r.log, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec())
	r.command(ctx)
	notify(r.log, daemon.SdNotifyReady)
}

func newReload() *cobra.Command {
	flags := &stateFlags{}
	c := &cobra.Command{
		Use:   "reload",
		Short: "Make a running gateway read its configuration file again, as SIGHUP does",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := flags.path()
			if err != nil {
				return err
			}
			text, err := newControl(dir).do(cmd.Context(), "POST", "/command/reload")
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		},
	}
	flags.register(c)
	return c
}
