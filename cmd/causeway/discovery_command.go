package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"causeway/cmd/causeway/member"
	"causeway/discovery"
)

func newDiscovery() *cobra.Command {
	c := &cobra.Command{
		Use:   "discovery",
		Short: "See what the cluster answers by DNS",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newDiscoveryRecords())
	return c
}

func newDiscoveryRecords() *cobra.Command {
	o, client := &clusterCommand{use: "records", short: "Print what is answered now, and why",
		example: "  causeway discovery records --client 10.7.0.20"}, ""
	c := o.command(cobra.NoArgs, func(ctx context.Context, c *control, _ []string, w io.Writer) error {
		in, r := member.DiscoveryOrder{}, discovery.Records{}
		if client != "" {
			var err error
			if in.Client, err = netip.ParseAddr(client); err != nil {
				return usage(o.cmd, fmt.Errorf("--client %q is not an IP address", client))
			}
		}
		text, err := c.order(ctx, "/cluster/discovery", in, &r)
		if err != nil {
			return err
		}
		return o.print(w, text, nil, func() error { return writeRecords(w, &r) })
	})
	c.Flags().StringVar(&client, "client", "", "what a client with this address is answered (default: what resolvers are that do not say for whom they ask)")
	return c
}

func writeRecords(out io.Writer, r *discovery.Records) error {
	whom := "resolvers that do not say for whom they ask"
	if r.Client != "" {
		whom = r.Client
	}
	if r.Site != "" {
		whom += ", which is at " + r.Site
	}
	fmt.Fprintf(out, "zone %s, serial %d, answers hold for %ds; to %s:\n\n", r.Zone, r.Serial, r.TTL, whom)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GATEWAY\tSTATE\tUSED\tGETS CLIENTS\tWHY")
	for _, g := range r.Gateways {
		used, gets := "-", "no"
		if g.Utilization != nil {
			used = fmt.Sprintf("%d%%", *g.Utilization)
		}
		if g.Chosen {
			gets = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", g.Gateway, g.State, used, gets, g.Why)
	}
	fmt.Fprintln(w)
	if err := w.Flush(); err != nil {
		return err
	}
	for _, one := range r.Records {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s", one.Name, one.TTL, one.Type, one.Value)
		if one.Why != "" {
			fmt.Fprintf(w, "\t; %s", one.Why)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

func newSites() *cobra.Command {
	c := &cobra.Command{
		Use:   "site",
		Short: "Say which networks of clients are where, so that they are sent to the gateways there",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newSiteSet(), newSiteList(), newSiteRemove())
	return c
}

func newSiteSet() *cobra.Command {
	o := &clusterCommand{use: "set NAME NETWORK...", short: "Set the networks of a site; gateways with the domain NAME, or an address there, are at it",
		example: "  causeway site set paris 10.7.0.0/16 2001:db8:7::/48"}
	return o.command(cobra.MinimumNArgs(2), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		in := member.SiteOrder{Name: args[0]}
		for _, text := range args[1:] {
			p, err := netip.ParsePrefix(text)
			if err != nil {
				return usage(o.cmd, fmt.Errorf("%q is no network, as 10.7.0.0/16 is", text))
			}
			in.Networks = append(in.Networks, p)
		}
		text, err := c.order(ctx, "/cluster/site/set", in, nil)
		if err != nil {
			return err
		}
		return o.print(w, text, nil, func() error { _, err := fmt.Fprintf(w, "site %s is set\n", in.Name); return err })
	})
}

func newSiteList() *cobra.Command {
	o := &clusterCommand{use: "ls", short: "List the sites"}
	return o.command(cobra.NoArgs, func(ctx context.Context, c *control, _ []string, w io.Writer) error {
		st, _, err := clusterStatus(ctx, c)
		if err != nil {
			return err
		}
		return o.print(w, nil, st.Settings.Sites, func() error {
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "SITE\tNETWORKS")
			for _, s := range st.Settings.Sites {
				fmt.Fprintf(t, "%s\t%s\n", s.Name, strings.Trim(fmt.Sprint(s.Networks), "[]"))
			}
			return t.Flush()
		})
	})
}

func newSiteRemove() *cobra.Command {
	o := &clusterCommand{use: "rm NAME", short: "Forget a site"}
	return o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		text, err := c.order(ctx, "/cluster/site/rm", member.Named{Name: args[0]}, nil)
		if err != nil {
			return err
		}
		return o.print(w, text, nil, func() error { _, err := fmt.Fprintf(w, "site %s is forgotten\n", args[0]); return err })
	})
}
