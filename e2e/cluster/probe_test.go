//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"causeway/e2e/bench/nfs3"
	"causeway/e2e/harness"
)

// probe asks one gateway every few milliseconds to remove what is not there, and remembers when it was answered: only whoever
// administers the volume can say that, and not before another gateway knows what it said.
type probe struct {
	via    *harness.Member
	volume string
	m      *mount
	mu     sync.Mutex
	at     []time.Time
}

const askEvery = 2 * time.Millisecond

// probes asks every gateway about every volume until the test ends.
func (s *stage) probes() []*probe {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	var all []*probe
	var tasks sync.WaitGroup
	s.t.Cleanup(func() { stop(); tasks.Wait() })
	for i, via := range s.Members {
		host := s.network.Host()
		for j, volume := range s.volumes {
			p := &probe{via: via, volume: volume, m: newMount(host, via.Service.String(), volume, uint32(1+i*len(s.volumes)+j)<<20)}
			all = append(all, p)
			tasks.Go(func() { p.run(ctx) })
		}
	}
	s.Await("all probes are answered", func() bool {
		return !slices.ContainsFunc(all, func(p *probe) bool { return len(p.since(time.Time{})) < 10 })
	})
	return all
}

func (p *probe) run(ctx context.Context) {
	defer p.m.close()
	if p.m.begin(ctx) != nil {
		return
	}
	for ctx.Err() == nil {
		if errors.Is(p.m.remove(ctx, "nothing"), nfs3.NoEnt) {
			p.mu.Lock()
			p.at = append(p.at, time.Now())
			p.mu.Unlock()
		}
		time.Sleep(askEvery)
	}
}

// since returns when it was answered after a time, and once before.
func (p *probe) since(from time.Time) []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, _ := slices.BinarySearchFunc(p.at, from, time.Time.Compare)
	return slices.Clone(p.at[max(0, at-1):])
}

// silence is the longest time without an answer.
type silence struct{ from, to time.Time }

func (s silence) length() time.Duration { return s.to.Sub(s.from) }

func (p *probe) silence(since time.Time) (worst silence) {
	at := p.since(since)
	for i := range len(at) - 1 {
		if one := (silence{at[i], at[i+1]}); one.length() > worst.length() {
			worst = one
		}
	}
	return worst
}

// figures are how long something took, over and over.
type figures struct {
	name  string
	all   []time.Duration
	bound time.Duration // of the ninetieth percentile; 0: none is promised
}

func (f *figures) add(d time.Duration) { f.all = append(f.all, d) }

func (f *figures) percentile(p int) time.Duration {
	sorted := slices.Sorted(slices.Values(f.all))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}

// report prints the figures; in the long version it holds what is promised.
func (f *figures) report(t *testing.T) {
	t.Helper()
	if len(f.all) == 0 {
		t.Errorf("%s: nothing was measured", f.name)
		return
	}
	round := func(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
	text := fmt.Sprintf("%-66s %4d × median %8v  p90 %8v  max %8v", f.name, len(f.all), round(f.percentile(50)), round(f.percentile(90)), round(f.percentile(100)))
	if f.bound > 0 {
		text += fmt.Sprintf("  (promised: %v)", f.bound)
	}
	t.Log(text)
	if harness.Long() && f.bound > 0 && f.percentile(90) > f.bound {
		t.Errorf("%s: the ninetieth percentile is more than %v", f.name, f.bound)
	}
}
