//go:build linux

package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"causeway/e2e/harness"
	"causeway/e2e/harness/wire"
)

func TestMain(m *testing.M) { harness.Main(m) }

// choose returns the number for this run.
func choose(short, long int) int {
	if harness.Long() {
		return long
	}
	return short
}

// stage is three gateways that serve some volumes.
type stage struct {
	t       *testing.T
	network *harness.Network
	*harness.Cluster
	volumes []string
	dirs    map[string]string
	root    string // what they lie in
	shifts  int    // of workers

	mu      sync.Mutex
	crashes [][2]time.Duration // from before to after each, by clock
}

// setStage starts gateways and makes volumes.
func setStage(t *testing.T, volumes int, config harness.ClusterConfig) *stage {
	t.Helper()
	t.Parallel()
	s := &stage{t: t, network: harness.NewNetwork(t), dirs: make(map[string]string)}
	s.Cluster = harness.NewCluster(t, s.network, 3, config)
	root, err := os.MkdirTemp("", "cw-volumes-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	s.root = root
	for i := range volumes {
		s.volume(fmt.Sprint("v", i))
	}
	s.AwaitRest(volumes)
	return s
}

// volume makes one more volume.
func (s *stage) volume(name string, flags ...string) {
	s.t.Helper()
	dir := filepath.Join(s.root, name)
	if err := os.Mkdir(dir, 0o777); err != nil {
		s.t.Fatal(err)
	}
	s.CreateVolume(name, dir, flags...)
	s.volumes, s.dirs[name] = append(s.volumes, name), dir
	s.AwaitRest(len(s.volumes))
}

// posix runs one of the programs of e2e/posix in a guest and fails the test unless it succeeds.
func (s *stage) posix(guest *harness.Guest, dir string, words ...string) {
	s.t.Helper()
	begun := time.Now()
	command := wire.Command{Argv: append([]string{harness.Build(s.t, "e2e/posix")}, words...), Dir: dir, Env: []string{"GODEBUG=asyncpreemptoff=1"}}
	if r, err := guest.Run(s.t.Context(), command); err != nil || r.Status != 0 {
		s.t.Errorf("%s: posix %v: status %d, %v\n%s%s", dir, words, r.Status, err, r.Stdout, r.Stderr)
	}
	s.t.Logf("%s: posix %s took %v", dir, words[0], time.Since(begun).Round(time.Millisecond))
}

// owner returns the gateway that administers a volume.
func (s *stage) owner(volume string) *harness.Member {
	if v := s.View(); v != nil {
		for _, one := range v.Volumes {
			if one.Name == volume {
				return s.Member(one.Owner)
			}
		}
	}
	return nil
}

// users are writers that work.
type users struct {
	s       *stage
	writers []*writer
	stop    context.CancelFunc
	fin     context.Context
	failed  chan error
	tasks   sync.WaitGroup
}

// work has writers change volumes through all gateways, and read what they wrote through others.
func (s *stage) work(count int) *users {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	u := &users{s: s, stop: stop, fin: s.t.Context(), failed: make(chan error, count)}
	for i := range count {
		host, volume := s.network.Host(), s.volumes[(i+1)%len(s.volumes)]
		to, from := s.Members[i%3], s.Members[(i+1)%3]
		w := &writer{id: i, dir: s.dirs[volume], files: make(map[uint64]bool), random: rand.New(rand.NewPCG(7, uint64(i))),
			to:   newMount(host, to.Service.String(), volume, uint32(i)<<24|1<<23),
			from: newMount(host, from.Service.String(), volume, uint32(i)<<24)}
		u.writers = append(u.writers, w)
		u.tasks.Go(func() {
			if err := w.run(ctx, u.fin); err != nil {
				u.failed <- fmt.Errorf("writer %d at %s: %w", w.id, w.to.at, err)
			}
		})
	}
	s.t.Cleanup(func() { stop(); u.tasks.Wait() })
	u.progress()
	return u
}

// progress waits until every writer has had some more calls answered.
func (u *users) progress() {
	u.s.t.Helper()
	before := make([]int64, len(u.writers))
	for i, w := range u.writers {
		before[i] = w.done.Load()
	}
	u.s.Await("all clients go on", func() bool {
		select {
		case err := <-u.failed:
			u.s.t.Fatal(err)
		default:
		}
		for i, w := range u.writers {
			if w.done.Load() < before[i]+5 {
				return false
			}
		}
		return true
	})
}

// end stops the writers and compares what they were promised with what is there.
func (u *users) end() {
	u.s.t.Helper()
	u.progress()
	u.stop()
	u.tasks.Wait()
	ctx, cancel := context.WithTimeout(u.fin, time.Minute)
	defer cancel()
	calls, unknown := int64(0), 0
	for _, w := range u.writers {
		if err := w.verify(ctx); err != nil {
			u.s.t.Errorf("writer %d: %v", w.id, err)
		}
		calls, unknown = calls+w.done.Load(), unknown+w.unknown
	}
	u.s.t.Logf("%d calls of %d clients were acknowledged, of %d changes the first answer was lost", calls, len(u.writers), unknown)
}
