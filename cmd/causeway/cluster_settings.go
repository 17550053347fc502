package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"causeway/cmd/causeway/member"
)

func newCluster() *cobra.Command {
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Manage what concerns the cluster as a whole",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newClusterInit(), newClusterSet(), newClusterBackup(), newClusterRestore(), newClusterRotate())
	return c
}

func newClusterSet() *cobra.Command {
	o := &clusterCommand{use: "set", short: "Change what is set for the whole cluster", example: "  causeway cluster set --hold-down 2m"}
	var holdDown, referralTTL time.Duration
	var budget int
	var version uint32
	var zone string
	redirects := redirectFlags{}
	c := o.command(cobra.NoArgs, func(ctx context.Context, c *control, _ []string, w io.Writer) error {
		in, given := member.ClusterOrder{}, o.cmd.Flags().Changed
		if given("hold-down") {
			in.HoldDown = &holdDown
		}
		if given("referral-ttl") {
			in.ReferralTTL = &referralTTL
		}
		if given("move-budget") {
			in.Budget = &budget
		}
		if given("min-version") {
			in.MinVersion = &version
		}
		if given("zone") {
			in.Zone = &zone
		}
		if err := redirects.fill(o.cmd, &in); err != nil {
			return usage(o.cmd, err)
		}
		if in == (member.ClusterOrder{}) {
			return usage(o.cmd, errors.New("say what to change"))
		}
		s := member.Settings{}
		text, err := c.order(ctx, "/cluster/set", in, &s)
		if err != nil {
			return err
		}
		return o.print(w, text, nil, func() error { writeSettings(w, &s); return nil })
	})
	c.Flags().DurationVar(&holdDown, "hold-down", 30*time.Second, "how long a node that came back gets no volumes that are well where they are")
	c.Flags().DurationVar(&referralTTL, "referral-ttl", 5*time.Minute, "for how long SMB clients keep the list of gateways that they were referred to; 0s: 5m")
	c.Flags().IntVar(&budget, "move-budget", 0, "volumes that one rebalance moves at most, beside those without an owner; 0: 500")
	c.Flags().Uint32Var(&version, "min-version", 0, "protocol version that every gateway must speak from now on; it never falls")
	c.Flags().StringVar(&zone, "zone", "", `domain that gateways with --dns answer for, as in nas.example.com; "off": none`)
	redirects.register(c.Flags())
	return c
}

func writeSettings(w io.Writer, s *member.Settings) {
	fmt.Fprintf(w, "a node that came back is held down for %v; protocol version %d at least\n",
		time.Duration(s.HoldDown*float64(time.Second)), s.MinVersion)
	if s.Zone != "" {
		fmt.Fprintf(w, "gateways with --dns answer for %s; causeway discovery records shows what\n", s.Zone)
	}
	fmt.Fprintf(w, "SMB clients keep the list of gateways for %v\n", time.Duration(s.ReferralTTL*float64(time.Second)))
	writeRedirects(w, &s.Redirect)
	for _, one := range s.Schedules {
		how := "moving little"
		if one.Thorough {
			how = "thoroughly"
		}
		fmt.Fprintf(w, "volumes are rebalanced, %s, at %q: next at %s\n", how, one.Cron, one.Next.Local().Format(time.DateTime))
	}
}
