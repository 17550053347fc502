package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"causeway/client"
)

// reader is an aware client that reads all the time.
type reader struct {
	c     *client.Client
	v     *client.Volume
	bytes atomic.Int64
	here  string
}

// spread starts all clients at one gateway, and measures how long it takes until none has more than 1.2 times the mean, how much they read
// together then, and how many are still moved.
func (a *awareBench) spread(ctx context.Context) error {
	f, err := a.begin(ctx)
	if err != nil {
		return err
	}
	defer f.stop()
	const size = 8 << 20
	ctx, cancel := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	failed := make(chan error, a.clients)
	readers := make([]*reader, a.clients)
	for i := range readers {
		if err := os.WriteFile(filepath.Join(f.dir, fmt.Sprint("reader", i)), make([]byte, size), 0o644); err != nil {
			return err
		}
		r := &reader{}
		if r.c, r.v, err = f.open(ctx, client.Config{}, f.at(0)); err != nil {
			return err
		}
		defer r.c.Close()
		readers[i] = r
	}
	begun := time.Now()
	for i, r := range readers {
		tasks.Go(func() {
			if err := r.run(ctx, fmt.Sprint("reader", i), size); err != nil && ctx.Err() == nil {
				failed <- fmt.Errorf("client %d: %w", i, err)
			}
		})
	}
	took, err := f.even(ctx, readers, begun, failed)
	if err != nil {
		return err
	}
	fmt.Printf("%d clients that begin at one of four gateways: none has more than 1.2 of the mean after %.1f s (target ≤ 15 s)\n", a.clients, took.Seconds())
	time.Sleep(2 * time.Second)
	moves, rate, err := f.settled(ctx, readers, failed)
	if err != nil {
		return err
	}
	link := float64(a.rate) * 1e6 / 8 / (1 << 20)
	fmt.Printf("then %.1f MiB/s, %.3f of four links of %d Mbit/s, %.3f of what TCP carries over them (target ≥ 0.95); %.2f clients moved in a minute (target < 1)\n",
		rate, rate/link/awareGateways, a.rate, rate/link/awareGateways/tcpShare, moves)
	return nil
}

// tcpShare is how much of an Ethernet link TCP over IPv4 can fill with data: 1,448 bytes of each frame of 1,514.
const tcpShare = 1448.0 / 1514

func (r *reader) run(ctx context.Context, name string, size int) error {
	file, err := r.v.Open(ctx, name)
	if err != nil {
		return err
	}
	buffer := make([]byte, 256<<10)
	for at := 0; ctx.Err() == nil; at = (at + len(buffer)) % size {
		n, err := file.ReadAt(buffer, int64(at))
		if err != nil {
			return err
		}
		r.bytes.Add(int64(n))
	}
	return nil
}

// counts is how many clients each gateway has.
func counts(readers []*reader) map[string]int {
	out := map[string]int{}
	for _, r := range readers {
		out[r.c.Paths("plain")[0].Gateway]++
	}
	return out
}

// even waits until no gateway has more than 1.2 of the mean, and for a second on.
func (f *field) even(ctx context.Context, readers []*reader, begun time.Time, failed chan error) (time.Duration, error) {
	var since time.Time
	last := ""
	for ctx.Err() == nil {
		now := counts(readers)
		if line := fmt.Sprint(now); line != last && os.Getenv("CAUSEWAY_BENCH_VERBOSE") != "" {
			fmt.Printf("%6.1f s %s\n", time.Since(begun).Seconds(), strings.TrimPrefix(line, "map"))
			last = line
		}
		most := 0
		for _, n := range now {
			most = max(most, n)
		}
		switch {
		case float64(most) > 1.2*float64(len(readers))/awareGateways:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) > time.Second:
			return since.Sub(begun), nil
		}
		if time.Since(begun) > 2*time.Minute {
			return 0, fmt.Errorf("after two minutes the clients are at %v", now)
		}
		select {
		case err := <-failed:
			return 0, err
		case <-time.After(20 * time.Millisecond):
		}
	}
	return 0, ctx.Err()
}

// settled measures redirects in a minute, and MiB/s.
func (f *field) settled(ctx context.Context, readers []*reader, failed chan error) (moves, rate float64, err error) {
	total := func() (n int64) {
		for _, r := range readers {
			n += r.bytes.Load()
		}
		return n
	}
	for _, r := range readers {
		r.here = r.c.Paths("plain")[0].Gateway
	}
	moved, before, begun := 0, total(), time.Now()
	for time.Since(begun) < f.settle {
		select {
		case err := <-failed:
			return 0, 0, err
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		for _, r := range readers {
			if here := r.c.Paths("plain")[0].Gateway; here != r.here {
				r.here = here
				moved++
			}
		}
	}
	took := time.Since(begun)
	return float64(moved) / took.Minutes(), float64(total()-before) / took.Seconds() / (1 << 20), nil
}

// writer is an aware client that writes records, each stable, and reads them.
type writer struct {
	c       *client.Client
	v       *client.Volume
	records atomic.Int64
	longest atomic.Int64 // nanoseconds of a record
	slow    []string     // records that took longer than a second
}

const recordSize = 4 << 10

// run writes records until the context ends.
func (w *writer) run(ctx context.Context, stop <-chan struct{}, name string) error {
	file, err := w.v.Create(ctx, name)
	if err != nil {
		return err
	}
	back := make([]byte, recordSize)
	for i := int64(0); ; i++ {
		select {
		case <-stop:
			return file.Close()
		default:
		}
		begun := time.Now()
		_, err := file.WriteAt(record(i), i*recordSize)
		wrote := time.Since(begun)
		if err == nil {
			err = file.Sync()
		}
		synced := time.Since(begun)
		if err == nil {
			_, err = file.ReadAt(back, i*recordSize)
		}
		if took := time.Since(begun); took > time.Second {
			w.slow = append(w.slow, fmt.Sprintf("%s: record %d at %s: written after %v, synced after %v, read after %v", begun.Format("05.000"), i, w.c.Paths("plain")[0].Gateway, wrote, synced, took))
		}
		if err == nil && !slices.Equal(back, record(i)) {
			err = errors.New("a record reads otherwise than it was written")
		}
		if err != nil {
			return err
		}
		w.records.Store(i + 1)
		w.longest.Store(max(w.longest.Load(), int64(time.Since(begun))))
	}
}

func record(i int64) []byte { return slices.Repeat([]byte(fmt.Sprintf("%015d\n", i)), recordSize/16) }

// kill kills a gateway under clients that write, and measures the longest pause of any of them.
func (a *awareBench) kill(ctx context.Context) error {
	for round := range a.rounds {
		if err := a.killOnce(ctx, round%awareGateways); err != nil {
			return err
		}
	}
	return nil
}

func (a *awareBench) killOnce(ctx context.Context, victim int) error {
	f, err := a.begin(ctx)
	if err != nil {
		return err
	}
	defer f.stop()
	stop, failed := make(chan struct{}), make(chan error, a.clients)
	var tasks sync.WaitGroup
	writers := make([]*writer, a.clients)
	for i := range writers {
		w := &writer{}
		if w.c, w.v, err = f.open(ctx, client.Config{}, f.at(i)); err != nil {
			return err
		}
		defer w.c.Close()
		writers[i] = w
		tasks.Go(func() {
			if err := w.run(ctx, stop, fmt.Sprint("writer", i)); err != nil {
				failed <- fmt.Errorf("client %d: %w", i, err)
			}
		})
	}
	time.Sleep(3 * time.Second)
	before := time.Duration(0)
	for _, w := range writers {
		before = max(before, time.Duration(w.longest.Swap(0)))
	}
	if err := f.cluster.Kill(victim); err != nil {
		return err
	}
	time.Sleep(5 * time.Second)
	close(stop)
	tasks.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	after, records := time.Duration(0), int64(0)
	var each []time.Duration
	for i, w := range writers {
		each = append(each, time.Duration(w.longest.Load()))
		for _, line := range w.slow {
			fmt.Printf("  client %d, %s\n", i, line)
		}
		n := w.records.Load()
		records += n
		got, err := os.ReadFile(filepath.Join(f.dir, fmt.Sprint("writer", i)))
		if err != nil || int64(len(got)) < n*recordSize {
			return fmt.Errorf("client %d: %d bytes of %d records, %v", i, len(got), n, err)
		}
		for j := range n {
			if !slices.Equal(got[j*recordSize:(j+1)*recordSize], record(j)) {
				return fmt.Errorf("client %d: record %d, which was acknowledged, is lost", i, j)
			}
		}
	}
	slices.Sort(each)
	after = each[len(each)-1]
	fmt.Printf("gateway %d of 4 (%s) was killed under %d clients: the longest write, sync and read of a client took %.0f ms (median of clients %.0f ms; before %.0f ms; target ≤ 1 s); %d records acknowledged, none lost, no error\n",
		victim+1, map[bool]string{true: "the owner", false: "not the owner"}[victim == 0], a.clients, after.Seconds()*1e3, each[len(each)/2].Seconds()*1e3, before.Seconds()*1e3, records)
	return nil
}

// stripes has one client write and read one file over all links.
func (a *awareBench) stripes(ctx context.Context) error {
	f, err := a.begin(ctx)
	if err != nil {
		return err
	}
	defer f.stop()
	c, v, err := f.open(ctx, client.Config{}, f.at(0))
	if err != nil {
		return err
	}
	defer c.Close()
	link := float64(a.rate) * 1e6 / 8 / (1 << 20)
	report := func(what string, took time.Duration) {
		rate := float64(a.size) / took.Seconds()
		fmt.Printf("one file of %d MiB %s by one client: %.1f MiB/s, %.3f of four links of %d Mbit/s, %.3f of what TCP carries over them (target ≥ 0.9)\n",
			a.size, what, rate, rate/link/awareGateways, a.rate, rate/link/awareGateways/tcpShare)
	}
	buffer := make([]byte, 32<<20)
	for i := range buffer {
		buffer[i] = byte(i * 7 >> 3)
	}
	for range a.rounds {
		begun := time.Now()
		file, err := v.Create(ctx, "big")
		if err != nil {
			return err
		}
		for at := 0; at < a.size<<20; at += len(buffer) {
			if _, err := file.WriteAt(buffer, int64(at)); err != nil {
				return err
			}
		}
		if err := file.Sync(); err != nil {
			return err
		}
		report("written", time.Since(begun))
		back := make([]byte, len(buffer))
		begun = time.Now()
		for at := 0; at < a.size<<20; at += len(back) {
			if _, err := file.ReadAt(back, int64(at)); err != nil {
				return err
			}
			if !slices.Equal(back, buffer) {
				return errors.New("the file reads otherwise than it was written")
			}
		}
		report("read", time.Since(begun))
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}
