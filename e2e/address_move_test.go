//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"causeway/e2e/harness"
)

// TestAddressMove gives the address that a guest has mounted to another gateway and back, while the guest writes, reads and holds a lock.
// Nothing fails, nothing that was written is missing, the lock stays, and the guest waits no longer than for a lost packet.
func TestAddressMove(t *testing.T) {
	c := newCrew(t)
	c.guest.Sh(c.mount, "echo hello >locked; setsid flock locked sleep 1000 </dev/null >/dev/null 2>&1 & sleep 1; ! flock -n locked true")
	measured := figures{}
	for range choose(3, 20) {
		for _, to := range []int{1, 2, 0} {
			measured.add("deliberate move: longest wait of the client", c.moved(to))
		}
	}
	if got := c.guest.Sh(c.mount, "flock -n locked true && echo free || echo held"); strings.TrimSpace(got) != "held" {
		t.Errorf("the lock of a program that runs is %q", got)
	}
	c.verify()
	measured.log(t)
	for _, longest := range measured["deliberate move: longest wait of the client"] {
		if longest >= retransmission {
			t.Errorf("a client waited for %v: that is more than one retransmission of NFS over TCP", longest)
		}
	}
}

// retransmission is when a client that is told nothing asks again: timeo=600 of mount.nfs over TCP, in tenths of a second.
const retransmission = 60 * time.Second

// moved has a gateway take the address under load, and returns the longest time that a record took meanwhile.
func (c *crew) moved(to int) time.Duration {
	c.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(100 * time.Millisecond)
		c.nodes[(to+1)%len(c.nodes)].Command("address", "move", c.home().Service.String(), "--to", c.nodes[to].Name)
	}()
	after := time.Time{}
	longest, _ := c.beatUntil(func() bool {
		select {
		case <-done:
			if after.IsZero() {
				after = time.Now()
			}
			return time.Since(after) > 300*time.Millisecond
		default:
			return false
		}
	})
	if err := harness.Poll(patience, func() error {
		if got := c.holders(); len(got) != 1 || got[0] != c.nodes[to].Name {
			return fmt.Errorf("the address is at %v, not at %s", got, c.nodes[to].Name)
		}
		return nil
	}); err != nil {
		c.t.Fatal(err)
	}
	return longest
}
