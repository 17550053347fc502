package rpc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"causeway/gateway"
	"causeway/gateway/nfs/xdr"
)

// The benchmarks run the clients in another process (this test binary with clientEnv set), so that the processor time of this one
// is the server's.
const clientEnv = "RPC_BENCH_CLIENT"

// roles are what this test binary can be instead: by the variable in the environment that holds the job.
var roles = map[string]func(job string){clientEnv: benchClient}

func TestMain(m *testing.M) {
	for env, role := range roles {
		if job := os.Getenv(env); job != "" {
			role(job)
			return
		}
	}
	os.Exit(m.Run())
}

// benchClient runs "addr conns outstanding calls proc": calls in total.
func benchClient(job string) {
	f := strings.Fields(job)
	n := func(i int) int { v, _ := strconv.Atoi(f[i]); return v }
	conns, outstanding, calls := n(1), n(2), n(3)
	record := marked(callBytes(1, testProg, testVers, uint32(n(4)), func(e *xdr.Encoder) {
		e.Uint32(4096)
		if n(4) == procWrite1M {
			e.Fixed(make([]byte, 1<<20))
		}
	}))
	batch := bytes.Repeat(record, outstanding)
	var all sync.WaitGroup
	for range conns {
		nc, err := net.Dial("tcp", f[0])
		if err != nil {
			panic(err)
		}
		all.Go(func() {
			r := bufio.NewReaderSize(nc, 256<<10)
			for left := calls / conns; left > 0; left -= outstanding {
				if _, err := nc.Write(batch); err != nil {
					panic(err)
				}
				for range outstanding {
					var mark [4]byte
					if _, err := io.ReadFull(r, mark[:]); err != nil {
						panic(err)
					}
					if _, err := r.Discard(int(binary.BigEndian.Uint32(mark[:]) &^ lastFragment)); err != nil {
						panic(err)
					}
				}
			}
		})
	}
	all.Wait()
}

const (
	procRead4K  = 20
	procRead1M  = 21 // a file, spliced where that is possible
	procWrite1M = 22 // taken and thrown away
)

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchmark(b *testing.B, transport Transport, conns, outstanding int, proc uint32) {
	_, p, addr := serve(b, Config{Transport: transport, Logger: slog.New(slog.DiscardHandler), Observer: nullObserver{}})
	p.file.Store(bulkFile(b))
	per := conns * outstanding
	calls := (b.N + per - 1) / per * per
	client := exec.Command(os.Args[0])
	client.Env = append(os.Environ(), clientEnv+"="+fmt.Sprint(addr, " ", conns, " ", outstanding, " ", calls, " ", proc))
	client.Stderr = os.Stderr
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	used := processorTime()
	if err := client.Run(); err != nil {
		b.Fatal(err)
	}
	used = processorTime() - used
	b.StopTimer()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(used.Nanoseconds())/float64(calls), "cpu-ns/call")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(calls), "allocs/call")
}

// TestNoAllocations: the steady state of small calls allocates nothing.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	for _, proc := range []uint32{procNull, procRead4K} {
		each(t, func(t *testing.T, cfg Config) {
			cfg.Observer = nullObserver{}
			_, _, addr := serve(t, cfg)
			nc := dial(t, addr)
			record := marked(callBytes(1, testProg, testVers, proc, func(e *xdr.Encoder) { e.Uint32(4096) }))
			calls := bytes.Repeat(record, 16)
			nc.Write(record)
			_, body := readReply(t, nc)
			replies := make([]byte, 16*(len(body)+8))
			n := testing.AllocsPerRun(200, func() {
				nc.Write(calls)
				if _, err := io.ReadFull(nc, replies); err != nil {
					t.Fatal(err)
				}
			})
			if n > 1 { // of 16 calls, and the whole process is counted
				t.Errorf("procedure %d: %v allocations per 16 calls", proc, n)
			}
		})
	}
}

type nullObserver struct{}

func (nullObserver) Observe(prog, vers, proc uint32, v Verdict, d time.Duration, in, out int) {}

type nothing struct{}

func (nothing) Release() {}

// bulkFile answers 1 MiB of a file.
func bulkFile(b *testing.B) *func(c *Call) Verdict {
	f, err := os.CreateTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	f.Write(make([]byte, 1<<20))
	answer := func(c *Call) Verdict {
		if c.NoWait {
			return Park
		}
		c.Reply.Uint32(1 << 20)
		c.File = gateway.FileRange{FD: int(f.Fd()), ReadResult: gateway.ReadResult{N: 1 << 20}, Hold: nothing{}}
		return Done
	}
	return &answer
}

func BenchmarkBulk(b *testing.B) {
	for _, tr := range []struct {
		name string
		t    Transport
	}{{"netpoll", Netpoll}, {"epoll", Epoll}} {
		for _, conns := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/read1m/c%d", tr.name, conns), func(b *testing.B) { benchmark(b, tr.t, conns, 1, procRead1M) })
			b.Run(fmt.Sprintf("%s/write1m/c%d", tr.name, conns), func(b *testing.B) { benchmark(b, tr.t, conns, 1, procWrite1M) })
		}
	}
}

func BenchmarkServer(b *testing.B) {
	for _, tr := range []struct {
		name string
		t    Transport
	}{{"netpoll", Netpoll}, {"epoll", Epoll}} {
		for _, w := range []struct {
			name               string
			proc               uint32
			conns, outstanding int
		}{
			{"null", procNull, 1, 1}, {"null", procNull, 1, 32}, {"null", procNull, 8, 1}, {"null", procNull, 64, 1},
			{"read4k", procRead4K, 1, 32}, {"read4k", procRead4K, 8, 1}, {"read4k", procRead4K, 64, 1},
		} {
			b.Run(fmt.Sprintf("%s/%s/c%dq%d", tr.name, w.name, w.conns, w.outstanding), func(b *testing.B) {
				benchmark(b, tr.t, w.conns, w.outstanding, w.proc)
			})
		}
	}
}
