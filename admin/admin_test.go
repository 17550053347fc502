package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func testMetrics() *Metrics {
	return NewMetrics(MetricsConfig{
		Programs: []Program{
			{100003, 3, "nfs", []string{"null", "getattr", "setattr"}},
			{100005, 1, "mount", []string{"null", "mnt"}},
		},
		Verdicts: []string{"done", "park", "drop"},
		Statuses: map[uint32]string{0: "ok", 2: "noent", 10008: "jukebox"},
	})
}

// serveBoth starts a server on TCP and on a unix socket and returns a function that asks it.
func serveBoth(t *testing.T, cfg Config) (s *Server, ask func(overUnix bool, method, path string) (int, string)) {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	unix, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s.ServeHTTP(tcp)
	s.ServeUnix(unix)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		if addr == "unix:80" {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", tcp.Addr().String())
	}}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, func(overUnix bool, method, path string) (int, string) {
		host := "localhost"
		if overUnix {
			host = "unix"
		}
		r, err := http.NewRequest(method, "http://"+host+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(text)
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	reloads := 0
	_, ask := serveBoth(t, Config{Metrics: testMetrics(), Commands: map[string]Command{
		"reload": func(context.Context) (string, error) { reloads++; return "reread", nil },
		"fail":   func(context.Context) (string, error) { return "", errors.New("cannot") },
	}})
	for _, c := range []struct {
		method, path string
		tcp, unix    int
		text         string
	}{
		{"GET", "/", 200, 200, "/metrics"},
		{"GET", "/healthz", 200, 200, "ok"},
		{"HEAD", "/healthz", 200, 200, ""},
		{"GET", "/readyz", 503, 503, "starting"},
		{"GET", "/status", 200, 200, `"format": 1`},
		{"GET", "/metrics", 200, 200, "go_goroutines"},
		{"POST", "/healthz", 405, 405, ""},
		{"POST", "/status", 405, 405, ""},
		{"DELETE", "/metrics", 405, 405, ""},
		{"GET", "/debug/pprof/", 404, 200, ""},
		{"GET", "/debug/pprof/cmdline", 404, 200, ""},
		{"GET", "/debug/pprof/heap", 404, 200, ""},
		{"POST", "/command/reload", 404, 200, ""},
		{"POST", "/command/fail", 404, 409, ""},
		{"POST", "/command/none", 404, 404, ""},
		{"GET", "/command/reload", 404, 405, ""},
		{"GET", "/../etc/passwd", 404, 404, ""},
	} {
		if code, text := ask(false, c.method, c.path); code != c.tcp || !strings.Contains(text, c.text) {
			t.Errorf("tcp %s %s: %d %.80q, want %d", c.method, c.path, code, text, c.tcp)
		}
		if code, text := ask(true, c.method, c.path); code != c.unix || !strings.Contains(text, c.text) {
			t.Errorf("unix %s %s: %d %.80q, want %d", c.method, c.path, code, text, c.unix)
		}
	}
	if reloads != 1 {
		t.Errorf("reloaded %d times", reloads)
	}
}

func TestReady(t *testing.T) {
	s, ask := serveBoth(t, Config{Metrics: testMetrics()})
	for _, c := range []struct {
		state State
		code  int
	}{{Starting, 503}, {Ready, 200}, {Draining, 503}} {
		s.Enter(c.state)
		if code, text := ask(false, "GET", "/readyz"); code != c.code || strings.TrimSpace(text) != c.state.String() {
			t.Errorf("%v: %d %q", c.state, code, text)
		}
		if code, _ := ask(false, "GET", "/healthz"); code != 200 {
			t.Errorf("%v: not healthy", c.state)
		}
	}
}

func TestStatus(t *testing.T) {
	now := time.Unix(1000, 0)
	m := testMetrics()
	s, ask := serveBoth(t, Config{Version: "v1", Metrics: m, Now: func() time.Time { return now }, Source: Source{
		Volumes: func(context.Context) []Volume { return []Volume{{Name: "data", Total: 10, Used: 4, Avail: 6}} },
		Clients: func(context.Context) []Client { return []Client{{Address: "10.0.0.1", Connections: 2}} },
		Locks:   func(context.Context) ([]Lock, error) { return nil, errors.New("locks are away") },
		Caches:  func(context.Context) []Cache { return []Cache{{"objects", 9, 1, 5}} },
		Traffic: func(context.Context) Traffic { return Traffic{Connections: 3, InFlight: 2, Panics: 1} },
	}})
	for range 20 {
		m.Observe(100003, 3, 1, 0, time.Millisecond, 100, 200)
		m.Answered(100003, 3, 1, 0)
	}
	now = now.Add(2 * time.Second)
	code, text := ask(false, "GET", "/status")
	st := Status{}
	if err := json.Unmarshal([]byte(text), &st); err != nil || code != 200 {
		t.Fatal(code, err, text)
	}
	if st.Rates != (Rates{2, 10, 1000, 2000}) {
		t.Errorf("%+v", st.Rates)
	}
	if st.Process.Version != "v1" || st.Process.Uptime != 2 || st.Process.Memory == 0 || st.Process.Ready {
		t.Errorf("%+v", st.Process)
	}
	if len(st.Volumes) != 1 || len(st.Clients) != 1 || len(st.Caches) != 1 || st.Traffic != (Traffic{Connections: 3, InFlight: 2, Panics: 1}) {
		t.Errorf("%+v", st)
	}
	if len(st.Errors) != 1 || st.Errors[0] != "locks: locks are away" {
		t.Errorf("%q", st.Errors)
	}
	s.Enter(Ready)
	if _, text := ask(true, "GET", "/status"); !strings.Contains(text, `"ready": true`) {
		t.Error(text)
	}
}

func TestRatesForget(t *testing.T) {
	r, at := rates{}, time.Unix(0, 0)
	for i := range 20 {
		r.add(at.Add(time.Duration(i)*time.Second), total{calls: uint64(i) * 100})
	}
	// samples 15…19 are left
	if got := r.now(at.Add(20*time.Second), total{calls: 2000, in: 50}); got != (Rates{5, 100, 10, 0}) {
		t.Errorf("%+v", got)
	}
	if got := r.now(at.Add(15*time.Second), total{}); got != (Rates{}) {
		t.Errorf("%+v", got)
	}
}

func TestMetrics(t *testing.T) {
	m := testMetrics()
	s, err := New(Config{Metrics: m, Source: Source{
		Volumes: func(context.Context) []Volume {
			return []Volume{{Name: "data", Total: 10, Used: 4, Avail: 6, Files: 3, Calls: 11, Storage: Storage{Syncs: 2, SyncRequests: 9}}}
		},
		Clients: func(context.Context) []Client { return make([]Client, 2) },
		Locking: func(context.Context) Locking {
			return Locking{Held: 3, Waiting: 1, GraceLeft: 2.5, Callbacks: 5, CallbackFailures: 2}
		},
		Replies: func(context.Context) Replies { return Replies{Entries: 7, Bytes: 800, Clients: 1} },
		Caches:  func(context.Context) []Cache { return []Cache{{"objects", 9, 1, 5}} },
		Traffic: func(context.Context) Traffic { return Traffic{Connections: 3, InFlight: 2, Panics: 1} },
	}})
	if err != nil {
		t.Fatal(err)
	}
	_ = s
	m.Observe(100003, 3, 1, 0, 500*time.Nanosecond, 10, 20)
	m.Answered(100003, 3, 1, 0)
	m.Observe(100003, 3, 1, 0, time.Hour, 10, 20)
	m.Answered(100003, 3, 1, 2)
	m.Observe(100003, 3, 1, 0, 3*time.Microsecond, 10, 20)
	m.Answered(100003, 3, 1, 10008)
	m.Observe(100003, 3, 1, 0, 3*time.Microsecond, 10, 20)
	m.Answered(100003, 3, 1, 77)
	m.Observe(100003, 3, 1, 0, -1, 10, 20)
	m.Answered(100003, 3, 1, 99999)
	m.Observe(100003, 3, 0, 2, 0, 1, 2)
	m.Observe(100003, 3, 99, 1, 0, 1, 2) // no such procedure
	m.Observe(100003, 4, 1, 0, 0, 1, 2)  // no such version
	m.Observe(7, 7, 7, 200, 0, 1, 2)     // nothing known
	m.Observe(100005, 1, 1, 0, time.Second, 5, 6)
	m.Answered(100005, 1, 1, 0) // another program
	want := `
# HELP causeway_rpc_calls_total Calls by what the RPC layer made of them.
# TYPE causeway_rpc_calls_total counter
causeway_rpc_calls_total{procedure="getattr",program="nfs",verdict="done",version="3"} 5
causeway_rpc_calls_total{procedure="mnt",program="mount",verdict="done",version="1"} 1
causeway_rpc_calls_total{procedure="null",program="nfs",verdict="drop",version="3"} 1
causeway_rpc_calls_total{procedure="other",program="other",verdict="done",version="0"} 1
causeway_rpc_calls_total{procedure="other",program="other",verdict="other",version="0"} 1
causeway_rpc_calls_total{procedure="other",program="other",verdict="park",version="0"} 1
# HELP causeway_rpc_replies_total Replies by the status that they carry.
# TYPE causeway_rpc_replies_total counter
causeway_rpc_replies_total{procedure="getattr",program="nfs",status="jukebox",version="3"} 1
causeway_rpc_replies_total{procedure="getattr",program="nfs",status="noent",version="3"} 1
causeway_rpc_replies_total{procedure="getattr",program="nfs",status="ok",version="3"} 1
causeway_rpc_replies_total{procedure="getattr",program="nfs",status="other",version="3"} 2
causeway_rpc_replies_total{procedure="mnt",program="mount",status="ok",version="1"} 1
# HELP causeway_rpc_trouble_total Calls rejected before any program saw them or stuck, connections refused or timed out, and panics.
# TYPE causeway_rpc_trouble_total counter
causeway_rpc_trouble_total{kind="panic"} 1
causeway_rpc_trouble_total{kind="refused"} 0
causeway_rpc_trouble_total{kind="rejected"} 0
causeway_rpc_trouble_total{kind="stuck"} 0
causeway_rpc_trouble_total{kind="timed_out"} 0
# HELP causeway_lockmgr_locks_count Byte ranges that are locked.
# TYPE causeway_lockmgr_locks_count gauge
causeway_lockmgr_locks_count 3
# HELP causeway_lockmgr_grace_seconds How long the grace period lasts yet at most; 0 when there is none.
# TYPE causeway_lockmgr_grace_seconds gauge
causeway_lockmgr_grace_seconds 2.5
# HELP causeway_nlm_callbacks_total Calls to clients, about locks that they wait for, by result.
# TYPE causeway_nlm_callbacks_total counter
causeway_nlm_callbacks_total{result="failed"} 2
causeway_nlm_callbacks_total{result="ok"} 3
# HELP causeway_drc_entries_count Replies remembered for retransmissions.
# TYPE causeway_drc_entries_count gauge
causeway_drc_entries_count 7
# HELP causeway_volume_calls_total NFS calls that named an object of a volume.
# TYPE causeway_volume_calls_total counter
causeway_volume_calls_total{volume="data"} 11
# HELP causeway_storage_sync_requests_total Requests that these calls satisfied.
# TYPE causeway_storage_sync_requests_total counter
causeway_storage_sync_requests_total{volume="data"} 9
# HELP causeway_volume_storage_bytes Storage of a volume.
# TYPE causeway_volume_storage_bytes gauge
causeway_volume_storage_bytes{state="available",volume="data"} 6
causeway_volume_storage_bytes{state="total",volume="data"} 10
causeway_volume_storage_bytes{state="used",volume="data"} 4
`
	err = testutil.GatherAndCompare(m.Registry(), strings.NewReader(want), "causeway_rpc_calls_total", "causeway_rpc_replies_total",
		"causeway_rpc_trouble_total", "causeway_lockmgr_locks_count", "causeway_volume_storage_bytes", "causeway_lockmgr_grace_seconds",
		"causeway_nlm_callbacks_total", "causeway_drc_entries_count", "causeway_volume_calls_total", "causeway_storage_sync_requests_total")
	if err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(m.Registry(), "causeway_rpc_latency_seconds", "causeway_rpc_calls_total", "causeway_rpc_in_bytes_total"); err != nil || len(problems) != 0 {
		t.Error(problems, err)
	}
}

func TestLatencyBuckets(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want int
	}{{-1, 0}, {0, 0}, {1023, 0}, {1024, 1}, {2047, 1}, {2048, 2}, {time.Second, 20}, {1 << 33, buckets - 1}, {1<<63 - 1, buckets - 1}} {
		if got := bucket(c.d); got != c.want {
			t.Errorf("%d ns: bucket %d, want %d", c.d, got, c.want)
		}
		if c.want < buckets-1 && c.d >= time.Duration(1)<<(firstBucket+c.want) {
			t.Errorf("%d ns is above the bound of its bucket %d", c.d, c.want)
		}
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	m := testMetrics()
	if n := testing.AllocsPerRun(100, func() { m.Observe(100003, 3, 1, 0, time.Microsecond, 10, 20); m.Answered(100003, 3, 1, 0) }); n != 0 {
		t.Errorf("%v allocations per call", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	m := testMetrics()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Observe(100003, 3, 1, 0, time.Microsecond, 10, 20)
			m.Answered(100003, 3, 1, 0)
		}
	})
}

func TestShutdownClosesTheListeners(t *testing.T) {
	s, err := New(Config{Metrics: testMetrics()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.ServeHTTP(l)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	a, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Error("still listening")
	}
	cancel()
	<-ended
}

// TestRebinding: a page in a browser of this machine that makes its own name mean 127.0.0.1 gets nothing.
func TestRebinding(t *testing.T) {
	s, err := New(Config{Metrics: testMetrics()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.ServeHTTP(l)
	defer s.Shutdown(context.Background())
	for host, want := range map[string]int{
		"127.0.0.1:9440": 200, "localhost:9440": 200, "LOCALHOST": 200, "[::1]:80": 200, "": 200, "evil.example:9440": 403, "127.0.0.1.evil.example": 403,
	} {
		r, err := http.NewRequest("GET", "http://"+l.Addr().String()+"/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Host = host; host == "" {
			r.Host = l.Addr().String()
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != want {
			t.Errorf("host %q: %d, want %d", host, a.StatusCode, want)
		}
	}
}

// TestBodyThatDoesNotCome: who announces a body and sends none cannot hold a connection for ever.
func TestBodyThatDoesNotCome(t *testing.T) {
	s, err := New(Config{Metrics: testMetrics()})
	if err != nil {
		t.Fatal(err)
	}
	s.readTimeout = 50 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.ServeHTTP(l)
	defer s.Shutdown(context.Background())
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("still connected: %v", err)
	}
}
