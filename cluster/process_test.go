package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"causeway"
	"causeway/cluster/pki"
	"causeway/cluster/record"
	"causeway/internal/boottime"
)

// TestMain runs a gateway of its own when a test has started this binary as one.
func TestMain(m *testing.M) {
	if settings := os.Getenv("CAUSEWAY_TEST_GATEWAY"); settings != "" {
		runGateway(settings)
		return
	}
	os.Exit(m.Run())
}

// gatewayProcess is what a test tells a gateway in a process of its own.
type gatewayProcess struct {
	Node, Dir, Identity string
	Endpoints           []string
}

// speaker says on standard output when it may serve a volume, and when it may no longer. All processes of a machine have the
// same clock.
type speaker struct {
	mu    sync.Mutex
	owned map[causeway.VolumeID]causeway.Epoch
	open  map[causeway.VolumeID]bool
}

func (s *speaker) say(what string, v causeway.VolumeID) {
	fmt.Printf("%d %s %d\n", boottime.Now(), what, v)
}

func (s *speaker) Pause(_ context.Context, v causeway.VolumeID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.owned[v]; ok && s.open[v] {
		s.say("stop", v)
	}
	s.open[v] = false
	return nil
}

func (s *speaker) Resume(_ context.Context, v causeway.VolumeID, e causeway.Epoch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[v] = true; s.owned[v] == e {
		s.say("serve", v)
	}
	return nil
}

func (s *speaker) Acquire(_ context.Context, v *VolumeRecord, e causeway.Epoch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owned[v.ID] = e
	return nil
}

func (s *speaker) Release(_ context.Context, v causeway.VolumeID, _ causeway.Epoch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.owned, v)
	return nil
}

func (s *speaker) Fence() { fmt.Printf("%d fence 0\n", boottime.Now()) }

func runGateway(settings string) {
	var p gatewayProcess
	if err := json.Unmarshal([]byte(settings), &p); err != nil {
		panic(err)
	}
	identity, err := pki.Open(p.Identity)
	if err != nil {
		panic(err)
	}
	c, err := Start(context.Background(), Config{Node: p.Node, Dir: p.Dir, External: p.Endpoints, ExternalTLS: identity.Client(), Place: spread,
		Leave: func(r Remains) { fmt.Printf("%d lease %d\n", boottime.Now(), r.Lease) },
		Hooks: &speaker{owned: make(map[causeway.VolumeID]causeway.Epoch), open: make(map[causeway.VolumeID]bool)},
		Log:   slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		panic(err)
	}
	io.Copy(io.Discard, os.Stdin) // until the test is over
	c.Close()
}

// process is a gateway in a process of its own, and what it said.
type process struct {
	cmd  *exec.Cmd
	left Remains // but the lease
	mu   sync.Mutex
	said []utterance
}

type utterance struct {
	at   time.Duration
	what string
	v    causeway.VolumeID
}

func (d *database3) process(name string) *process {
	settings := gatewayProcess{Node: name, Dir: d.t.TempDir(), Identity: d.identity}
	for _, s := range d.servers {
		settings.Endpoints = append(settings.Endpoints, s.Endpoint())
	}
	text, err := json.Marshal(settings)
	if err != nil {
		d.t.Fatal(err)
	}
	files, err := pki.Open(d.identity)
	if err != nil {
		d.t.Fatal(err)
	}
	p := &process{cmd: exec.Command(os.Args[0]), left: Remains{Node: name, Endpoints: settings.Endpoints,
		Certificate: files.PairFile(), Key: files.PairFile(), Authority: files.AuthorityFile()}}
	p.cmd.Env = append(os.Environ(), "CAUSEWAY_TEST_GATEWAY="+string(text))
	in, err := p.cmd.StdinPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var u utterance
			if _, err := fmt.Sscan(lines.Text(), (*int64)(&u.at), &u.what, (*uint64)(&u.v)); err == nil {
				p.mu.Lock()
				p.said = append(p.said, u)
				p.mu.Unlock()
			}
		}
	}()
	d.t.Cleanup(func() {
		in.Close()
		p.cmd.Process.Signal(syscall.SIGCONT)
		p.cmd.Process.Kill()
		<-done
		p.cmd.Wait()
	})
	return p
}

// serves returns the volumes that the process says it serves.
func (p *process) serves() map[causeway.VolumeID]time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := make(map[causeway.VolumeID]time.Duration)
	for _, u := range p.said {
		switch u.what {
		case "serve":
			now[u.v] = u.at
		case "stop":
			delete(now, u.v)
		case "fence":
			clear(now)
		}
	}
	return now
}

// remains is what the process said it leaves.
func (p *process) remains() Remains {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.left
	for _, u := range p.said {
		if u.what == "lease" {
			r.Lease = int64(u.v)
		}
	}
	return r
}

func (p *process) fenced() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, u := range p.said {
		n += strings.Count(u.what, "fence")
	}
	return n
}

func together(ps ...*process) (total int, last time.Duration) {
	for _, p := range ps {
		for _, at := range p.serves() {
			total, last = total+1, max(last, at)
		}
	}
	return total, last
}

// processes starts three gateways as processes that serve manyVolumes.
func processes(t *testing.T) (*database3, []*process) {
	d := startDatabase(t)
	maker, _ := d.gateway(newWorld(t), "z", nil) // only to make volumes
	maker.createVolumes(manyVolumes)
	p := []*process{d.process("a"), d.process("b"), d.process("c")}
	eventually(t, "three processes run", func() bool {
		return maker.Table().Len(record.KindMember) == 4 && maker.Table().Len(record.KindPlan) == 0
	})
	if err := maker.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "they serve", func() bool { n, _ := together(p...); return n == manyVolumes })
	return d, p
}

// TestBury kills a process and has its supervisor end its lease.
func TestBury(t *testing.T) {
	t.Parallel()
	_, p := processes(t)
	start := boottime.Now()
	if err := p[1].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := p[1].cmd.Process.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := Bury(t.Context(), p[1].remains(), testLog(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the others serve", func() bool { n, _ := together(p[0], p[2]); return n == manyVolumes })
	_, last := together(p[0], p[2])
	t.Logf("served by others after %v", last-start)
}

// TestBuryWithLeader has the database's leader die with the process: a dead server is asked first, and one that does not know yet.
func TestBuryWithLeader(t *testing.T) {
	t.Parallel()
	d, p := processes(t)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	start := boottime.Now()
	tasks.Go(d.leader().Close)
	if err := p[1].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := p[1].cmd.Process.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := Bury(t.Context(), p[1].remains(), testLog(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the others serve", func() bool { n, _ := together(p[0], p[2]); return n == manyVolumes })
	_, last := together(p[0], p[2])
	t.Logf("served by others after %v", last-start)
}

// TestBuryInVain gives up with its context: nobody ends a lease that no server knows how to reach.
func TestBuryInVain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := Bury(ctx, Remains{Node: "a", Lease: 1, Endpoints: []string{"https://" + freePort(t)}}, testLog(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := Bury(t.Context(), Remains{Node: "a"}, testLog(t)); err != nil {
		t.Error("who was no member has no membership to end: ", err)
	}
}

// TestPausedProcess stops a gateway's process for longer than its lease, and lets it go on: others have taken over, it notices
// before it does anything else, and the volumes come back. Then it is killed.
func TestPausedProcess(t *testing.T) {
	t.Parallel()
	_, p := processes(t)
	all := func() bool { n, _ := together(p...); return n == manyVolumes }
	held := len(p[1].serves())
	start := boottime.Now()
	if err := p[1].cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the others serve", func() bool { n, _ := together(p[0], p[2]); return n == manyVolumes })
	_, last := together(p[0], p[2])
	t.Logf("%d volumes of a stopped process were served by others after %v", held, last-start)
	before := p[1].fenced()
	woken := boottime.Now()
	if err := p[1].cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it stops by itself", func() bool { return p[1].fenced() > before })
	eventually(t, "it is back", func() bool { return len(p[1].serves()) == held && all() })
	p[1].mu.Lock()
	for _, u := range p[1].said {
		if u.at < woken {
			continue
		}
		if u.what != "fence" {
			t.Errorf("the first thing that the woken process did was %s %v", u.what, u.v)
		}
		t.Logf("it stopped %v after it was woken", u.at-woken)
		break
	}
	p[1].mu.Unlock()
	start = boottime.Now()
	if err := p[1].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the others serve", func() bool { n, _ := together(p[0], p[2]); return n == manyVolumes })
	_, last = together(p[0], p[2])
	t.Logf("those of a killed one after %v", last-start)
}
