//go:build linux

package aware

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/willscott/go-nfs-client/nfs"
	"github.com/willscott/go-nfs-client/nfs/rpc"

	"causeway/e2e/harness"
)

// normal is an NFS client that stays with an address, and reads a file there over and over until the test ends.
type normal struct {
	s  *stage
	at netip.Addr

	mu   sync.Mutex
	done int // reads
}

// mount connects.
func (n *normal) mount() (target *nfs.Target, end func(), err error) {
	n.s.network.Test().Do(func() {
		var c *rpc.Client
		if c, err = rpc.DialTCP("tcp", fmt.Sprintf("%v:2049", n.at), false); err == nil {
			end = c.Close
			target, err = (&nfs.Mount{Client: c}).Mount("/home", rpc.NewAuthUnix("test", 1000, 1000).Auth())
		}
	})
	return target, end, err
}

// read connects and reads until that fails, or the test ends.
func (n *normal) read(name string, ended <-chan struct{}) {
	target, end, err := n.mount()
	if end != nil {
		defer end()
	}
	for err == nil {
		select {
		case <-ended:
			return
		case <-time.After(20 * time.Millisecond):
		}
		var f io.ReadCloser
		if f, err = target.Open(name); err == nil {
			_, err = io.Copy(io.Discard, f)
			f.Close()
		}
		if err == nil {
			n.mu.Lock()
			n.done++
			n.mu.Unlock()
		}
	}
	time.Sleep(50 * time.Millisecond)
}

// goesOn waits until the client has read some more.
func (n *normal) goesOn() {
	n.s.t.Helper()
	reads := func() int {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.done
	}
	before := reads()
	n.s.Await(fmt.Sprintf("the client at %v goes on", n.at), func() bool { return reads() >= before+10 })
}

// TestAddressWay: a gateway with two addresses stays over its threshold because of NFS clients, which cannot be told. It gives one of the addresses, with who
// is there, to the other gateway, where the operator wants that, and keeps the other one.
func TestAddressWay(t *testing.T) {
	second := netip.MustParseAddr("10.99.0.221")
	s := setStageOn(t, 2, harness.ClusterConfig{Host: func(i int, _ *harness.Host) []string {
		if i > 0 {
			return nil
		}
		return []string{"--service-address", second.String()}
	}}, "home")
	if err := os.WriteFile(filepath.Join(s.dirs["home"], "text"), make([]byte, 128<<10), 0o644); err != nil {
		t.Fatal(err)
	}
	first, g1, g2 := s.Members[0].Service, s.Members[0], s.Members[1]
	ended := make(chan struct{})
	var clients []*normal
	var work sync.WaitGroup
	for _, at := range []netip.Addr{first, second} {
		n := &normal{s: s, at: at}
		clients = append(clients, n)
		work.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
					n.read("/text", ended)
				}
			}
		})
	}
	t.Cleanup(func() { close(ended); work.Wait() })
	for _, n := range clients {
		n.goesOn()
	}
	begun := time.Now()
	g1.Command("node", "set", "g1", "--threshold", "20")
	g1.Command("cluster", "set", "--redirect-addresses", "--redirect-stay", "1s")
	held := func(m *harness.Member) (n int) {
		for _, a := range []netip.Addr{first, second} {
			if m.Host.Has(a) {
				n++
			}
		}
		return n
	}
	s.Await("one address is at the other gateway", func() bool { return held(g1) == 1 && held(g2) == 1 })
	t.Logf("after %v", time.Since(begun).Round(time.Millisecond))
	for _, n := range clients {
		n.goesOn()
	}
	if held(g1) != 1 || held(g2) != 1 {
		t.Errorf("%d and %d addresses", held(g1), held(g2))
	}
	if len(g1.Said("a service address is given to another gateway")) != 1 {
		t.Error("it is not said once")
	}
}
