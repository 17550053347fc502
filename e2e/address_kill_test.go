//go:build linux

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"causeway/cmd/causeway/member"
	"causeway/e2e/harness"
)

// TestAddressMoveKilled kills (SIGKILL) the gateway that gives an address away, or the one that takes it, when the move was ordered, when the address was
// released and when it was taken, while a guest that has mounted it writes and holds a lock. Each time exactly one gateway has the address soon, again when
// the killed one is back, and the guest misses nothing.
func TestAddressMoveKilled(t *testing.T) {
	c := newCrew(t)
	c.guest.Sh(c.mount, "echo hello >locked; setsid flock locked sleep 1000 </dev/null >/dev/null 2>&1 & sleep 1; ! flock -n locked true")
	measured := figures{}
	for range choose(1, 10) {
		for _, step := range []string{"ordered", "released", "taken"} {
			for i, role := range []string{"giver", "taker"} {
				measured.add(fmt.Sprintf("the %s is killed when it is %s", role, step), c.killedAmid(step, c.nodes[i]))
			}
		}
	}
	if got := c.guest.Sh(c.mount, "flock -n locked true && echo free || echo held"); strings.TrimSpace(got) != "held" {
		t.Errorf("the lock of a program that runs is %q", got)
	}
	c.verify()
	measured.log(t)
}

// killedAmid has the second gateway take the address from the first one, kills one of them at a step of that, starts it again, and moves the address
// back. It returns the longest time that a record took.
func (c *crew) killedAmid(step string, victim *harness.Member) (longest time.Duration) {
	c.t.Helper()
	giver, taker, other := c.nodes[0], c.nodes[1], c.nodes[2]
	reached := map[string]func() int{
		"ordered":  func() int { return 1 },
		"released": func() int { return len(giver.Said(`"service address dropped"`, "addr="+giver.Service.String()+" ")) },
		"taken":    func() int { return len(c.taken(taker)) },
	}[step]
	before := reached()
	if step == "ordered" {
		before = 0
	}
	over := make(chan error, 1)
	go func() {
		ordered := make(chan error, 1)
		go func() {
			ordered <- other.Order("/cluster/address/move", member.MoveOrder{Address: giver.Service, To: taker.Name}, &member.AddressMove{})
		}()
		err := harness.Poll(patience, func() error {
			if reached() <= before {
				return fmt.Errorf("the address is not %s", step)
			}
			return nil
		})
		victim.Kill()
		<-ordered // it fails or not, depending on what was done when
		over <- err
	}()
	var failed error
	ended := func() bool {
		if over != nil {
			select {
			case failed = <-over:
				over = nil
			default:
				return false
			}
		}
		return true
	}
	longest = c.steady(func(at string) bool { return ended() && at != victim.Name })
	if failed != nil {
		c.t.Fatal(failed)
	}
	victim.Start()
	longest = max(longest, c.steady(func(at string) bool { return at == giver.Name || at == taker.Name }))
	other.Command("address", "move", giver.Service.String(), "--to", giver.Name)
	longest = max(longest, c.steady(func(at string) bool { return at == giver.Name }))
	c.cluster.AwaitRest(1)
	return longest
}

// steadyFor is how long one gateway alone has the address before that counts as settled: longer than the kernel of a gateway that was killed keeps it.
const steadyFor = 1500 * time.Millisecond

// steady has the guest work until one gateway alone has the address, for some time, and it is the right one. It returns the longest time that a record took.
func (c *crew) steady(right func(at string) bool) (longest time.Duration) {
	c.t.Helper()
	var since time.Time
	var last []string
	longest, _ = c.beatUntil(func() bool {
		at := c.holders()
		if len(at) != 1 || !slices.Equal(at, last) || !right(at[0]) {
			last, since = at, time.Now()
			return false
		}
		return time.Since(since) > steadyFor
	})
	return longest
}
