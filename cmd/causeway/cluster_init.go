package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"causeway/admin"
	"causeway/cmd/causeway/member"
	"causeway/internal/sleep"
)

// growth is what an operator can say when a gateway that serves alone becomes the first one of a cluster.
type growth struct {
	founding
	peer    string
	service []string
}

func (g *growth) register(c *cobra.Command) {
	set := c.Flags()
	set.StringVar(&g.Name, "name", "", "of a gateway that serves alone: its name in the cluster (default: this machine's)")
	set.StringVar(&g.peer, "peer", "", "of a gateway that serves alone: IP address and port where others will reach it (default: port 9441 where it serves)")
	set.StringArrayVar(&g.service, "service-address", nil, "of a gateway that serves alone: IP address that clients use (default: where it serves); may be repeated")
	set.StringVar(&g.Interface, "interface", "", "of a gateway that serves alone: network interface for the service addresses")
}

func (g *growth) parse(cmd *cobra.Command) (err error) {
	if g.peer != "" {
		if g.Peer, err = netip.ParseAddrPort(g.peer); err != nil || g.Peer.Addr().IsUnspecified() {
			return usage(cmd, fmt.Errorf("--peer %q is not an IP address and port of this machine, as in 10.0.0.11:9441", g.peer))
		}
	}
	for _, text := range g.service {
		a, err := netip.ParseAddr(text)
		if err != nil || a.IsUnspecified() {
			return usage(cmd, fmt.Errorf("--service-address %q is not an IP address", text))
		}
		g.Addresses = append(g.Addresses, a.Unmap())
	}
	return nil
}

// growWithin bounds how long a gateway may take to become one of a cluster.
const growWithin = 2 * time.Minute

// begin makes a gateway that serves alone one of a cluster, and returns when it is.
func (g *growth) begin(ctx context.Context, c *control, progress io.Writer) (*founding, error) {
	f := &founding{}
	if _, err := c.order(ctx, "/cluster/init", &g.founding, f); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, growWithin)
	defer cancel()
	fmt.Fprintf(progress, "the gateway becomes %s, the first one of a cluster; its clients wait a moment\n", f.Name)
	for {
		_, _, err := clusterStatus(ctx, c)
		if err == nil {
			if err = isReady(ctx, c); err == nil {
				return f, nil
			}
		}
		if errors.Is(err, errNoCluster) {
			if text, err := c.do(ctx, "GET", "/cluster/init"); err == nil {
				var st initStatus
				if json.Unmarshal(text, &st) == nil && st.Failed != "" {
					return nil, fmt.Errorf("it goes on alone: %s", st.Failed)
				}
			}
		}
		if !sleep.For(ctx, 50*time.Millisecond) {
			return nil, fmt.Errorf("it is not one yet, see its log: %w", err)
		}
	}
}

// isReady says whether the gateway answers clients. Before, it may still find that it cannot be one of a cluster.
func isReady(ctx context.Context, c *control) error {
	text, err := c.do(ctx, "GET", "/status")
	if err != nil {
		return err
	}
	st := &admin.Status{}
	if err := unmarshalAnswer(text, st); err != nil {
		return err
	}
	if !st.Process.Ready {
		return errors.New("it does not answer clients yet")
	}
	return nil
}

func newClusterInit() *cobra.Command {
	o, g := &clusterCommand{use: "init", short: "Make a gateway that serves alone the first one of a cluster; causeway token does it too"}, growth{}
	c := o.command(cobra.NoArgs, func(ctx context.Context, c *control, _ []string, w io.Writer) error {
		if err := g.parse(o.cmd); err != nil {
			return err
		}
		if _, _, err := clusterStatus(ctx, c); err == nil {
			return errors.New("it is a gateway of a cluster already")
		} else if !errors.Is(err, errNoCluster) {
			return err
		}
		f, err := g.begin(ctx, c, o.cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		return o.print(w, nil, f, func() error {
			_, err := fmt.Fprintf(w, "gateway %s is one of a cluster, for others at %v; causeway token prints how they join\n", f.Name, f.Peer)
			return err
		})
	})
	g.register(c)
	return c
}

// token asks for a join token; a gateway that serves alone becomes one of a cluster first.
func (o *clusterCommand) token(ctx context.Context, c *control, g *growth, in member.TokenOrder) (member.Token, []byte, error) {
	token := member.Token{}
	if err := g.parse(o.cmd); err != nil {
		return token, nil, err
	}
	text, err := c.order(ctx, "/cluster/token", in, &token)
	if errors.Is(err, errNoCluster) {
		if _, err := g.begin(ctx, c, o.cmd.ErrOrStderr()); err != nil {
			return token, nil, err
		}
		text, err = c.order(ctx, "/cluster/token", in, &token)
	}
	return token, text, err
}
