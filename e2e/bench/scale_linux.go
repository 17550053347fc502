package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"causeway/e2e/bench/load"
	"causeway/e2e/bench/nfs3"
	"causeway/e2e/bench/workload"
)

// scaling is the subcommand that shows what work costs as it grows.
type scaling struct {
	options
	only        string
	connections int
	files       int
}

// check is one question of scaling, asked of one server.
type check struct {
	name string
	run  func(*scaling, context.Context, *member) error
}

var checks = []check{
	{"idle", (*scaling).idle},
	{"walk", (*scaling).walk},
	{"touch", (*scaling).touch},
	{"bulk", (*scaling).bulk},
}

func scale(ctx context.Context, args []string) error {
	var s scaling
	set := flag.NewFlagSet("bench scale", flag.ExitOnError)
	set.StringVar(&s.servers, "servers", "causeway", "which servers, of "+kindNames())
	set.StringVar(&s.only, "only", "idle,walk,touch,bulk", "which checks")
	set.IntVar(&s.connections, "connections", 10000, "idle connections")
	set.IntVar(&s.files, "files", 1000000, "files in the directory that is walked and touched")
	set.StringVar(&s.dir, "dir", "", "where the exported directories are made, and kept; empty: a temporary directory")
	set.StringVar(&s.causeway, "causeway", "", "the causeway binary; empty: build it")
	set.IntVar(&s.uid, "uid", 0, "user who owns the files and makes the calls")
	set.DurationVar(&s.duration, "duration", 5*time.Second, "of a bulk measurement")
	if err := set.Parse(args); err != nil {
		return err
	}
	return s.withFleet(ctx, func(f *fleet) error {
		var errs []error
		for _, m := range f.members {
			for _, c := range checks {
				if !slices.Contains(strings.Split(s.only, ","), c.name) || ctx.Err() != nil {
					continue
				}
				// Each check meets a fresh process, so that its memory is its own.
				m.server.Stop()
				if err := f.start(ctx, m); err != nil {
					return err
				}
				if err := c.run(&s, ctx, m); err != nil {
					errs = append(errs, fmt.Errorf("%s: %s: %w", m.name, c.name, err))
				}
			}
		}
		return errors.Join(errs...)
	})
}

// idle opens connections, makes one call on each, and compares the server's memory.
func (s *scaling) idle(ctx context.Context, m *member) error {
	before, err := m.server.Memory()
	if err != nil {
		return err
	}
	var clients []*nfs3.Client
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	cred := nfs3.Sys(uint32(s.uid), uint32(s.uid))
	for range s.connections {
		client, err := m.server.Connect(cred)
		if err != nil {
			return err
		}
		clients = append(clients, client)
		if _, err := client.Call(nfs3.ProgNFS, nfs3.VersNFS, nfs3.Null, nil); err != nil {
			return err
		}
	}
	for _, wait := range []time.Duration{0, 5 * time.Second, 10 * time.Second} {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		after, err := m.server.Memory()
		if err != nil {
			return err
		}
		fmt.Printf("%s idle: %d connections, RSS %s before, %s after, %s more (≤ 64 MiB)\n", m.name, s.connections,
			mib(before.Resident), mib(after.Resident), mib(after.Resident-before.Resident))
	}
	return nil
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// walk lists a great directory twice and prints how each tenth went.
func (s *scaling) walk(ctx context.Context, m *member) error {
	return s.crowd(ctx, m, "walk", workload.Shape{Connections: 1, Outstanding: 1}, 2*int64(s.files), workload.Walk)
}

// touch looks up and reads every file of a great directory once and prints how each tenth went.
func (s *scaling) touch(ctx context.Context, m *member) error {
	return s.crowd(ctx, m, "touch", workload.Shape{Connections: 8, Outstanding: 4}, int64(s.files), workload.Touch)
}

type crowdPlan func(*workload.Scene, workload.Shape, string, int) (workload.Plan, error)

func (s *scaling) crowd(ctx context.Context, m *member, name string, shape workload.Shape, units int64, make crowdPlan) error {
	dir, err := m.tree.Crowd(s.files)
	if err != nil {
		return err
	}
	client, root, err := m.server.MountRoot(nfs3.Sys(uint32(s.uid), uint32(s.uid)))
	if err != nil {
		return err
	}
	defer client.Close()
	plan, err := make(&workload.Scene{Tree: m.tree, Client: client, Root: root, Seed: 1}, shape, dir, s.files)
	if err != nil {
		return err
	}
	run, err := load.Start(load.Config{
		Dial: m.server.Dial, Driver: plan.Driver, ReplySize: plan.ReplySize,
		Connections: shape.Connections, Outstanding: shape.Outstanding,
	})
	if err != nil {
		return err
	}
	watching := s.watch(ctx, m, name, run, units)
	run.Stop()
	return errors.Join(watching, run.Wait())
}

// watch prints time, CPU time, memory and descriptors for every tenth of the files, up to units.
func (s *scaling) watch(ctx context.Context, m *member, name string, run *load.Run, units int64) error {
	step := int64(max(s.files/10, 1))
	last, err := readClocks(run, m.server)
	if err != nil {
		return err
	}
	for next := step; next <= units; next += step {
		for run.Totals().Units < next {
			if run.Failed() || ctx.Err() != nil {
				return ctx.Err()
			}
			time.Sleep(time.Millisecond)
		}
		now, err := readClocks(run, m.server)
		if err != nil {
			return err
		}
		memory, err := m.server.Memory()
		if err != nil {
			return err
		}
		descriptors, err := m.server.Descriptors()
		if err != nil {
			return err
		}
		done := float64(now.totals.Units - last.totals.Units)
		fmt.Printf("%s %s: %8d  %7.3f s per 100,000  CPU %6.2f µs each  RSS %s, peak %s  %d descriptors\n", m.name, name, now.totals.Units,
			now.at.Sub(last.at).Seconds()*1e5/done, float64(now.server-last.server)/1e3/done,
			mib(memory.Resident), mib(memory.Peak), descriptors)
		last = now
	}
	return nil
}

// bulk reads and writes 1 MiB on 64 connections and prints the server's peak.
func (s *scaling) bulk(_ context.Context, m *member) error {
	for _, name := range []string{"read1m-c64q1", "overwrite1m-c64q1", "read1m-c64q4"} {
		w, err := workload.Parse(name)
		if err != nil {
			return err
		}
		sample, err := measurement{server: m.server, tree: m.tree, workload: w, duration: s.duration, seed: 1}.measure()
		if err != nil {
			return err
		}
		fmt.Printf("%s bulk: %s  %.2f GiB/s  %.3f CPU s/GiB  peak RSS %s (≤ 200 MiB)\n", m.name, name, sample.Rate(),
			sample.PerUnit()/1e9, mib(sample.Peak))
	}
	return nil
}
