package discovery

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// asServer makes this program the server of the benchmark: a process of its own, so that its processor time is its own.
const asServer = "CAUSEWAY_TEST_DNS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) == "" {
		os.Exit(m.Run())
	}
	v := sample()
	for i := range 1000 {
		v.Volumes = append(v.Volumes, Volume{Name: fmt.Sprint("v", i)})
	}
	z, err := NewZone(v, nil)
	if err != nil {
		panic(err)
	}
	s, err := Listen(context.Background(), Config{Addresses: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Log: quiet()})
	if err != nil {
		panic(err)
	}
	s.Publish(z)
	fmt.Println(s.Addresses()[0])
	os.Stdin.Read(make([]byte, 1)) // until the benchmark ends
	s.Close()
}

// BenchmarkServer sends 10,000 questions a second to a server that has one processor, b.N in all, and reports how long answers took and how much
// of the processor they cost.
func BenchmarkServer(b *testing.B) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), asServer+"=1", "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { in.Close(); cmd.Wait() }()
	at, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	const rate, sockets = 10000, 8
	before := processorTime(b, cmd.Process.Pid)
	b.ResetTimer()
	var wg sync.WaitGroup
	all, each := make([][]time.Duration, sockets), max(b.N/sockets, 1)
	for i := range sockets {
		wg.Go(func() { all[i] = flood(b, strings.TrimSpace(at), each, time.Second*sockets/rate) })
	}
	wg.Wait()
	took := b.Elapsed()
	b.StopTimer()
	sorted := slices.Sorted(slices.Values(slices.Concat(all...)))
	if len(sorted) == 0 {
		b.Fatal("nothing was answered")
	}
	spent := processorTime(b, cmd.Process.Pid) - before
	n := float64(len(sorted))
	b.ReportMetric(n/took.Seconds(), "queries/s")
	b.ReportMetric(float64(each*sockets)-n, "lost")
	b.ReportMetric(float64(spent.Microseconds())/n, "cpu-µs/query")
	b.ReportMetric(float64(sorted[len(sorted)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(sorted[len(sorted)*99/100].Microseconds()), "p99-µs")
}

// flood sends n questions, one in every interval whether others are answered or not, and returns how long the answers took.
func flood(b *testing.B, at string, n int, interval time.Duration) (took []time.Duration) {
	c, err := net.Dial("udp", at)
	if err != nil {
		b.Error(err)
		return nil
	}
	defer c.Close()
	sent := make([]atomic.Int64, 1<<16)
	begun := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		kinds := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV}
		for i := range n {
			q := question(fmt.Sprintf("v%d.nas.example.com.", i%1000), kinds[i%3])
			if i%3 == 2 {
				q = question(fmt.Sprintf("_nfs._tcp.v%d.nas.example.com.", i%1000), dns.TypeSRV).SetEdns0(1232, false)
			}
			q.Id, q.RecursionDesired = uint16(i), i%2 == 0
			packed, _ := q.Pack()
			time.Sleep(time.Until(begun.Add(time.Duration(i) * interval)))
			sent[q.Id].Store(int64(time.Since(begun)))
			c.Write(packed)
		}
	})
	buf := make([]byte, 4096)
	for len(took) < n {
		c.SetReadDeadline(time.Now().Add(2 * time.Second))
		k, err := c.Read(buf)
		if err != nil || k < 12 {
			break
		}
		took = append(took, time.Since(begun)-time.Duration(sent[int(buf[0])<<8|int(buf[1])].Load()))
	}
	wg.Wait()
	return took
}

// processorTime is what a process used, in user and system mode (proc(5): clock ticks of 10 ms).
func processorTime(b *testing.B, pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields, ticks := strings.Fields(rest), 0
	for _, f := range fields[11:13] {
		n, _ := strconv.Atoi(f)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
