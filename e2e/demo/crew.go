package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/willscott/go-nfs-client/nfs"
	"github.com/willscott/go-nfs-client/nfs/rpc"
)

// worker is a client who stays with one address and writes records there, one file each, as fast as they are made stable. When
// the connection breaks he dials the same address again and repeats what was not acknowledged, as a hard mount does.
type worker struct {
	name   string
	at     netip.AddrPort
	volume string
	why    string // what the killed gateway is to him

	connection *rpc.Client
	target     *nfs.Target

	mu    sync.Mutex
	acked []time.Time // of each record, in order
}

// crew is all of them.
type crew struct {
	workers []*worker
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	failed  chan error
}

// hire starts a worker at each gateway. Those of other gateways get a volume that the victim administers, if there is one.
func (s *trio) hire(owners map[string]string, victim string) *crew {
	ctx, cancel := context.WithCancel(context.Background())
	c := &crew{cancel: cancel, failed: make(chan error, len(s.places))}
	theirs := s.names[0]
	for volume, owner := range owners {
		if owner == victim {
			theirs = volume
		}
	}
	say("Three clients write records, each of 64 KiB and made stable before the next")
	for i, at := range s.places {
		w := &worker{name: fmt.Sprint("client", i+1), at: at, volume: theirs}
		if name := fmt.Sprint("g", i+1); name == victim {
			w.why = "its gateway dies"
		} else if owners[theirs] == victim {
			w.why = "its gateway lives, its volume's administrator dies"
		} else {
			w.why = "neither its gateway nor its volume's administrator dies"
		}
		show("%s at %v on /%s, administered by %s: %s", w.name, at.Addr(), w.volume, owners[w.volume], w.why)
		c.workers = append(c.workers, w)
		c.tasks.Go(func() {
			if err := w.work(ctx); err != nil {
				c.failed <- fmt.Errorf("%s: %w", w.name, err)
			}
		})
	}
	return c
}

// stop ends the work and tells what failed.
func (c *crew) stop() error {
	c.cancel()
	c.tasks.Wait()
	var err error
	for len(c.failed) > 0 {
		err = errors.Join(err, <-c.failed)
	}
	return err
}

// await waits until every worker has made so many records from now on.
func (c *crew) await(records int) error {
	goal := make([]int, len(c.workers))
	for i, w := range c.workers {
		goal[i] = w.records() + records
	}
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		done := 0
		for i, w := range c.workers {
			if w.records() >= goal[i] {
				done++
			}
		}
		switch {
		case done == len(c.workers):
			return nil
		case len(c.failed) > 0:
			return errors.New("a client failed")
		case time.Since(begun) > time.Minute:
			return fmt.Errorf("only %d of %d clients still work", done, len(c.workers))
		}
	}
}

func (w *worker) records() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// record is the content of a record: it follows from who wrote it and when.
func (w *worker) record(n int) []byte {
	seed := sha256.Sum256(fmt.Appendf(nil, "%s/%d", w.name, n))
	data := make([]byte, 64<<10)
	_, _ = rand.NewChaCha8(seed).Read(data) // never fails
	return data
}

func (w *worker) path(n int) string { return fmt.Sprintf("/%s-%04d", w.name, n) }

func (w *worker) work(ctx context.Context) error {
	defer w.hangUp()
	for n := 0; ctx.Err() == nil; n++ {
		data := w.record(n)
		for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
			err := w.put(w.path(n), data)
			if err == nil {
				break
			}
			w.hangUp()
			if status := (*nfs.Error)(nil); errors.As(err, &status) || time.Since(begun) > time.Minute {
				return err // an answer is final; only silence is worth another try
			}
			if ctx.Err() != nil {
				return nil
			}
		}
		w.mu.Lock()
		w.acked = append(w.acked, time.Now())
		w.mu.Unlock()
	}
	return nil
}

func (w *worker) hangUp() {
	if w.connection != nil {
		w.connection.Close()
	}
	w.connection, w.target = nil, nil
}

func (w *worker) put(path string, data []byte) (err error) {
	if w.target == nil {
		if w.connection, w.target, err = dial(w.at, w.volume); err != nil {
			return err
		}
	}
	f, err := w.target.OpenFile(path, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, bytes.NewReader(data)); err != nil {
		return err
	}
	return f.Close()
}

// connect dials. The client library chooses its own port, at random, which may be in use.
func connect(at string) (connection *rpc.Client, err error) {
	for range 100 {
		if connection, err = rpc.DialTCP("tcp", at, false); !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return connection, err
}

// dial mounts a volume as the user who runs this, or somebody: root is squashed.
func dial(at netip.AddrPort, volume string) (*rpc.Client, *nfs.Target, error) {
	connection, err := connect(at.String())
	if err != nil {
		return nil, nil, err
	}
	uid := uint32(max(os.Getuid(), 0))
	if uid == 0 {
		uid = 1000
	}
	m := nfs.Mount{Client: connection}
	target, err := m.Mount("/"+volume, rpc.NewAuthUnix("demo", uid, uid).Auth())
	if err != nil {
		connection.Close()
		return nil, nil, err
	}
	return connection, target, nil
}

// report says how long each client waited when the gateway was killed.
func (c *crew) report(killed time.Time) {
	for _, w := range c.workers {
		longest, before, after := time.Duration(0), 0, 0
		for i, at := range w.acked {
			if at.Before(killed) {
				before++
				continue
			}
			after++
			if i > 0 {
				longest = max(longest, at.Sub(w.acked[i-1]))
			}
		}
		show("%s: %d records before, %d after; its longest pause was %v (%s)", w.name, before, after, longest.Round(time.Millisecond), w.why)
	}
}

// verify reads every acknowledged record through another gateway than it was written, and compares it with what lies on the disk.
func (c *crew) verify(s *trio) error {
	total := 0
	for i, w := range c.workers {
		other := s.places[(i+2)%len(s.places)]
		connection, target, err := dial(other, w.volume)
		if err != nil {
			return fmt.Errorf("mount from %v: %w", other, err)
		}
		for n := range w.records() {
			f, err := target.Open(w.path(n))
			if err != nil {
				return fmt.Errorf("%s through %v: %w", w.path(n), other, err)
			}
			got, err := io.ReadAll(f)
			if err != nil {
				return err
			}
			stored, err := os.ReadFile(filepath.Join(filepath.Dir(s.state), "volumes", w.volume, w.path(n)))
			if want := w.record(n); err != nil || !bytes.Equal(got, want) || !bytes.Equal(stored, want) {
				return fmt.Errorf("%s is not what was written and acknowledged: %w", w.path(n), errors.Join(errors.New("it differs"), err))
			}
			total++
		}
		connection.Close()
	}
	show("all %d acknowledged records were read through other gateways, and on the disk: each is as it was written", total)
	return nil
}
