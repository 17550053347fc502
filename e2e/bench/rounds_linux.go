package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"causeway/e2e/bench/workload"
)

// plan is what to measure.
type plan struct {
	workloads []workload.Workload
	rounds    int
	duration  time.Duration
	threads   int
	verify    bool
	seed      uint64
}

// measureAll does all rounds. Within a round each workload goes over all servers in a shuffled order, so that what
// disturbs the machine for a while disturbs all of them.
func measureAll(ctx context.Context, f *fleet, p plan) (samples []Sample) {
	for round := range p.rounds {
		for _, w := range p.workloads {
			order := slices.Clone(f.members)
			rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			for _, m := range order {
				if ctx.Err() != nil {
					return inOrder(samples, f, p)
				}
				sample, err := measureOne(ctx, f, m, w, p, round)
				if err != nil {
					fmt.Fprintf(os.Stderr, "bench: %s on %s: %v\n", w.FullName(), m.name, err)
					continue
				}
				samples = append(samples, sample)
			}
		}
		fmt.Fprintf(os.Stderr, "bench: round %d of %d is done\n", round+1, p.rounds)
	}
	return inOrder(samples, f, p)
}

// inOrder sorts samples as workloads and servers were named, not as they were shuffled.
func inOrder(samples []Sample, f *fleet, p plan) []Sample {
	place := make(map[[2]string]int)
	for _, w := range p.workloads {
		for _, m := range f.members {
			place[[2]string{w.FullName(), m.name}] = len(place)
		}
	}
	slices.SortStableFunc(samples, func(a, b Sample) int {
		return place[[2]string{a.Workload, a.Server}] - place[[2]string{b.Workload, b.Server}]
	})
	return samples
}

func measureOne(ctx context.Context, f *fleet, m *member, w workload.Workload, p plan, round int) (Sample, error) {
	creates := 0
	if w.Creates {
		creates = w.Shape.Count
	}
	if err := f.reserve(ctx, m, creates); err != nil {
		return Sample{}, err
	}
	s, err := measurement{
		server: m.server, tree: m.tree, workload: w,
		duration: p.duration, threads: p.threads, verify: p.verify, seed: p.seed + uint64(round),
	}.measure()
	s.Server, s.Round = m.name, round
	return s, err
}
