package main

import (
	"context"
	"errors"
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
	if names := waiting(n.config, c); len(names) > 0 {
		notes = append(notes, "what changed of "+strings.Join(names, ", ")+" takes effect at the next start")
	}
	return strings.Join(append([]string{counted(len(c.Volumes), "volume") + " served"}, notes...), "; "), nil
}

// waiting names the settings that differ and that only a start puts into force.
func waiting(now, next *config.Config) (names []string) {
	for _, s := range []struct {
		name string
		same bool
	}{
		{"listen", now.Listen == next.Listen}, {"portmap", now.Portmap == next.Portmap}, {"admin", now.Admin == next.Admin},
		{"aware", now.Aware == next.Aware}, {"aware-unix", now.AwareUnix == next.AwareUnix}, {"aware-tls", now.AwareTLS == next.AwareTLS},
		{"link-speed", now.LinkSpeed == next.LinkSpeed}, {"shared-cpu", now.SharedCPU == next.SharedCPU}, {"state-dir", now.StateDir == next.StateDir},
		{"grace", now.Grace == next.Grace}, {"groups", now.Groups == next.Groups}, {"log-format", now.LogFormat == next.LogFormat},
		{"log-level", now.LogLevel == next.LogLevel}, {"smb", now.SMB == next.SMB}, {"smb-signing", now.Signing == next.Signing},
	} {
		if !s.same {
			names = append(names, s.name)
		}
	}
	return names
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
