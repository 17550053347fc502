package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"causeway/cmd/causeway/config"
)

// counted is "1 volume" or "2 volumes".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func newConfig() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Show and check configuration files",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:     "example",
		Short:   "Print a commented configuration file with every setting",
		Example: "  causeway config example > /etc/causeway.yaml",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), config.Example)
			return err
		},
	}, &cobra.Command{
		Use:   "check FILE",
		Short: "Check a configuration file; a fault is named with its line and column",
		Args:  arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := config.Load(args[0])
			if err != nil {
				return err
			}
			if err := f.Config.CheckPaths(); err != nil {
				return f.Locate(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: good, %s\n", args[0], counted(len(f.Config.Volumes), "volume"))
			return nil
		},
	})
	return c
}
