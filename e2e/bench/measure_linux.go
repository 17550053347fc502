package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"causeway/e2e/bench/load"
	"causeway/e2e/bench/nfs3"
	"causeway/e2e/bench/workload"
	"causeway/e2e/peer"
)

// warmUp is how long a workload runs before it is measured, where it does not end by itself.
const warmUp = 300 * time.Millisecond

// clocks is what is read right before and right after the measured time.
type clocks struct {
	at          time.Time
	server, own time.Duration
	there       time.Duration
	totals      load.Totals
}

func readClocks(run *load.Run, server *peer.Server) (c clocks, err error) {
	if c.server, err = server.CPU(); err != nil {
		return c, err
	}
	if c.there, err = server.Process.CPU(); err != nil {
		return c, err
	}
	var own unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &own); err != nil {
		return c, err
	}
	c.own = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	c.at = time.Now()
	if run != nil {
		c.totals = run.Totals()
	}
	return c, nil
}

// measurement is what measure needs to know.
type measurement struct {
	server   *peer.Server
	tree     *workload.Tree
	workload workload.Workload
	duration time.Duration
	threads  int
	verify   bool
	seed     uint64
	begun    func() // called when all is prepared; may be nil
}

// measure runs a workload once.
func (m measurement) measure() (Sample, error) {
	client, root, err := m.server.MountRoot(nfs3.Sys(uint32(m.tree.UID), uint32(m.tree.GID)))
	if err != nil {
		return Sample{}, err
	}
	defer client.Close()
	scene := &workload.Scene{Tree: m.tree, Client: client, Root: root, Verify: m.verify, Seed: m.seed}
	plan, err := m.workload.Plan(scene, m.workload.Shape)
	if err != nil {
		return Sample{}, fmt.Errorf("prepare: %w", err)
	}
	if m.workload.Dirties {
		if err := m.settle(); err != nil {
			return Sample{}, err
		}
	}
	if err := m.server.ResetPeak(); err != nil {
		return Sample{}, err
	}
	sample, err := m.run(plan)
	if err == nil && plan.After != nil {
		err = plan.After()
	}
	return sample, err
}

// settle writes back what earlier measurements have left.
func (m measurement) settle() error {
	dir, err := unix.Open(m.tree.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return unix.Syncfs(dir)
}

func (m measurement) run(plan workload.Plan) (s Sample, err error) {
	// A bounded run does its work from the first call on, so its clocks are read before the connections are made.
	before, err := readClocks(nil, m.server)
	if err != nil {
		return s, err
	}
	if m.begun != nil {
		m.begun()
	}
	run, err := load.Start(load.Config{
		Dial: m.server.Dial, Driver: plan.Driver, ReplySize: plan.ReplySize,
		Connections: m.workload.Connections, Outstanding: m.workload.Outstanding, Threads: m.threads,
		RecordAll: m.workload.Bounded,
	})
	if err != nil {
		return s, err
	}
	var after clocks
	if m.workload.Bounded {
		if err = ended(run); err == nil {
			after, err = readClocks(run, m.server)
		}
	} else {
		before, after, err = m.window(run)
	}
	if err != nil {
		return s, err
	}
	memory, err := m.server.Memory()
	if err != nil {
		return s, err
	}
	units := after.totals.Units - before.totals.Units
	if units == 0 {
		return s, fmt.Errorf("nothing was completed in %v", after.at.Sub(before.at))
	}
	latencies := run.Latencies()
	return Sample{
		Workload: m.workload.FullName(),
		Unit:     m.workload.Unit.Name,
		Units:    float64(units) / float64(m.workload.Unit.Size),
		Calls:    after.totals.Calls - before.totals.Calls,
		Duration: after.at.Sub(before.at),
		CPU:      after.server - before.server,
		There:    after.there - before.there,
		Own:      after.own - before.own,
		P50:      latencies.Quantile(0.50),
		P99:      latencies.Quantile(0.99),
		Peak:     memory.Peak,
	}, nil
}

// ended waits for a run that ends by itself. One that is not answered for long has lost a connection, which is not made anew: it is
// left behind.
func ended(run *load.Run) error {
	done := make(chan error, 1)
	go func() { done <- run.Wait() }()
	tick := time.NewTicker(slowest)
	defer tick.Stop()
	for last := run.Totals(); ; {
		select {
		case err := <-done:
			return err
		case <-tick.C:
		}
		now := run.Totals()
		if now == last {
			run.Stop()
			return fmt.Errorf("no answer for %v, after %d calls", slowest, now.Calls)
		}
		last = now
	}
}

// window lets a run warm up and reads the clocks around its measured time.
func (m measurement) window(run *load.Run) (before, after clocks, err error) {
	pause(run, warmUp)
	run.Record()
	before, err = readClocks(run, m.server)
	if err == nil {
		pause(run, m.duration)
		after, err = readClocks(run, m.server)
		// A slow server on a busy machine may need longer for its first answer.
		for end := time.Now().Add(slowest); err == nil && after.totals.Units == before.totals.Units && time.Now().Before(end) && !run.Failed(); {
			pause(run, m.duration)
			after, err = readClocks(run, m.server)
		}
	}
	run.Stop()
	if failed := run.Wait(); failed != nil {
		err = failed
	}
	return before, after, err
}

// slowest is how long the first answer of a measurement may take.
const slowest = 20 * time.Second

// pause sleeps, but not longer than the run goes well.
func pause(run *load.Run, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end) && !run.Failed(); {
		time.Sleep(min(time.Until(end), 100*time.Millisecond))
	}
}
