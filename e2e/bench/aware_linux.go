package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"causeway/client"
	"causeway/e2e/peer"
)

// aware is the subcommand that measures aware clients: programs with the library causeway/client, over gateways whose links are limited.
type awareBench struct {
	clustering
	clients int
	settle  time.Duration
	size    int
}

var awareQuestions = []question[*awareBench]{
	{"spread", (*awareBench).spread},
	{"kill", (*awareBench).kill},
	{"stripes", (*awareBench).stripes},
}

// awarePort is that of aware clients.
const awarePort = 9450

func awares(ctx context.Context, args []string) error {
	a := awareBench{}
	set := flag.NewFlagSet("bench aware", flag.ExitOnError)
	set.StringVar(&a.only, "only", "spread,kill,stripes", "which checks")
	set.IntVar(&a.clients, "clients", 32, "aware clients")
	set.IntVar(&a.rate, "rate", 100, "Mbit/s of each of the four gateways' links")
	set.DurationVar(&a.settle, "settle", time.Minute, "how long throughput and redirects are counted after the clients have spread")
	set.IntVar(&a.size, "size", 512, "MiB of the file that one client writes and reads over all links")
	set.IntVar(&a.rounds, "rounds", 3, "of kill and stripes")
	set.StringVar(&a.dir, "dir", "", "where the exported directories are made, and kept; empty: a temporary directory")
	set.StringVar(&a.causeway, "causeway", "", "the causeway binary; empty: build it")
	if err := set.Parse(args); err != nil {
		return err
	}
	return a.prepared(ctx, func() error { return askAll(ctx, &a, awareQuestions, a.only) })
}

// awareGateways is how many there are.
const awareGateways = 4

// field is gateways with a volume, for aware clients.
type field struct {
	*awareBench
	cluster *peer.Cluster
	dir     string
	stop    func()
}

// begin starts gateways that are busy when their links are.
func (a *awareBench) begin(ctx context.Context) (*field, error) {
	cluster, stop, err := a.start(ctx, peer.ClusterConfig{Gateways: awareGateways, Rate: a.rate,
		Flags: []string{"--aware", fmt.Sprint(awarePort), "--shared-cpu", "--link-speed", fmt.Sprint(a.rate)}})
	if err != nil {
		return nil, err
	}
	t, err := a.tree("plain")
	if err == nil {
		err = cluster.Share(ctx, "plain", t.Dir, 0)
	}
	for i := range awareGateways {
		if err == nil {
			err = cluster.Command(ctx, "node", "set", peer.Name(i), "--update-interval", "1s", "--threshold", "80")
		}
	}
	if err != nil {
		stop()
		return nil, err
	}
	return &field{a, cluster, t.Dir, stop}, nil
}

// at is where a gateway answers aware clients.
func (f *field) at(i int) string {
	return netip.AddrPortFrom(f.cluster.Service(i%awareGateways), awarePort).String()
}

// dial connects from where the clients are. The namespace's calls block, so they are left behind when the context ends.
func (f *field) dial(ctx context.Context, _, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := f.cluster.Center().DialConn(to)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				r.conn.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// open connects a client and waits until it knows all gateways.
func (f *field) open(ctx context.Context, cfg client.Config, at ...string) (*client.Client, *client.Volume, error) {
	cfg.Dial = f.dial
	if os.Getenv("CAUSEWAY_BENCH_VERBOSE") != "" {
		cfg.Log = slog.New(slog.NewTextHandler(os.Stdout, nil)).With("client", at[0])
	}
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		c, err := client.Dial(ctx, cfg, at...)
		var v *client.Volume
		if err == nil {
			if v, err = c.Volume(ctx, "plain"); err == nil {
				for len(c.Paths("plain")) < awareGateways && time.Since(begun) < time.Minute {
					time.Sleep(5 * time.Millisecond)
				}
				return c, v, nil
			}
			c.Close()
		}
		if time.Since(begun) > time.Minute {
			return nil, nil, err
		}
	}
}
