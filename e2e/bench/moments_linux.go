package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"causeway/e2e/bench/nfs3"
	"causeway/e2e/bench/workload"
	"causeway/e2e/peer"
)

// misses prints what the first GETATTR of a file and the first READ cost beside a later one, at a gateway that has to ask for both.
func (c *clustering) misses(ctx context.Context) error {
	cluster, stop, err := c.start(ctx, peer.ClusterConfig{Gateways: 3})
	if err != nil {
		return err
	}
	defer stop()
	p, err := c.share(ctx, cluster, "exclusive", "--exclusive")
	if err != nil {
		return err
	}
	handles, err := c.handlesOf(p)
	if err != nil {
		return err
	}
	client, _, err := p.other.MountRoot(nfs3.Sys(0, 0))
	if err != nil {
		return err
	}
	defer client.Close()
	half := len(handles) / 2
	for _, kind := range []struct {
		name    string
		handles [][]byte
		call    func([]byte) error
	}{
		{"GETATTR", handles[:half], func(h []byte) error { _, err := client.GetAttr(h); return err }},
		{"READ", handles[half:], func(h []byte) error { _, err := readAt(client, h, 0); return err }},
	} {
		var first, later []time.Duration
		for _, h := range kind.handles {
			for _, list := range []*[]time.Duration{&first, &later} {
				begun := time.Now()
				if err := kind.call(h); err != nil {
					return fmt.Errorf("%s: %w", kind.name, err)
				}
				*list = append(*list, time.Since(begun))
			}
		}
		fmt.Printf("%s of a file for the first time: %s\n%s again: %s\n", kind.name, spreadOf(first), kind.name, spreadOf(later))
		fmt.Printf("%s: a miss costs %s more (target ≤ 150µs)\n", kind.name, brief(quantile(first, 0.5)-quantile(later, 0.5)))
	}
	return nil
}

// handlesOf returns the handles of many files, found at the administrative gateway.
func (c *clustering) handlesOf(p pair) ([][]byte, error) {
	client, root, err := p.owner.MountRoot(nfs3.Sys(0, 0))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	dir, err := client.Lookup(root, "many")
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(p.tree.Dir, "many"))
	if err != nil {
		return nil, err
	}
	var handles [][]byte
	for _, e := range entries {
		h, err := client.Lookup(dir, e.Name())
		if err != nil {
			return nil, err
		}
		handles = append(handles, h)
	}
	return handles, nil
}

// readAt reads a number; 0 where the file is empty.
func readAt(c *nfs3.Client, h []byte, offset uint64) (uint64, error) {
	r, err := c.Call(nfs3.ProgNFS, nfs3.VersNFS, nfs3.Read, func(a *nfs3.Record) { a.Opaque(h); a.Uint64(offset); a.Uint32(8) })
	if err != nil {
		return 0, err
	}
	r.Status()
	r.SkipAttr()
	r.Skip(4 + 4) // count, eof
	data := r.Opaque()
	if err := r.End(); err != nil || len(data) == 0 {
		return 0, err
	}
	if len(data) != 8 {
		return 0, fmt.Errorf("READ brought %d bytes", len(data))
	}
	return binary.BigEndian.Uint64(data), nil
}

func writeAt(c *nfs3.Client, h []byte, offset, value uint64) error {
	r, err := c.Call(nfs3.ProgNFS, nfs3.VersNFS, nfs3.Write, func(a *nfs3.Record) {
		a.Opaque(h)
		a.Uint64(offset)
		a.Uint32(8)
		a.Uint32(nfs3.Unstable)
		a.Opaque(binary.BigEndian.AppendUint64(nil, value))
	})
	if err == nil {
		_, err = r.WriteResult(8, nfs3.Unstable)
	}
	return err
}

// recalls writes at one gateway and reads at another, again and again; a third one administers the exclusive volume. Each call takes the
// grant of the last one.
func (c *clustering) recalls(ctx context.Context) error {
	cluster, stop, err := c.start(ctx, peer.ClusterConfig{Gateways: 3})
	if err != nil {
		return err
	}
	defer stop()
	p, err := c.share(ctx, cluster, "exclusive", "--exclusive")
	if err != nil {
		return err
	}
	writer, root, err := p.other.MountRoot(nfs3.Sys(0, 0))
	if err != nil {
		return err
	}
	defer writer.Close()
	reader, _, err := cluster.Through(2, "exclusive", p.tree.Dir).MountRoot(nfs3.Sys(0, 0))
	if err != nil {
		return err
	}
	defer reader.Close()
	name := fmt.Sprint("recalled-", time.Now().UnixNano())
	r, err := writer.Call(nfs3.ProgNFS, nfs3.VersNFS, nfs3.Create, func(a *nfs3.Record) {
		a.Opaque(root)
		a.Opaque([]byte(name))
		a.Uint32(0)
		a.SetAttrs(0o644)
	})
	if err != nil {
		return err
	}
	handle, err := r.CreateResult()
	if err != nil {
		return err
	}
	handle = append([]byte(nil), handle...)
	var writes, reads []time.Duration
	for i := range uint64(c.times) {
		begun := time.Now()
		err := writeAt(writer, handle, 0, i+1)
		written := time.Now()
		if err != nil {
			return err
		}
		got, err := readAt(reader, handle, 0)
		if err == nil && got != i+1 {
			err = fmt.Errorf("%d was written, %d read", i+1, got)
		}
		if err != nil {
			return err
		}
		writes, reads = append(writes, written.Sub(begun)), append(reads, time.Since(written))
	}
	fmt.Printf("READ of what another gateway wrote: %s (target ≤ 5ms median, ≤ 50ms worst)\n", spreadOf(reads))
	fmt.Printf("WRITE of what another gateway read: %s\n", spreadOf(writes))
	return nil
}

// hot makes files through the administrative gateway, and through four gateways at once.
func (c *clustering) hot(ctx context.Context) error {
	cluster, stop, err := c.start(ctx, peer.ClusterConfig{Gateways: 4})
	if err != nil {
		return err
	}
	defer stop()
	if c.pin {
		if err := pin(cluster, 4); err != nil {
			return err
		}
	}
	for _, volume := range []string{"plain", "exclusive"} {
		p, err := c.share(ctx, cluster, volume, map[string][]string{"exclusive": {"--exclusive"}}[volume]...)
		if err != nil {
			return err
		}
		all := cluster.ThroughAll(volume, p.tree.Dir)
		for _, name := range []string{"create-c16q4", "create4k-c16q4"} {
			var rates, costs, load, owner, spread []float64
			if err := c.profileHot(ctx, name, p, all); err != nil {
				return err
			}
			for range c.rounds {
				one, oneLoad, err1 := c.made(name, p.owner, p)
				four, fourLoad, err2 := c.made(name, all, p)
				if err := errors.Join(err1, err2); err != nil {
					return err
				}
				load = append(load, fourLoad/oneLoad)
				rates, costs = append(rates, four.Rate()/one.Rate()), append(costs, four.PerUnit()/one.PerUnit())
				owner, spread = append(owner, one.Rate()), append(spread, four.Rate())
			}
			fmt.Printf("%s %s: %.0f files/s through the owner, %.0f through four: × %.2f (target ≥ 0.90), CPU × %.2f, the owner's × %.2f\n",
				volume, name, middle(owner), middle(spread), middle(rates), middle(costs), middle(load))
		}
	}
	return nil
}

// pin gives the first gateway a processor of its own, and the others those that are left, which the generator shares: what the owner of
// a volume can do for others then shows in the rate.
func pin(cluster *peer.Cluster, gateways int) error {
	var first, rest unix.CPUSet
	first.Set(0)
	for cpu := 1; cpu < runtime.NumCPU(); cpu++ {
		rest.Set(cpu)
	}
	for i := range gateways {
		set := &rest
		if i == 0 {
			set = &first
		}
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", cluster.Through(i, "", "").Process.PID()))
		if err != nil {
			return err
		}
		for _, task := range tasks {
			if id, err := strconv.Atoi(task.Name()); err == nil {
				if err := unix.SchedSetaffinity(id, set); err != nil && err != unix.ESRCH {
					return err
				}
			}
		}
	}
	return pinSelf(&rest)
}

func pinSelf(set *unix.CPUSet) error {
	tasks, err := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		if id, bad := strconv.Atoi(task.Name()); bad == nil && err == nil {
			if e := unix.SchedSetaffinity(id, set); e != unix.ESRCH && e != nil {
				err = e
			}
		}
	}
	return err
}

// profileHot takes CPU profiles of the owner while files are made through it, and through all gateways.
func (c *clustering) profileHot(ctx context.Context, name string, p pair, all *peer.Server) error {
	if c.profile == "" {
		return nil
	}
	if err := os.MkdirAll(c.profile, 0o755); err != nil {
		return err
	}
	w, err := workload.Parse(name)
	if err != nil {
		return err
	}
	w.Shape.Count *= 4
	for _, at := range []struct {
		name   string
		server *peer.Server
	}{{"one", p.owner}, {"all", all}} {
		done := make(chan error, 2)
		file := filepath.Join(c.profile, "hot-"+filepath.Base(p.tree.Dir)+"-"+name+"-"+at.name)
		go func() { done <- fetchProfile(ctx, p.owner, file+"-owner.pprof") }()
		go func() { done <- fetchProfile(ctx, p.other, file+"-away.pprof") }()
		_, err := measurement{server: at.server, tree: p.tree, workload: w, seed: 1}.measure()
		if err := errors.Join(err, <-done, <-done); err != nil {
			return err
		}
	}
	return nil
}

// made measures making files, and the owner's own CPU time per file: where each gateway has a machine, that is what bounds them all.
func (c *clustering) made(name string, at *peer.Server, p pair) (Sample, float64, error) {
	before, err := p.owner.Process.CPU()
	if err != nil {
		return Sample{}, 0, err
	}
	s, err := c.measure(name, at, p.tree, 0)
	if err != nil {
		return s, 0, err
	}
	after, err := p.owner.Process.CPU()
	return s, float64(after-before) / s.Units, err
}

// memory prints the peak of a gateway under 64 connections of 1 MiB reads and writes: where it reaches the storage, and where another
// gateway moves the bytes for it.
func (c *clustering) memory(ctx context.Context) error {
	t, err := c.tree("plain")
	if err != nil {
		return err
	}
	for _, blind := range []string{"", t.Dir} {
		if err := c.memoryOf(ctx, t, blind); err != nil {
			return err
		}
	}
	return nil
}

func (c *clustering) memoryOf(ctx context.Context, t *workload.Tree, blind string) error {
	cluster, stop, err := c.start(ctx, peer.ClusterConfig{Gateways: 3, Blind: blind})
	if err != nil {
		return err
	}
	defer stop()
	p, err := c.share(ctx, cluster, "plain")
	if err != nil {
		return err
	}
	what, last := "with reach", cluster.Through(2, "plain", t.Dir)
	if blind != "" {
		what = "by way of the owner"
	}
	for _, name := range []string{"read1m-c64q1", "overwrite1m-c64q1"} {
		if err := p.owner.ResetPeak(); err != nil {
			return err
		}
		s, err := c.measure(name, last, t, 5*time.Second)
		if err != nil {
			return err
		}
		owner, err := p.owner.Memory()
		if err != nil {
			return err
		}
		fmt.Printf("%s, %s: %.2f GiB/s, %.3f CPU s/GiB, peak RSS %s, the owner's %s\n", name, what, s.Rate(), s.PerUnit()/1e9, mib(s.Peak), mib(owner.Peak))
	}
	return nil
}
