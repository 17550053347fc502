package rpc

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// idleEnv makes this test binary hold connections: "addr n". It makes one call on each, says so, and waits for its input's end.
const idleEnv = "RPC_IDLE_CLIENT"

func init() { roles[idleEnv] = idleClient }

func idleClient(job string) {
	f := strings.Fields(job)
	n, _ := strconv.Atoi(f[1])
	call := marked(callBytes(1, testProg, testVers, procEcho, opaque(make([]byte, 100))))
	reply := make([]byte, 4+4+20+4+100)
	conns := make([]net.Conn, n)
	for i := range conns {
		var err error
		if conns[i], err = net.Dial("tcp", f[0]); err != nil {
			panic(err)
		}
		conns[i].Write(call)
		if _, err := io.ReadFull(conns[i], reply); err != nil {
			panic(err)
		}
	}
	os.Stdout.WriteString("connected\n")
	io.Copy(io.Discard, os.Stdin)
}

// TestIdleConnections: 10,000 connections that have made a call and are silent now cost the server little memory.
func TestIdleConnections(t *testing.T) {
	conns := 10000
	var limit unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	limit.Cur = limit.Max
	unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	if limit.Cur < 10200 {
		conns = int(limit.Cur) - 200
	}
	if testing.Short() || raceEnabled {
		conns /= 10
	}
	each(t, func(t *testing.T, cfg Config) {
		cfg.Logger = slog.New(slog.DiscardHandler)
		s, _, addr := serve(t, cfg)
		before := memoryInUse()
		client := exec.Command(os.Args[0])
		client.Env = append(os.Environ(), idleEnv+"="+addr.String()+" "+strconv.Itoa(conns))
		in, _ := client.StdinPipe()
		out, _ := client.StdoutPipe()
		client.Stderr = os.Stderr
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		defer client.Wait()
		defer in.Close()
		said := make([]byte, 10)
		if _, err := io.ReadFull(out, said); err != nil || !bytes.Equal(said, []byte("connected\n")) {
			t.Fatalf("%q, %v", said, err)
		}
		eventually(t, "all idle", func() bool { got := s.Stats(); return got.Conns == conns && got.Buffers == 0 })
		each := (memoryInUse() - before) / int64(conns)
		t.Logf("%d bytes per idle connection", each)
		if each > 64<<20/10000 && !raceEnabled {
			t.Errorf("%d bytes per idle connection", each)
		}
	})
}

// memoryInUse returns the bytes of live heap and of stacks.
func memoryInUse() int64 {
	time.Sleep(50 * time.Millisecond)
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
