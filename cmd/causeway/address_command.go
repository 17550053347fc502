package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"causeway/cmd/causeway/member"
)

func newAddress() *cobra.Command {
	c := &cobra.Command{
		Use:   "address",
		Short: "Manage the service addresses that clients use",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newAddressList(), newAddressMove())
	return c
}

func newAddressList() *cobra.Command {
	o := &clusterCommand{use: "ls", short: "List the service addresses, whose they are, and who answers there"}
	return o.command(cobra.NoArgs, func(ctx context.Context, c *control, _ []string, w io.Writer) error {
		st, _, err := clusterStatus(ctx, c)
		if err != nil {
			return err
		}
		return o.print(w, nil, st.Addresses, func() error { return writeAddresses(w, st.Addresses) })
	})
}

func newAddressMove() *cobra.Command {
	o, to := &clusterCommand{use: "move ADDRESS --to NODE", short: "Give a service address to another node, with all clients that use it; they wait as for a lost packet",
		example: "  causeway address move 10.0.0.1 --to g2\n  causeway address move 10.0.0.1 --to g1      # back to the node to which it belongs"}, ""
	c := o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		a, err := netip.ParseAddr(args[0])
		if err != nil {
			return usage(o.cmd, fmt.Errorf("%q is no IP address", args[0]))
		}
		if to == "" {
			return usage(o.cmd, fmt.Errorf("--to is missing: the node that shall answer at %v", a))
		}
		done := member.AddressMove{}
		text, err := c.order(ctx, "/cluster/address/move", member.MoveOrder{Address: a, To: to}, &done)
		if err != nil {
			return err
		}
		return o.print(w, text, nil, func() error {
			_, err := fmt.Fprintf(w, "%v was at %s; %s answers there since %v after the order\n", a, orNobody(done.From), done.To,
				time.Duration(done.Took*float64(time.Second)).Round(time.Millisecond))
			return err
		})
	})
	c.Flags().StringVar(&to, "to", "", "the node that shall answer there; the one to which it belongs ends the move")
	return c
}

func writeAddresses(w io.Writer, list []member.Address) error {
	for _, a := range list {
		why := ""
		switch {
		case a.At == "":
			why = ": no node may answer there"
		case a.Moved:
			why = ", by causeway address move"
		case a.At != a.Home:
			why = ", until that runs again"
		}
		if _, err := fmt.Fprintf(w, "%v of %s: at %s%s\n", a.Address, a.Home, orNobody(a.At), why); err != nil {
			return err
		}
	}
	return nil
}
