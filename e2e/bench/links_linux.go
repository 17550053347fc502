package main

import (
	"context"
	"fmt"

	"causeway/e2e/peer"
)

// links prints how the throughput of one volume grows with the gateways, each behind a link of its own.
func (c *clustering) links(ctx context.Context) error {
	first := map[string]float64{}
	for _, n := range c.gateways {
		if err := c.linksOf(ctx, n, first); err != nil {
			return fmt.Errorf("%d gateways: %w", n, err)
		}
	}
	return nil
}

func (c *clustering) linksOf(ctx context.Context, n int, first map[string]float64) error {
	cluster, stop, err := c.start(ctx, peer.ClusterConfig{Gateways: n, Rate: c.rate})
	if err != nil {
		return err
	}
	defer stop()
	t, err := c.tree("plain")
	if err != nil {
		return err
	}
	if err := cluster.Share(ctx, "plain", t.Dir, 0); err != nil {
		return err
	}
	all := cluster.ThroughAll("plain", t.Dir)
	for _, name := range []string{"read1m-c8q4", "overwrite1m-c8q4"} {
		var rates []float64
		for range c.rounds {
			s, err := c.measure(name, all, t, 4*c.duration)
			if err != nil {
				return err
			}
			rates = append(rates, s.Rate()*1024)
		}
		rate := middle(rates)
		if first[name] == 0 {
			first[name] = rate / float64(n)
		}
		fmt.Printf("%d gateways of %d Mbit/s, %s: %.1f MiB/s, × %.3f of that of one (target ≥ 0.95)\n", n, c.rate, name, rate, rate/first[name]/float64(n))
	}
	return nil
}
