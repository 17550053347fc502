//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causeway/e2e/bench/nfs3"
	"causeway/e2e/harness"
)

// worker writes and reads a file of its own, or changes a name, over and over, and remembers when it was answered.
type worker struct {
	probe
	name   string
	file   []byte
	done   uint64       // of writes: the last that was acknowledged as stable
	untold atomic.Int64 // changes of names whose first answer was lost with the only gateway that knew it
}

// workers are some at each of the gateways.
func (s *stage) workers(volume string, at ...*harness.Member) []*worker {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	s.shifts++
	var all []*worker
	var tasks sync.WaitGroup
	failed := make(chan error, 16)
	s.t.Cleanup(func() {
		stop()
		tasks.Wait()
		select {
		case err := <-failed:
			s.t.Error(err)
		default:
		}
	})
	for i, via := range at {
		for k, kind := range []string{"bytes", "names"} {
			w := &worker{name: fmt.Sprint(kind, "-", s.shifts, "-", via.Name)}
			w.via, w.volume, w.m = via, volume, newMount(s.network.Host(), via.Service.String(), volume, uint32(1+2*(8*s.shifts+i)+k)<<20)
			if err := w.m.begin(ctx); err != nil {
				s.t.Fatal(err)
			}
			do := w.rename
			if k == 0 {
				do = w.move
			}
			var err error
			if w.file, err = w.m.create(ctx, w.name); err != nil && !errors.Is(err, exists) {
				s.t.Fatal(err)
			} else if err != nil {
				if w.file, err = w.m.lookup(ctx, w.name); err != nil {
					s.t.Fatal(err)
				}
			}
			all = append(all, w)
			tasks.Go(func() {
				defer w.m.close()
				for ctx.Err() == nil {
					if err := do(ctx); err != nil && ctx.Err() == nil {
						failed <- fmt.Errorf("%s: %w", w.name, err)
						return
					}
					w.mu.Lock()
					w.at = append(w.at, time.Now())
					w.mu.Unlock()
					time.Sleep(askEvery)
				}
			})
		}
	}
	s.Await("all work", func() bool {
		for _, w := range all {
			if len(w.since(time.Time{})) < 20 {
				return false
			}
		}
		return true
	})
	return all
}

const exists = nfs3.Status(17)

// move writes a stable block and reads it back.
func (w *worker) move(ctx context.Context) error {
	block := fmt.Sprintf("%08d", w.done+1)
	if _, err := w.m.write(ctx, w.file, 0, []byte(block), nfs3.FileSync); err != nil {
		return err
	}
	w.done++
	got, err := w.m.read(ctx, w.file, 0, len(block))
	if err == nil && string(got) != block {
		return fmt.Errorf("%q is read, %q was acknowledged", got, block)
	}
	return err
}

// rename gives the file another name and the first one again.
func (w *worker) rename(ctx context.Context) error {
	for _, names := range [][2]string{{w.name, w.name + "~"}, {w.name + "~", w.name}} {
		err := w.m.rename(ctx, names[0], names[1])
		if errors.Is(err, nfs3.NoEnt) { // done, if an owner died between making the change and having it copied
			if _, missing := w.m.lookup(ctx, names[1]); missing == nil {
				w.untold.Add(1)
				continue
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ends are how a gateway is lost.
var ends = []event{
	{"a crash", time.Second, func(_ *stage, victim *harness.Member) { victim.Kill() }, func(_ *stage, victim *harness.Member) { victim.Start() }},
	{"the loss of the machine", 3500 * time.Millisecond, func(s *stage, victim *harness.Member) { s.Unplug(victim) },
		func(s *stage, victim *harness.Member) { victim.KillAll(); s.Plug(victim); victim.Start() }},
}

// TestOwnerLost loses the gateway that administers a volume while clients of the other two write, read and rename, and hold locks: they go
// on, all locks are still those of their owners, and nobody is told to reclaim one.
func TestOwnerLost(t *testing.T) {
	s := setStage(t, 1, harness.ClusterConfig{})
	s.Members[0].Command("cluster", "set", "--hold-down", "0s")
	volume, ctx := s.volumes[0], t.Context()
	victim := s.Members[2]
	s.move(volume, victim)
	const held = 20 // by a client of each gateway
	holders := []*mount{newMount(s.network.Host(), s.Members[0].Service.String(), volume, 1<<28), newMount(s.network.Host(), s.Members[1].Service.String(), volume, 2<<28)}
	files := make([][]byte, 2*held)
	for i := range files {
		m := holders[i%2]
		if m.root == nil {
			if err := m.begin(ctx); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if files[i], err = m.create(ctx, fmt.Sprint("locked-", i)); err != nil {
			t.Fatal(err)
		}
		if done, err := m.lock(ctx, files[i], uint32(i), true); err != nil || !done {
			t.Fatal(done, err)
		}
	}
	workers := s.workers(volume, s.Members[:2]...)
	for _, e := range ends {
		bytes, names := &figures{name: e.name + ": writes and reads through other gateways", bound: e.bound}, &figures{name: e.name + ": changes of names", bound: e.bound}
		locks := &figures{name: e.name + ": all locks are answered", bound: 2 * e.bound}
		for range choose(1, 12) {
			begun := time.Now()
			e.end(s, victim)
			for i, file := range files {
				own, other := holders[i%2], holders[(i+1)%2]
				if done, err := other.lock(ctx, file, uint32(i), true); err != nil || done {
					t.Errorf("%s: the lock of file %d is given to another: %v, %v", e.name, i, done, err)
				}
				if done, err := own.lock(ctx, file, uint32(i), true); err != nil || !done {
					t.Errorf("%s: the lock of file %d is not its owner's any more: %v, %v", e.name, i, done, err)
				}
			}
			locks.add(time.Since(begun))
			s.worked(workers)
			for i, w := range workers {
				f := bytes
				if i%2 == 1 {
					f = names
				}
				f.add(w.silence(begun).length())
			}
			e.again(s, victim)
			s.AwaitRest(1)
			s.move(volume, victim)
			s.worked(workers)
		}
		bytes.report(t)
		names.report(t)
		locks.report(t)
	}
	s.untold(workers, len(ends)*choose(1, 12))
	for _, m := range s.Members {
		if n := len(m.Said("what clients held is not known to any gateway")); n > 0 {
			t.Errorf("%s has had %d grace periods", m.Name, n)
		}
	}
}

// untold fails the test if workers were told more often that a change could not be made, which was made, than owners were lost: one change per
// client and loss can be told so.
func (s *stage) untold(workers []*worker, lost int) {
	s.t.Helper()
	for _, m := range s.Members {
		lost += len(m.Said("the lease may have ended")) // a busy machine loses more
	}
	for _, w := range workers {
		if n := w.untold.Load(); n > int64(lost) {
			s.t.Errorf("%s: %d changes that were made were told to be impossible, with %d owners lost", w.name, n, lost)
		}
	}
}

// worked waits until every worker has been answered some times more.
func (s *stage) worked(workers []*worker) {
	s.t.Helper()
	now := time.Now()
	s.Await("all go on", func() bool {
		for _, w := range workers {
			if len(w.since(now)) < 20 {
				return false
			}
		}
		return true
	})
}

// TestReceiverLost loses a gateway whose clients write, without a word, as a machine without power: what it holds of an exclusive volume ends
// with its lease, and nobody who wants the same waits longer. What it acknowledged is there.
func TestReceiverLost(t *testing.T) {
	s := setStage(t, 0, harness.ClusterConfig{})
	s.Members[0].Command("cluster", "set", "--hold-down", "0s")
	for _, volume := range []string{"plain", "exclusive"} {
		var flags []string
		if volume == "exclusive" {
			flags = append(flags, "--exclusive")
		}
		s.volume(volume, flags...)
		s.move(volume, s.Members[2])
		victim, other := s.Members[0], s.Members[1]
		workers := s.workers(volume, other, s.Members[2])
		for _, e := range ends {
			waits := &figures{name: volume + ", " + e.name + ": who wants what it held", bound: e.bound}
			rest := &figures{name: volume + ", " + e.name + ": others, longest silence"}
			for n := range choose(1, 12) {
				s.receiverLost(volume, fmt.Sprint(e.bound, "-", n), victim, other, workers, e, waits, rest)
			}
			waits.report(t)
			rest.report(t)
		}
		s.untold(workers, 0)
	}
}

// receiverLost does it once.
func (s *stage) receiverLost(volume, name string, victim, other *harness.Member, workers []*worker, e event, waits, rest *figures) {
	t, ctx := s.t, s.t.Context()
	t.Helper()
	first, second := newMount(s.network.Host(), victim.Service.String(), volume, 3<<28), newMount(s.network.Host(), other.Service.String(), volume, 4<<28)
	defer first.close()
	defer second.close()
	if err := errors.Join(first.begin(ctx), second.begin(ctx)); err != nil {
		t.Fatal(err)
	}
	file, err := first.create(ctx, name)
	if err == nil {
		_, err = first.write(ctx, file, 0, []byte("acknowledged"), nfs3.FileSync)
	}
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	e.end(s, victim)
	got, err := second.read(ctx, file, 0, len("acknowledged"))
	if err != nil || string(got) != "acknowledged" {
		t.Errorf("%s: %q is read, %v", name, got, err)
	}
	if err := second.truncate(ctx, file); err != nil {
		t.Error(err)
	}
	if _, err := second.write(ctx, file, 0, []byte("new"), nfs3.FileSync); err != nil {
		t.Error(err)
	}
	waits.add(time.Since(begun))
	s.worked(workers)
	for _, w := range workers {
		rest.add(w.silence(begun).length())
	}
	e.again(s, victim)
	s.AwaitRest(len(s.volumes))
	if data, err := os.ReadFile(filepath.Join(s.dirs[volume], name)); err != nil || string(data) != "new" {
		t.Errorf("%s: there is %q, %v", name, data, err)
	}
}
