//go:build linux

package cluster

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"causeway/e2e/harness"
)

const buried = "its membership is ended"

// TestUndertaker has the second process watch the first one: what it must not do, and what it must.
func TestUndertaker(t *testing.T) {
	t.Parallel()
	c := harness.NewCluster(t, harness.NewNetwork(t), 2, harness.ClusterConfig{}) // the database is at the first
	m := c.Members[1]
	runs := func() bool { s := c.View(); return s != nil && s.Nodes[1].Running }
	c.Await("it has an undertaker", func() bool { return len(m.Undertakers()) == 1 })
	t.Logf("the undertaker has %s", memory(t, m.Undertakers()[0]))

	m.Signal(syscall.SIGSTOP)
	time.Sleep(time.Second) // shorter than the lease
	m.Signal(syscall.SIGCONT)
	c.Await("it is a member still, or again on a busy machine", runs)
	if strings.Contains(m.Log(), buried) {
		t.Error("a process that was stopped was taken for dead")
	}

	first := m.Undertakers()[0]
	syscall.Kill(first, syscall.SIGTERM) // as a service manager does to all
	syscall.Kill(first, syscall.SIGHUP)
	time.Sleep(50 * time.Millisecond)
	if pids := m.Undertakers(); len(pids) != 1 || pids[0] != first {
		t.Error("it does not outlive a signal to end")
	}
	syscall.Kill(first, syscall.SIGKILL)
	c.Await("there is another one", func() bool { pids := m.Undertakers(); return len(pids) == 1 && pids[0] != first })
	time.Sleep(50 * time.Millisecond)

	second, begun := m.Undertakers()[0], time.Now()
	m.Kill()
	c.Await("the others know", func() bool { return !runs() })
	t.Logf("the others knew of the death after %v", time.Since(begun).Round(time.Millisecond))
	c.Await("it says so", func() bool { return strings.Contains(m.Log(), buried) })
	c.Await("it ends", func() bool { _, err := os.Stat(fmt.Sprint("/proc/", second, "/cmdline")); return err != nil })
	if on := m.Host.MustRun("ip", "-o", "addr"); strings.Contains(on, m.Service.String()+"/") {
		t.Errorf("the service address was left to expire:\n%s", on)
	}

	m.Start()
	c.Await("it is a member again", runs)
	c.Await("it has an undertaker again", func() bool { return len(m.Undertakers()) == 1 })
	third := m.Undertakers()[0]
	m.Stop()
	if err := harness.Poll(time.Second, func() error { // the others hear of it; its lease would last for longer
		if runs() {
			return errors.New("it stopped, and is a member")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(fmt.Sprint("/proc/", third)); err == nil {
		t.Error("the undertaker outlives an orderly stop")
	}
	if strings.Count(m.Log(), buried) != 1 {
		t.Errorf("an orderly stop was taken for a death:\n%s", m.Log())
	}
}

// TestNoUndertaker switches it off: the lease decides.
func TestNoUndertaker(t *testing.T) {
	t.Parallel()
	c := harness.NewCluster(t, harness.NewNetwork(t), 2, harness.ClusterConfig{Flags: []string{"--undertaker=false"}})
	m := c.Members[1]
	if pids := m.Undertakers(); len(pids) != 0 {
		t.Fatalf("%d children", len(pids))
	}
	begun := time.Now()
	m.Kill()
	c.Await("the others know", func() bool { s := c.View(); return s != nil && !s.Nodes[1].Running })
	t.Logf("the others knew of the death after %v", time.Since(begun).Round(time.Millisecond))
}

// memory says how much of a process is its own.
func memory(t *testing.T, pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(regexp.MustCompile(`(?:Rss|Pss|Private_Dirty): +\d+ kB`).FindAllString(string(text), -1), ", ")
}
