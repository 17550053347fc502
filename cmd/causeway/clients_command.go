package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"causeway/cmd/causeway/member"
)

func newClients() *cobra.Command {
	o := &clusterCommand{use: "clients", short: "List who is connected to which gateway, what each uses, and how much load that is",
		example: "  causeway clients\n  causeway clients --json"}
	return o.command(cobra.NoArgs, func(ctx context.Context, c *control, _ []string, w io.Writer) error {
		text, err := c.do(ctx, "GET", "/cluster/clients")
		if err != nil {
			return err
		}
		list := member.ClientList{}
		if err := unmarshalAnswer(text, &list); err != nil {
			return err
		}
		return o.print(w, text, nil, func() error { return writeClientList(w, &list) })
	})
}

func writeClientList(out io.Writer, list *member.ClientList) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GATEWAY\tCLIENT\tKIND\tPROTOCOL\tVOLUME\tLOAD\tCALLS\tBYTES\tSITE\tFOR\tMOVED")
	for i := range list.Clients {
		c := &list.Clients[i]
		moved := "-"
		if c.Moved != nil {
			moved = time.Since(*c.Moved).Round(time.Second).String() + " ago"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.1f%%\t%d\t%s\t%s\t%v\t%s\n", orDash(c.Gateway), c.Client, c.Kind, c.Protocol, orDash(c.Volume), c.Load,
			c.Calls, size(c.Bytes), orDash(c.Site), time.Since(c.Since).Round(time.Second), moved)
	}
	for _, m := range list.Missing {
		fmt.Fprintf(w, "no answer from %s\n", m)
	}
	return w.Flush()
}

func newRedirect() *cobra.Command {
	o, to := &clusterCommand{use: "redirect CLIENT[:VOLUME]", short: "Send a client to another gateway",
		example: "  causeway redirect 10.7.0.20/3fa9c1b2:home --to g2\n  causeway redirect 10.7.0.20                      # all that runs there, to where there is room"}, ""
	c := o.command(cobra.ExactArgs(1), func(ctx context.Context, c *control, args []string, w io.Writer) error {
		in, err := parseRedirect(args[0])
		if err != nil {
			return usage(o.cmd, err)
		}
		in.To = to
		var done []member.Redirected
		text, err := c.order(ctx, "/cluster/redirect", in, &done)
		if err != nil {
			return err
		}
		return o.print(w, text, nil, func() error { return writeRedirected(w, done) })
	})
	o.cmd.Long = "Send a client to another gateway. Aware clients (programs with the Go library) go at once, without an error. Clients of NFSv3 and SMB cannot be\n" +
		"told: the answer says what can be done about them."
	c.Flags().StringVar(&to, "to", "", "the node to go to (default: the one with the most room)")
	return c
}

// parseRedirect reads ADDRESS, ADDRESS/NAME, either with :VOLUME. Around an IPv6 address in front of a volume stand brackets, unless a name follows.
func parseRedirect(text string) (in member.RedirectOrder, err error) {
	text = strings.Replace(text, ":/", ":", 1) // a volume may be named as it is mounted
	host, rest := text, ""
	if i := strings.IndexByte(text, '/'); i >= 0 {
		host, rest = text[:i], text[i:]
		rest, in.Volume, _ = strings.Cut(rest, ":")
	} else if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err != nil {
		i := strings.LastIndexByte(text, ':')
		if i < 0 {
			return in, fmt.Errorf("%q does not begin with a client's IP address", text)
		}
		host, in.Volume = text[:i], text[i+1:]
	}
	if strings.HasSuffix(text, ":") {
		return in, errors.New("the name of the volume is missing")
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return in, fmt.Errorf("%q does not begin with a client's IP address", text)
	}
	in.Client = a.Unmap().String() + rest
	return in, nil
}

func writeRedirected(w io.Writer, done []member.Redirected) error {
	for _, r := range done {
		what := fmt.Sprintf("%s, %s", r.Client, r.Protocol)
		if r.Volume != "" {
			what += " /" + r.Volume
		}
		text := fmt.Sprintf("%s: sent from %s to %s", what, r.From, r.To)
		if !r.Told {
			text = fmt.Sprintf("%s: stays at %s: %s", what, r.From, r.Why)
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}
