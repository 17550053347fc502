//go:build linux

package load

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causeway/e2e/bench/nfs3"
)

// fake answers every call that one read brought with one write: about the least that a server can do. edit may change
// a reply message before it is sent, and says in how many fragments.
type fake struct {
	listener net.Listener
	edit     func(message []byte) (changed []byte, fragments int)
	wg       sync.WaitGroup
}

func startFake(t testing.TB, edit func([]byte) ([]byte, int)) *fake {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{listener: listener, edit: edit}
	f.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			f.wg.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		f.wg.Wait()
	})
	return f
}

func (f *fake) serve(conn net.Conn) {
	defer conn.Close()
	in, n := make([]byte, 256<<10), 0
	var out []byte
	for {
		m, err := conn.Read(in[n:])
		if err != nil {
			return
		}
		n += m
		at := 0
		for n-at >= 4 {
			size := int(binary.BigEndian.Uint32(in[at:]) &^ lastFragment)
			if n-at-4 < size {
				break
			}
			out = f.answer(out, in[at+4:at+8])
			at += 4 + size
		}
		n = copy(in, in[at:n])
		if _, err := conn.Write(out); err != nil {
			return
		}
		out = out[:0]
	}
}

func (f *fake) answer(out, xid []byte) []byte {
	var message [24]byte
	copy(message[:], xid)
	message[7] = 1 // REPLY
	changed, fragments := message[:], 1
	if f.edit != nil {
		changed, fragments = f.edit(changed)
	}
	for i := range fragments {
		part := changed[i*len(changed)/fragments : (i+1)*len(changed)/fragments]
		mark := uint32(len(part))
		if i == fragments-1 {
			mark |= lastFragment
		}
		out = append(binary.BigEndian.AppendUint32(out, mark), part...)
	}
	return out
}

func (f *fake) dial() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	port := f.listener.Addr().(*net.TCPAddr).Port
	return fd, unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
}

// counter makes a number of calls with a payload each, any number of them while limit is negative.
type counter struct {
	record  nfs3.Record
	payload []byte
	limit   int
}

func (c *counter) Next(int) (nfs3.Record, []byte, bool) {
	if c.limit == 0 {
		return nil, nil, false
	}
	c.limit--
	return c.record, c.payload, true
}

func (c *counter) Done(_ int, r *nfs3.Reply) (int64, error) { return 2, r.End() }

func calls(limit, payload int) func(int) Driver {
	return func(int) Driver {
		record := nfs3.NewCall(nfs3.ProgNFS, nfs3.VersNFS, nfs3.Null, nfs3.Sys(1, 2, 3)).Seal(payload)
		return &counter{record: record, payload: make([]byte, payload), limit: limit}
	}
}

func TestRunCountsEveryCall(t *testing.T) {
	for _, c := range []struct{ connections, outstanding, threads, payload, fragments int }{
		{1, 1, 0, 0, 1}, {1, 32, 0, 0, 1}, {8, 1, 2, 0, 1}, {5, 7, 3, 0, 3}, {2, 4, 1, 4096, 1}, {3, 2, 2, 200 << 10, 2},
	} {
		f := startFake(t, func(m []byte) ([]byte, int) { return m, c.fragments })
		run, err := Start(Config{
			Dial: f.dial, Driver: calls(100, c.payload), Connections: c.connections, Outstanding: c.outstanding,
			Threads: c.threads, ReplySize: 64, RecordAll: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Wait(); err != nil {
			t.Fatal(err)
		}
		want := int64(100 * c.connections)
		if got := run.Totals(); got.Calls != want || got.Units != 2*want {
			t.Errorf("%+v: %+v, not %d calls", c, got, want)
		}
		if n := run.Latencies().total; n != want {
			t.Errorf("%+v: %d latencies, not %d", c, n, want)
		}
	}
}

func TestRunStops(t *testing.T) {
	f := startFake(t, nil)
	run, err := Start(Config{Dial: f.dial, Driver: calls(-1, 0), Connections: 3, Outstanding: 4, ReplySize: 64})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); run.Totals().Calls < 1000 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	run.Stop()
	if err := run.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := run.Totals().Calls; n < 1000 {
		t.Errorf("only %d calls", n)
	}
}

func TestRunFindsBadReplies(t *testing.T) {
	for name, edit := range map[string]func([]byte) ([]byte, int){
		"another xid":     func(m []byte) ([]byte, int) { m[0] ^= 1; return m, 1 },
		"not accepted":    func(m []byte) ([]byte, int) { m[11] = 1; return m, 1 },
		"system error":    func(m []byte) ([]byte, int) { m[23] = 5; return m, 1 },
		"too short":       func(m []byte) ([]byte, int) { return m[:20], 1 },
		"too long":        func(m []byte) ([]byte, int) { return append(m, 0, 0, 0, 0), 1 },
		"beyond any size": func(m []byte) ([]byte, int) { return append(m, make([]byte, 1<<17)...), 1 },
	} {
		f := startFake(t, edit)
		run, err := Start(Config{Dial: f.dial, Driver: calls(10, 0), Connections: 1, Outstanding: 2, ReplySize: 64})
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Wait(); err == nil {
			t.Errorf("%s: nothing was noticed", name)
		}
	}
}

func TestRunFindsAClosedConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	f := &fake{listener: listener}
	f.wg.Go(func() {
		if conn, err := listener.Accept(); err == nil {
			conn.Read(make([]byte, 10))
			conn.Close()
		}
	})
	run, err := Start(Config{Dial: f.dial, Driver: calls(1, 0), Connections: 1, Outstanding: 1, ReplySize: 64})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Wait(); !errors.Is(err, io.ErrUnexpectedEOF) && (err == nil || !strings.Contains(err.Error(), "reset")) {
		t.Errorf("error %v", err)
	}
	f.wg.Wait()
}

// BenchmarkGenerator shows what a call costs the generator itself, beside a server that does almost nothing: CPU time of
// the generator's thread, which is one of the two.
func BenchmarkGenerator(b *testing.B) {
	for name, outstanding := range map[string]int{"q1": 1, "q32": 32} {
		b.Run(name, func(b *testing.B) {
			f := startFake(b, nil)
			run, err := Start(Config{
				Dial: f.dial, Driver: calls(b.N, 0), Connections: 1, Outstanding: outstanding, ReplySize: 64,
			})
			if err != nil {
				b.Fatal(err)
			}
			if err := run.Wait(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(run.threads[0].cpu.Nanoseconds())/float64(b.N), "own-cpu-ns/op")
		})
	}
}
