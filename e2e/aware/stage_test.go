//go:build linux

package aware

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"causeway/client"
	"causeway/e2e/harness"
	"causeway/redirect"
)

func TestMain(m *testing.M) { harness.Main(m) }

// port is that of aware clients.
const port = 9450

// link is what a gateway believes its network to carry, in Mbit/s: little, so that a test can make one busy.
const link = 20

// stage is gateways that serve volumes to aware clients. How busy they are depends on the network alone: they share the processors.
type stage struct {
	t       *testing.T
	network *harness.Network
	*harness.Cluster
	dirs map[string]string
}

// setStage starts gateways that know each other, and makes volumes.
func setStage(t *testing.T, gateways int, volumes ...string) *stage {
	t.Helper()
	return setStageOn(t, gateways, harness.ClusterConfig{}, volumes...)
}

// setStageOn is setStage with what gateways need besides.
func setStageOn(t *testing.T, gateways int, config harness.ClusterConfig, volumes ...string) *stage {
	t.Helper()
	t.Parallel()
	s := &stage{t: t, network: harness.NewNetwork(t), dirs: map[string]string{}}
	config.Flags = append([]string{"--aware", fmt.Sprint(port), "--link-speed", fmt.Sprint(link), "--shared-cpu"}, config.Flags...)
	s.Cluster = harness.NewCluster(t, s.network, gateways, config)
	root, err := os.MkdirTemp("", "cw-volumes-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	for _, name := range volumes {
		s.dirs[name] = filepath.Join(root, name)
		if err := os.Mkdir(s.dirs[name], 0o777); err != nil {
			t.Fatal(err)
		}
		s.CreateVolume(name, s.dirs[name])
	}
	for _, m := range s.Members {
		m.Command("node", "set", m.Name, "--update-interval", "1s")
	}
	s.AwaitRest(len(volumes))
	return s
}

// at is where a gateway answers aware clients.
func (s *stage) at(i int) string {
	return net.JoinHostPort(s.Members[i].Service.String(), fmt.Sprint(port))
}

// user is an aware client that works.
type user struct {
	s *stage
	*client.Client
	v      *client.Volume
	done   atomic.Int64
	failed chan error
	stop   context.CancelFunc
	tasks  sync.WaitGroup
}

// dial connects a client that lets itself be moved by some ways, first to the gateways that are named.
func (s *stage) dial(ways redirect.Ways, volume string, at ...string) *user {
	s.t.Helper()
	cfg := client.Config{Ways: ways, Balance: time.Second, Dial: s.network.Test().Dial}
	u := &user{s: s, failed: make(chan error, 1), stop: func() {}}
	err := harness.Poll(30*time.Second, func() (err error) {
		if u.Client, err = client.Dial(s.t.Context(), cfg, at...); err != nil {
			return err
		}
		if u.v, err = u.Volume(s.t.Context(), volume); err != nil {
			u.Client.Close()
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { u.stop(); u.tasks.Wait(); u.Client.Close() })
	s.Await("the client knows all gateways", func() bool { return len(u.Paths(volume)) >= len(s.Members) })
	return u
}

// here is where the client is with the volume.
func (u *user) here(volume string) string { return u.Paths(volume)[0].Gateway }

// work has the client read a file over and over, pause after pause, and notice what fails.
func (u *user) work(name string, size int, pause time.Duration) {
	u.s.t.Helper()
	ctx, stop := context.WithCancel(u.s.t.Context())
	u.stop = stop
	if err := u.v.WriteFile(ctx, name, make([]byte, size), 0o644); err != nil {
		u.s.t.Fatal(err)
	}
	u.tasks.Go(func() {
		for ctx.Err() == nil {
			got, err := u.v.ReadFile(ctx, name)
			if err == nil && len(got) != size {
				err = fmt.Errorf("%d bytes of %d", len(got), size)
			}
			if err != nil && ctx.Err() == nil {
				u.failed <- err
				return
			}
			u.done.Add(1)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
	})
}

// well fails the test if the client saw an error, and waits until it has done some more.
func (u *user) well() {
	u.s.t.Helper()
	before := u.done.Load()
	u.s.Await("the client goes on", func() bool {
		select {
		case err := <-u.failed:
			u.s.t.Fatalf("the client saw: %v", err)
		default:
		}
		return u.done.Load() >= before+3
	})
}

// moves waits until the client has left a gateway, well, and returns where it is.
func (u *user) moves(volume, from string) string {
	u.s.t.Helper()
	u.s.Await("the client has left "+from, func() bool {
		select {
		case err := <-u.failed:
			u.s.t.Fatalf("the client saw: %v", err)
		default:
		}
		return u.here(volume) != from
	})
	u.well()
	return u.here(volume)
}
