package posix

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

func benchStore(b *testing.B, exclusive bool) (*Store, causeway.ObjectID) {
	s := open(b, b.TempDir(), Config{Exclusive: exclusive, Logger: slog.New(slog.DiscardHandler)})
	f := mk(b, s, s.Root(), "f", causeway.TypeRegular)
	o := must[backend.Object](b)(s.Open(context.Background(), f, causeway.IOReadWrite, nil))
	must[int](b)(o.WriteAt(context.Background(), make([]byte, 1<<20), 0))
	if err := o.Sync(context.Background(), false); err != nil {
		b.Fatal(err)
	}
	o.Close()
	time.Sleep(30 * time.Millisecond) // so that ctimes are old enough to be believed
	b.ReportAllocs()
	return s, f
}

// cpuTime is what the process has used of the processors. On a busy machine it says more than the time on the wall.
func cpuTime() time.Duration {
	var usage unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// eachPromise runs a benchmark on a volume that others may change, and on an exclusive one.
func eachPromise(b *testing.B, f func(b *testing.B, exclusive bool)) {
	b.Run("shared", func(b *testing.B) { f(b, false) })
	b.Run("exclusive", func(b *testing.B) { f(b, true) })
}

func BenchmarkStat(b *testing.B) {
	eachPromise(b, func(b *testing.B, exclusive bool) {
		s, f := benchStore(b, exclusive)
		for b.Loop() {
			if _, err := s.Stat(context.Background(), f); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkKernel is what the system calls alone cost, to compare with.
func BenchmarkKernel(b *testing.B) {
	s, f := benchStore(b, false)
	n, err := s.get(context.Background(), &f)
	if err != nil {
		b.Fatal(err)
	}
	defer n.unpin()
	var st unix.Stat_t
	var sx unix.Statx_t
	c, buf := cname{'f'}, make([]byte, 4096)
	for name, call := range map[string]func() unix.Errno{
		"fstat":   func() unix.Errno { return fstat(n.fd, &st) },
		"fstatat": func() unix.Errno { return fstatat(s.root.fd, &c, &st) },
		"statx":   func() unix.Errno { return statx(s.root.fd, &c[0], 0, &sx) },
		"pread4K": func() unix.Errno { _, e := pread(n.fd, buf, 8192); return e },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if e := call(); e != 0 {
					b.Fatal(e)
				}
			}
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	eachPromise(b, func(b *testing.B, exclusive bool) {
		s, _ := benchStore(b, exclusive)
		root := s.Root()
		_ = must[causeway.Attr](b)(s.Stat(context.Background(), root))
		for b.Loop() {
			if _, _, err := s.Lookup(context.Background(), root, "f"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRead4K(b *testing.B) {
	s, f := benchStore(b, false)
	o := must[backend.Object](b)(s.Open(context.Background(), f, causeway.IORead, nil))
	defer o.Close()
	buf := make([]byte, 4096)
	for b.Loop() {
		if _, err := o.(backend.NoWaitReader).ReadAtNoWait(buf, 8192); err != nil {
			b.Fatal(err)
		}
		if _, err := o.Stat(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrite4K(b *testing.B) {
	s, f := benchStore(b, false)
	o := must[backend.Object](b)(s.Open(context.Background(), f, causeway.IOReadWrite, nil))
	defer o.Close()
	buf := make([]byte, 4096)
	for b.Loop() {
		if _, err := o.WriteAt(context.Background(), buf, 8192); err != nil {
			b.Fatal(err)
		}
		if _, err := o.Stat(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// listEntries is how many entries the directories have that the benchmarks list.
const listEntries = 10_000

// BenchmarkList is of a directory of 10,000 entries with attributes, 100 at a time, as a client reads it: with descriptors of
// them all, with the entries known only, and with nothing known. Beside it what the system calls alone cost.
func BenchmarkList(b *testing.B) {
	for _, bench := range []struct {
		name      string
		exclusive bool
		ready     func(s *Store)
	}{
		{"open", false, func(*Store) {}},
		{"known", false, func(s *Store) { s.cache.shrink(1 << 30) }},
		{"unknown", false, func(s *Store) { s.cache.shrink(1 << 30); s.known = newKnown(knownMax) }},
		{"exclusive", true, func(*Store) {}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s, d := benchDir(b, bench.exclusive)
			walk(b, s, d, listEntries+2)
			used, walks := cpuTime(), 0
			for b.Loop() {
				bench.ready(s)
				walk(b, s, d, listEntries+2)
				walks++
			}
			b.ReportMetric(float64(cpuTime()-used)/float64(walks)/listEntries, "cpu-ns/entry")
		})
	}
	for name, perEntry := range map[string]func(dir int, raw *byte) unix.Errno{
		"getdents":       func(int, *byte) unix.Errno { return 0 },
		"getdents+statx": func(dir int, raw *byte) unix.Errno { var sx unix.Statx_t; return statx(dir, raw, 0, &sx) },
	} {
		b.Run("kernel/"+name, func(b *testing.B) {
			s, d := benchDir(b, false)
			used, walks := cpuTime(), 0
			for b.Loop() {
				walkKernel(b, s, d, perEntry)
				walks++
			}
			b.ReportMetric(float64(cpuTime()-used)/float64(walks)/listEntries, "cpu-ns/entry")
		})
	}
}

func benchDir(b *testing.B, exclusive bool) (*Store, causeway.ObjectID) {
	s, _ := benchStore(b, exclusive)
	d := mk(b, s, s.Root(), "d", causeway.TypeDirectory)
	for i := range listEntries {
		mk(b, s, d, fmt.Sprintf("file-%06d", i), causeway.TypeRegular)
	}
	waitSettled()
	return s, d
}

func walkKernel(b *testing.B, s *Store, d causeway.ObjectID, perEntry func(dir int, raw *byte) unix.Errno) {
	n, err := s.get(context.Background(), &d)
	if err != nil {
		b.Fatal(err)
	}
	defer n.unpin()
	at, err := s.openStream(n, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer at.close()
	for {
		size, e := getdents(at.fd, at.buf)
		if e != 0 {
			b.Fatal(e)
		}
		if size == 0 {
			return
		}
		for rest := at.buf[:size]; len(rest) > 0; rest = rest[binary.NativeEndian.Uint16(rest[direntReclen:]):] {
			if e := perEntry(n.fd, &rest[direntName]); e != 0 {
				b.Fatal(e)
			}
		}
	}
}

func walk(b *testing.B, s *Store, dir causeway.ObjectID, want int) {
	seen, cookie := 0, uint64(0)
	for eof := false; !eof; {
		n := 0
		var err error
		eof, err = s.List(context.Background(), dir, cookie, true, func(e *causeway.DirEntry) bool {
			if n == 100 {
				return false
			}
			if !e.Attr.Valid() {
				b.Fatal("no attributes of", e.Name)
			}
			n++
			cookie = e.Cookie
			return true
		})
		if err != nil {
			b.Fatal(err)
		}
		seen += n
	}
	if seen != want {
		b.Fatalf("%d entries, want %d", seen, want)
	}
}

func BenchmarkCreateRemove(b *testing.B) {
	s, _ := benchStore(b, false)
	ctx := context.Background()
	spec := &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o644, UID: 1000, GID: 1000}
	if !s.owner.any {
		spec.UID, spec.GID = s.owner.uid, s.owner.gid
	}
	for b.Loop() {
		if _, _, err := s.Create(ctx, s.Root(), "x", spec); err != nil {
			b.Fatal(err)
		}
		if err := s.Remove(ctx, s.Root(), "x", false); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDurableCreate creates and persists, as an NFS CREATE must.
func BenchmarkDurableCreate(b *testing.B) {
	for _, workers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			s, _ := benchStore(b, false)
			ctx := context.Background()
			var next atomic.Int64
			b.SetParallelism(workers)
			before := s.Stats()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					id, _, err := s.Create(ctx, s.Root(), fmt.Sprint(next.Add(1)), &backend.CreateSpec{
						Type: causeway.TypeRegular, Mode: 0o644, UID: s.owner.uid, GID: s.owner.gid})
					if err == nil {
						err = s.Persist(ctx, s.Root(), id)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
			after := s.Stats()
			b.ReportMetric(float64(after.SyncRequests-before.SyncRequests)/float64(after.Syncs-before.Syncs), "requests/sync")
		})
	}
}

// BenchmarkDurableRemove removes and persists, as an NFS REMOVE must.
func BenchmarkDurableRemove(b *testing.B) {
	for _, workers := range []int{1, 8} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			s, _ := benchStore(b, false)
			ctx := context.Background()
			d := mk(b, s, s.Root(), "d", causeway.TypeDirectory)
			for i := range b.N {
				mk(b, s, d, fmt.Sprint(i), causeway.TypeRegular)
			}
			_ = s.Persist(ctx, d)
			before, used := s.Stats(), cpuTime()
			b.ResetTimer()
			var next atomic.Int64
			var all sync.WaitGroup
			for range workers {
				all.Go(func() {
					for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
						err := s.Remove(ctx, d, fmt.Sprint(i), false)
						if err == nil {
							err = s.Persist(ctx, d)
						}
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			after := s.Stats()
			b.ReportMetric(float64(cpuTime()-used)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(after.SyncRequests-before.SyncRequests)/float64(after.Syncs-before.Syncs), "requests/sync")
		})
	}
}
