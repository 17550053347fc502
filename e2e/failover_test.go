//go:build linux

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"causeway/e2e/harness"
	"causeway/e2e/posix/pulse"
)

// crew is a cluster of three gateways on hosts of their own, with one volume, and a guest that mounts it at the first one's address.
type crew struct {
	t       *testing.T
	network *harness.Network
	cluster *harness.Cluster
	nodes   []*harness.Member
	dir     string // of the volume
	guest   *harness.Guest
	mount   string

	conn net.PacketConn // to the program in the guest
	to   net.Addr
	next uint64 // record
}

func newCrew(t *testing.T) *crew {
	t.Helper()
	t.Parallel()
	c := &crew{t: t, network: harness.NewNetwork(t), dir: t.TempDir()}
	cluster := harness.NewCluster(t, c.network, 3, harness.ClusterConfig{})
	c.cluster, c.nodes = cluster, cluster.Members
	cluster.CreateVolume(volume, c.dir)
	c.guest = c.network.Boot(harness.GuestConfig{Name: "alpha", Locking: true})
	c.mount = "/mnt/" + volume
	// As users do it: everything else is found at port 111.
	c.guest.Sh("/", fmt.Sprintf("mkdir -p %s; mount.nfs %v:/%s %s -o vers=3", c.mount, c.home().Service, volume, c.mount))
	c.pulse()
	return c
}

// home is the gateway whose address the guest has mounted.
func (c *crew) home() *harness.Member { return c.nodes[0] }

// pulse starts the program in the guest.
func (c *crew) pulse() {
	c.t.Helper()
	var err error
	c.network.Test().Do(func() { c.conn, err = net.ListenPacket("udp4", "10.99.0.1:0") })
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { c.conn.Close() })
	c.to = net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.guest.Address, pulse.Port))
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	program := posixCommand(c.t, c.mount, "pulse")
	ended.Go(func() {
		if result, err := c.guest.Run(ctx, program); ctx.Err() == nil {
			c.t.Errorf("the program in the guest ended: %+v, %v", result, err)
		}
	})
	c.t.Cleanup(func() { cancel(); ended.Wait() })
	c.guest.Sh("/", "while ! grep -q :1BBE /proc/net/udp; do sleep 0.05; done")
	c.beat()
}

// patience is more than any outage may take, also if the client hears nothing of it and asks again only when its time is over (retransmission).
const patience = 150 * time.Second

// beat has one record written and read, and returns when it was asked for and when that was done.
func (c *crew) beat() (asked, done time.Time) {
	c.t.Helper()
	asked = time.Now()
	answer := make([]byte, 1000)
	if _, err := c.conn.WriteTo([]byte(fmt.Sprint(c.next)), c.to); err != nil {
		c.t.Fatal(err)
	}
	if err := c.conn.SetReadDeadline(asked.Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	n, _, err := c.conn.ReadFrom(answer)
	done = time.Now()
	if err != nil || string(answer[:n]) != fmt.Sprint(c.next) {
		c.explain()
		c.t.Fatalf("record %d: %q, %v", c.next, answer[:n], err)
	}
	c.next++
	return asked, done
}

// explain tells what the guest's client waits for, and where its connections end.
func (c *crew) explain() {
	c.t.Logf("the guest at %v: %s", time.Now(), c.guest.Sh("/", "grep -E 'xprt:|^device.*nfs' /proc/self/mountstats; cat /proc/net/tcp; ip neigh; dmesg | tail -n 20"))
	for _, n := range c.nodes {
		c.t.Logf("%s: %s", n.Name, n.Host.MustRun("sh", "-c", "ip -brief address; ss -tnoi state all '( sport = :2049 )'"))
	}
}

// beatUntil goes on until end says so, and returns the longest time that a record took, and the ends of all.
func (c *crew) beatUntil(end func() bool) (longest time.Duration, all []time.Time) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !end(); {
		if time.Now().After(deadline) {
			c.t.Fatal("the gateways do not do what is waited for")
		}
		asked, done := c.beat()
		longest, all = max(longest, done.Sub(asked)), append(all, done)
	}
	return longest, all
}

// taken says when a gateway has taken the address of the guest's mount.
func (c *crew) taken(n *harness.Member) []time.Time {
	return n.Said(`"service address taken"`, "addr="+c.home().Service.String()+" ")
}

// allTaken is taken of all gateways.
func (c *crew) allTaken() (all []time.Time) {
	for _, n := range c.nodes {
		all = append(all, c.taken(n)...)
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// opened returns when a gateway opened the volume around the time of an event, or the event's.
func (c *crew) opened(event time.Time) time.Time {
	last := event
	for _, n := range c.nodes {
		for _, at := range n.Said(`"directory opened"`) {
			if at.After(last) && at.Sub(event) < 3*time.Second {
				last = at
			}
		}
	}
	return last
}

// holders returns who has the address in its kernel.
func (c *crew) holders() (names []string) {
	for _, n := range c.nodes {
		if n.Host.Has(c.home().Service) {
			names = append(names, n.Name)
		}
	}
	return names
}

// verify compares what the guest was told with what is there.
func (c *crew) verify() {
	c.t.Helper()
	if err := pulse.Verify(filepath.Join(c.dir, pulse.FileName), c.next); err != nil {
		c.t.Error(err)
	}
	if errs := c.guest.Sh("/", "dmesg | grep -c 'nfs:.*error\\|Stale' || true"); strings.TrimSpace(errs) != "0" {
		c.t.Errorf("the guest's kernel complains: %s", c.guest.Sh("/", "dmesg | tail -20"))
	}
}

// failure is a way to lose a gateway, and to get it back.
type failure struct {
	name       string
	lose, back func(*crew)
}

var failures = []failure{
	{"power", func(c *crew) { c.home().Host.Unplug(); c.home().KillAll() }, func(c *crew) { c.home().Host.Plug(); c.home().Start() }},
	{"kill", func(c *crew) { c.home().Kill() }, func(c *crew) { c.home().Start() }},
	{"pause", func(c *crew) { c.home().Signal(syscall.SIGSTOP) }, func(c *crew) {
		if harness.Long() {
			time.Sleep(20 * time.Second) // beside what the loss took
		}
		c.home().Signal(syscall.SIGCONT)
	}},
	{"stop", func(c *crew) { c.home().Stop() }, func(c *crew) { c.home().Start() }},
}

// figures are what was measured of events of a kind.
type figures map[string][]time.Duration

func (f figures) add(what string, d time.Duration) { f[what] = append(f[what], d) }

func (f figures) log(t *testing.T) {
	t.Helper()
	for _, what := range slices.Sorted(func(yield func(string) bool) {
		for k := range f {
			if !yield(k) {
				return
			}
		}
	}) {
		d := f[what]
		slices.Sort(d)
		t.Logf("%-40s %3d events: p50 %v, p90 %v, max %v", what, len(d), d[len(d)/2].Round(time.Millisecond), d[len(d)*9/10].Round(time.Millisecond),
			d[len(d)-1].Round(time.Millisecond))
	}
}

// TestFailover loses the gateway that a guest has mounted, in every way, while the guest writes and reads without a pause, and while it
// is quiet; each time another gateway takes the address, and gives it back. Nothing fails, and nothing that was written is missing.
func TestFailover(t *testing.T) {
	for _, f := range failures {
		t.Run(f.name, func(t *testing.T) {
			c := newCrew(t)
			measured := figures{}
			for range choose(1, 10) {
				c.busy(f, measured)
				c.quiet(f, measured)
			}
			c.verify()
			measured.log(t)
		})
	}
}

// busy loses the gateway and gets it back under load.
func (c *crew) busy(f failure, m figures) {
	c.t.Helper()
	for _, phase := range []struct {
		name string
		do   func(*crew)
	}{{"loss", f.lose}, {"return", f.back}} {
		before := len(c.allTaken())
		done := make(chan struct{})
		go func() { defer close(done); time.Sleep(200 * time.Millisecond); phase.do(c) }()
		longest, all := c.beatUntil(func() bool {
			select {
			case <-done:
			default:
				return false
			}
			taken := c.allTaken()
			return len(taken) > before && time.Since(taken[len(taken)-1]) > time.Second
		})
		taken := c.allTaken()
		event := taken[len(taken)-1]
		if _, last := c.beat(); !all[len(all)-1].After(event) { // a machine that stopped has had nothing done since
			all = append(all, last)
		}
		first := all[slices.IndexFunc(all, func(at time.Time) bool { return at.After(event) })]
		m.add(phase.name+", busy: from the takeover of the address", first.Sub(event))
		m.add(phase.name+", busy: from the takeover of address and volume", max(0, first.Sub(c.opened(event))))
		m.add(phase.name+", busy: longest wait of the client", longest)
		c.settled(f, phase.name)
	}
}

// quiet does the same to a client that does nothing meanwhile.
func (c *crew) quiet(f failure, m figures) {
	c.t.Helper()
	for _, phase := range []struct {
		name string
		do   func(*crew)
	}{{"loss", f.lose}, {"return", f.back}} {
		before := len(c.allTaken())
		c.beat()
		time.Sleep(time.Second)
		phase.do(c)
		var event time.Time
		if err := harness.Poll(patience, func() error {
			taken := c.allTaken()
			if len(taken) <= before {
				return fmt.Errorf("nobody takes the address")
			}
			event = taken[len(taken)-1]
			return nil
		}); err != nil {
			c.t.Fatal(err)
		}
		time.Sleep(time.Until(event.Add(50 * time.Millisecond)))
		asked, done := c.beat()
		m.add(phase.name+", quiet: the first request", done.Sub(asked))
		c.settled(f, phase.name)
	}
}

// settled waits until exactly one gateway has the address: the one that it belongs to, if that runs.
func (c *crew) settled(f failure, phase string) {
	c.t.Helper()
	if err := harness.Poll(patience, func() error {
		if got := c.holders(); len(got) != 1 || (got[0] == c.home().Name) != (phase == "return") {
			return fmt.Errorf("after the %s, the address is at %v", phase, got)
		}
		return nil
	}); err != nil {
		c.t.Fatal(err)
	}
}

// TestLocksThroughCluster: the standard mount of a cluster's volume has locks, and showmount finds the exports.
func TestLocksThroughCluster(t *testing.T) {
	c := newCrew(t)
	c.guest.Sh(c.mount, "echo hello >file; flock -n file cat file")
	for _, n := range c.nodes {
		if got := c.guest.Sh("/", "showmount -e "+n.Service.String()); !strings.Contains(got, "/"+volume) {
			t.Errorf("showmount -e at %v: %q", n.Service, got)
		}
	}
	if _, err := os.Stat(filepath.Join(c.dir, "file")); err != nil {
		t.Error(err)
	}
}
