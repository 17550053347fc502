package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"causeway/e2e/bench/workload"
	"causeway/e2e/peer"
)

// splitWorkloads are made at the gateway that administers the volume, and at another one.
var splitWorkloads = []string{
	"getattr-c8q1", "getattr-c1q32", "lookup-c8q1", "lookup-c1q32", "read4k-c8q1", "read4k-c1q32", "read1m-c8q1",
	"write4k-c8q1", "write4k-c1q32", "overwrite1m-c8q1", "create-c8q1", "create4k-c8q1", "unlink-c8q1",
}

// splitTarget is the greatest CPU time per unit at another gateway, as a part of that at the administrative one; 0: none.
func splitTarget(name string) float64 {
	switch kind, _, _ := strings.Cut(name, "-c"); kind {
	case "getattr", "lookup":
		return 1.1
	case "read4k", "read1m", "write4k", "overwrite1m":
		return 1.05
	}
	return 0
}

// split compares, on a volume that other programs may change and on an exclusive one, the administrative gateway with another one, and
// a gateway without a cluster with both. CPU time is that of all three
// gateways, beyond what they use when idle.
func (c *clustering) split(ctx context.Context) error {
	match, err := regexp.Compile(c.workloads)
	if err != nil {
		return err
	}
	var workloads []workload.Workload
	for _, name := range splitWorkloads {
		if w, err := workload.Parse(name); err == nil && match.MatchString(name) {
			workloads = append(workloads, w)
		}
	}
	cluster, stop, err := c.start(ctx, peer.ClusterConfig{Gateways: 3})
	if err != nil {
		return err
	}
	defer stop()
	plain, err := c.share(ctx, cluster, "plain")
	if err != nil {
		return err
	}
	exclusive, err := c.share(ctx, cluster, "exclusive", "--exclusive")
	if err != nil {
		return err
	}
	single, err := c.tree("single")
	if err != nil {
		return err
	}
	alone, err := peer.StartCauseway(ctx, c.program.causeway, peer.Config{Dir: single.Dir, Work: filepath.Join(c.base, "single-work")})
	if err != nil {
		return err
	}
	defer alone.Stop()
	for _, one := range []*peer.Server{plain.owner, plain.other, exclusive.owner, exclusive.other} {
		idle, err := one.Rest(2 * time.Second)
		if err != nil {
			return err
		}
		fmt.Printf("idle, all gateways: %.3f CPU s/s, left out of what follows\n", idle)
	}
	f := &fleet{}
	for _, m := range []struct {
		name   string
		server *peer.Server
		tree   *workload.Tree
	}{
		{"alone", alone, single}, {"plain", plain.owner, plain.tree}, {"plain, away", plain.other, plain.tree},
		{"exclusive", exclusive.owner, exclusive.tree}, {"exclusive, away", exclusive.other, exclusive.tree},
	} {
		k := kind{name: m.name, start: func(context.Context, programs, peer.Config) (*peer.Server, error) {
			return nil, errors.New("a gateway has ended")
		}}
		f.members = append(f.members, &member{kind: k, tree: m.tree, server: m.server})
	}
	samples := measureAll(ctx, f, plan{workloads: workloads, rounds: c.rounds, duration: c.duration, seed: uint64(time.Now().UnixNano())})
	writeSplit(summarise(samples, "plain", splitGoal), summarise(samples, "exclusive", splitGoal))
	return errors.Join(c.profileSplit(ctx, workloads, []pair{plain, exclusive}), c.profileOwners(ctx, workloads, f.members[:2]))
}

func splitGoal(workload, server string) float64 {
	if strings.HasSuffix(server, "away") {
		return splitTarget(workload)
	}
	return 0
}

// writeSplit prints a block per workload. Ratios are those to the administrative gateway of the same volume.
func writeSplit(plain, exclusive []Line) {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "workload\tat\tCPU/unit\tthere\t× owner\ttarget\t\trate/s\t× owner\tp50\tp99\t")
	for i, l := range plain {
		if strings.HasPrefix(l.Server, "exclusive") {
			l = exclusive[i]
		}
		goal, verdict := "", ""
		if l.Target > 0 {
			goal, verdict = fmt.Sprintf("≤ %.2f", l.Target), "met"
			if l.Ratio > l.Target {
				verdict = "MISSED"
			}
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%.3f\t%s\t%s\t%s\t%.3f\t%s\t%s\t\n", l.Workload, l.Server, cost(l.PerUnit, l.Unit), cost(l.There, l.Unit), l.Ratio, goal, verdict,
			rate(l.Rate, l.Unit), l.RateRatio, brief(l.P50), brief(l.P99))
	}
	out.Flush()
}

// profileSplit takes CPU profiles of both gateways while the other one is asked.
func (c *clustering) profileSplit(ctx context.Context, workloads []workload.Workload, pairs []pair) error {
	if c.profile == "" {
		return nil
	}
	if err := os.MkdirAll(c.profile, 0o755); err != nil {
		return err
	}
	for _, p := range pairs {
		for _, w := range workloads {
			w.Shape.Count *= 4
			name := filepath.Join(c.profile, filepath.Base(p.tree.Dir)+"-"+w.FullName())
			done := make(chan error, 2)
			begun := func() {
				go func() { done <- fetchProfile(ctx, p.owner, name+"-owner.pprof") }()
				go func() { done <- fetchProfile(ctx, p.other, name+"-away.pprof") }()
			}
			_, err := measurement{server: p.other, tree: p.tree, workload: w, duration: profileTime, seed: 1, begun: begun}.measure()
			if err := errors.Join(err, <-done, <-done); err != nil {
				return err
			}
		}
	}
	return nil
}

// profileOwners takes a CPU profile of gateways while they are asked themselves.
func (c *clustering) profileOwners(ctx context.Context, workloads []workload.Workload, members []*member) error {
	if c.profile == "" {
		return nil
	}
	for _, m := range members {
		for _, w := range workloads {
			w.Shape.Count *= 4
			done := make(chan error, 1)
			begun := func() {
				go func() {
					done <- fetchProfile(ctx, m.server, filepath.Join(c.profile, m.name+"-"+w.FullName()+"-itself.pprof"))
				}()
			}
			_, err := measurement{server: m.server, tree: m.tree, workload: w, duration: profileTime, seed: 1, begun: begun}.measure()
			if err := errors.Join(err, <-done); err != nil {
				return err
			}
		}
	}
	return nil
}

// quantile returns a latency of a sorted list.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// spreadOf describes latencies.
func spreadOf(list []time.Duration) string {
	slices.Sort(list)
	return fmt.Sprintf("median %s, p99 %s, worst %s of %d", brief(quantile(list, 0.5)), brief(quantile(list, 0.99)), brief(list[len(list)-1]), len(list))
}
