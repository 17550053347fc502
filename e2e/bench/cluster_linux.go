package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"causeway/e2e/bench/workload"
	"causeway/e2e/peer"
)

// clustering is the subcommand that measures gateways of a cluster: each on a host of its own, clients on the same network.
type clustering struct {
	options
	only     string
	gateways []int
	rate     int
	times    int
	pin      bool
	program  programs
	base     string
}

var clusterQuestions = []question[*clustering]{
	{"split", (*clustering).split},
	{"misses", (*clustering).misses},
	{"recalls", (*clustering).recalls},
	{"hot", (*clustering).hot},
	{"memory", (*clustering).memory},
	{"links", (*clustering).links},
}

// clusterSizes keep three directories of a volume in the page cache.
var clusterSizes = workload.Sizes{Data: 128 << 20, Write: 64 << 20, Over: 8 << 20, New: 16 << 20, Names: 1000, Many: 10000}

func clusters(ctx context.Context, args []string) error {
	c := clustering{gateways: []int{1, 2, 4, 8}}
	set := flag.NewFlagSet("bench cluster", flag.ExitOnError)
	set.StringVar(&c.only, "only", "split,misses,recalls,hot,memory,links", "which checks")
	set.StringVar(&c.workloads, "workloads", "", "regular expression that names of the workloads of split must match")
	set.IntVar(&c.rounds, "rounds", 5, "rounds, of which medians are taken")
	set.DurationVar(&c.duration, "duration", time.Second, "of one measurement, where the workload does not end by itself")
	set.IntVar(&c.times, "times", 1000, "how often something is recalled")
	set.IntVar(&c.rate, "rate", 200, "Mbit/s of each gateway's link, for links")
	set.BoolVar(&c.pin, "pin", false, "hot: give the volume's administrator a processor of its own")
	set.Func("gateways", "how many gateways, for links (default 1,2,4,8)", func(text string) (err error) {
		c.gateways = nil
		for _, word := range strings.Split(text, ",") {
			n := 0
			if _, err = fmt.Sscan(word, &n); err != nil || n < 1 || n > 16 {
				return errors.New("numbers from 1 to 16")
			}
			c.gateways = append(c.gateways, n)
		}
		return nil
	})
	set.StringVar(&c.dir, "dir", "", "where the exported directories are made, and kept; empty: a temporary directory")
	set.StringVar(&c.causeway, "causeway", "", "the causeway binary; empty: build it")
	set.StringVar(&c.profile, "profile", "", "directory for a CPU profile of both gateways per workload of split and hot")
	if err := set.Parse(args); err != nil {
		return err
	}
	return c.prepared(ctx, func() error { return askAll(ctx, &c, clusterQuestions, c.only) })
}

// prepared builds the program around f.
func (c *clustering) prepared(ctx context.Context, f func() error) (err error) {
	if c.base = c.dir; c.base == "" {
		if c.base, err = os.MkdirTemp("", "cw-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(c.base)
	}
	if c.base, err = filepath.Abs(c.base); err != nil {
		return err
	}
	if err = os.MkdirAll(c.base, 0o755); err == nil {
		c.program, err = build(ctx, []string{"causeway"}, filepath.Join(c.base, "bin"), c.causeway)
	}
	if err != nil {
		return err
	}
	return f()
}

// tree is what a volume holds.
func (c *clustering) tree(volume string) (*workload.Tree, error) {
	t := &workload.Tree{Dir: filepath.Join(c.base, volume), Sizes: clusterSizes, Keep: true}
	return t, errors.Join(os.MkdirAll(t.Dir, 0o755), t.Prepare())
}

// start starts gateways. The state directory is new each time.
func (c *clustering) start(ctx context.Context, cfg peer.ClusterConfig) (*peer.Cluster, func(), error) {
	work, err := os.MkdirTemp(c.base, "g-")
	if err != nil {
		return nil, nil, err
	}
	cfg.Program, cfg.Work = c.program.causeway, work
	cluster, err := peer.StartCluster(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	return cluster, func() { cluster.Stop(); os.RemoveAll(work) }, nil
}

// pair is a volume at the gateway that administers it, and at another one.
type pair struct {
	tree         *workload.Tree
	owner, other *peer.Server
}

// share makes a volume that the first gateway administers.
func (c *clustering) share(ctx context.Context, cluster *peer.Cluster, volume string, options ...string) (p pair, err error) {
	if p.tree, err = c.tree(volume); err != nil {
		return p, err
	}
	err = cluster.Share(ctx, volume, p.tree.Dir, 0, options...)
	p.owner, p.other = cluster.Through(0, volume, p.tree.Dir), cluster.Through(1, volume, p.tree.Dir)
	return p, err
}

func (c *clustering) measure(name string, s *peer.Server, t *workload.Tree, d time.Duration) (Sample, error) {
	w, err := workload.Parse(name)
	if err != nil {
		return Sample{}, err
	}
	return measurement{server: s, tree: t, workload: w, duration: d, seed: uint64(time.Now().UnixNano())}.measure()
}
