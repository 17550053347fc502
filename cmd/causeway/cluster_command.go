package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"causeway/cmd/causeway/member"
)

// clusterCommand is a command about the cluster of a running gateway.
type clusterCommand struct {
	use, short, example string

	cmd    *cobra.Command
	flags  stateFlags
	asJSON bool
}

func (o *clusterCommand) command(args cobra.PositionalArgs, do func(context.Context, *control, []string, io.Writer) error) *cobra.Command {
	o.cmd = &cobra.Command{
		Use: o.use, Short: o.short, Example: o.example, Args: arguments(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := o.flags.path()
			if err != nil {
				return err
			}
			c := newControl(dir)
			c.progress = cmd.ErrOrStderr()
			return do(cmd.Context(), c, args, cmd.OutOrStdout())
		},
	}
	o.cmd.Flags().StringVar(&o.flags.dir, "state-dir", "", "state directory of a gateway of the cluster that runs here (default as for node)")
	o.cmd.Flags().BoolVar(&o.asJSON, "json", false, "as JSON")
	return o.cmd
}

// print shows an answer to people or, as JSON, to programs: value, or the text that the gateway sent.
// something refuses a command that changes what its flags say, and has none.
func (o *clusterCommand) something() error {
	any := false
	o.cmd.Flags().Visit(func(f *pflag.Flag) { any = any || f.Name != "state-dir" && f.Name != "json" })
	if !any {
		return usage(o.cmd, errors.New("say what to change"))
	}
	return nil
}

func (o *clusterCommand) print(w io.Writer, text []byte, value any, people func() error) error {
	switch {
	case !o.asJSON:
		return people()
	case value == nil:
		_, err := w.Write(text)
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(value)
}

func noSuch(what, name string) error { return fmt.Errorf("there is no %s %s", what, name) }

// clusterStatus asks a gateway what it knows of its cluster.
func clusterStatus(ctx context.Context, c *control) (*member.Status, []byte, error) {
	text, err := c.do(ctx, "GET", "/cluster")
	if err != nil {
		return nil, nil, err
	}
	st := &member.Status{}
	return st, text, unmarshalAnswer(text, st)
}

func unmarshalAnswer(text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("the gateway's answer cannot be read: %w", err)
	}
	return nil
}

func newToken() *cobra.Command {
	o, g, life := &clusterCommand{use: "token", short: "Print a token with which another gateway can join the cluster"}, growth{}, time.Duration(0)
	c := o.command(cobra.NoArgs, func(ctx context.Context, c *control, _ []string, w io.Writer) error {
		token, text, err := o.token(ctx, c, &g, member.TokenOrder{Life: life})
		if err != nil {
			return err
		}
		return o.print(w, text, nil, func() error {
			_, err := fmt.Fprintf(w, "%s\n\nIt is good until %s. On the machine that shall join, with an address of its own:\n"+
				"  causeway node --name NAME --service-address ADDRESS --peer ADDRESS:9441 --join %s --token %s\n",
				token.Token, token.Expires.Local().Format(time.DateTime), token.Peer, token.Token)
			return err
		})
	})
	o.cmd.Long = "Print a token with which another gateway can join the cluster. A gateway that serves alone (causeway serve) becomes the first one of\n" +
		"a cluster by that: it starts anew as such, in the same process and at the same address, with its volumes, handles and rules."
	g.register(c)
	c.Flags().DurationVar(&life, "life", time.Hour, "how long the token is good, a week at most")
	return c
}

func newRebalance() *cobra.Command {
	o, in, schedule := &clusterCommand{use: "rebalance", short: "Move volumes to where they belong now, or say when that shall be done",
		example: "  causeway rebalance --dry-run\n" +
			"  causeway rebalance --schedule '0 12 * * *'                 # every day at noon, moving little\n" +
			"  causeway rebalance --schedule '30 2 * * *' --thorough      # at night, as well as can be\n" +
			"  causeway rebalance --schedule off"}, member.RebalanceOrder{}, ""
	c := o.command(cobra.NoArgs, func(ctx context.Context, c *control, _ []string, w io.Writer) error {
		if schedule != "" {
			return o.schedule(ctx, c, w, member.ScheduleOrder{Cron: schedule, Thorough: in.Thorough})
		}
		moves := []member.Move{}
		text, err := c.order(ctx, "/cluster/rebalance", in, &moves)
		if err != nil {
			return err
		}
		return o.print(w, text, nil, func() error {
			if len(moves) == 0 {
				fmt.Fprintln(w, "every volume is where it belongs")
			}
			for _, m := range moves {
				fmt.Fprintf(w, "%s: %s to %s: %s\n", m.Volume, orNobody(m.From), orNobody(m.To), m.Reason)
			}
			return nil
		})
	})
	c.Flags().BoolVar(&in.DryRun, "dry-run", false, "show what would move and why, and move nothing")
	c.Flags().BoolVar(&in.Thorough, "thorough", false, "place as well as can be, though that moves more")
	c.Flags().StringVar(&schedule, "schedule", "", `when to rebalance: minute, hour, day of month, month, day of week, as in crontab(5), in the master's time zone; "off": never`)
	return c
}

// schedule sets when the master rebalances.
func (o *clusterCommand) schedule(ctx context.Context, c *control, w io.Writer, in member.ScheduleOrder) error {
	s := member.Settings{}
	text, err := c.order(ctx, "/cluster/schedule", in, &s)
	if err != nil {
		return err
	}
	return o.print(w, text, nil, func() error { writeSettings(w, &s); return nil })
}

func orNobody(node string) string {
	if node == "" {
		return "nobody"
	}
	return node
}
