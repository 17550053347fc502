package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the linker; see the Makefile.
var version = ""

// usageError is a command line that cannot be: exit status 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usage makes a fault of the command line of an error; nil stays nil.
func usage(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return &usageError{fmt.Errorf("%w\n(%s --help shows what can be said)", err, cmd.CommandPath())}
}

// arguments makes what cobra finds wrong with the arguments a fault of the command line.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return usage(cmd, check(cmd, args)) }
}

// execute runs a command. A word that is no command is a fault of the command line too; cobra itself finds it, before any of ours runs.
func execute(ctx context.Context, root *cobra.Command) error {
	cmd, err := root.ExecuteContextC(ctx)
	if fault := (*usageError)(nil); err != nil && cmd == root && !errors.As(err, &fault) {
		return &usageError{errors.New(strings.TrimSpace(err.Error()))}
	}
	return err
}

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "causeway",
		Short: "Serve directories over NFS and SMB",
		Long: "Causeway is a file server: every directory that it is given is a volume that clients mount over NFSv3 or SMB 3,\n" +
			"with nothing installed on them.",
		Example:       "  causeway serve /srv/data\n  causeway serve --config /etc/causeway.yaml\n  causeway status",
		Version:       versionText(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetVersionTemplate("causeway {{.Version}}\n")
	root.SetFlagErrorFunc(usage)
	root.AddCommand(newServe(), newDemo(), newNode(), newVolume(), newUser(), newCluster(), newToken(), newRebalance(), newDiscovery(), newSites(), newClients(), newUnlock(), newRedirect(), newAddress(), newStatus(), newReload(), newConfig(), newVersion(), newUndertaker())
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  arguments(cobra.NoArgs),
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "causeway %s %s %s/%s\n", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}

// versionText is what the linker was told, else the revision that Go recorded.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "devel-" + s.Value[:12]
			}
		}
	}
	return "devel"
}
