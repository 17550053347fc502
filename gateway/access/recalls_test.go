package access_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
)

// crowd are holders that count what they are asked at once; one of them does not answer.
type crowd struct {
	mu          sync.Mutex
	now, most   int
	asked       map[string]int
	deaf        string
	everyone    int
	allAnswered chan struct{} // closed when everyone else was asked for all
}

func (c *crowd) Recall(ctx context.Context, holder string, _ *gateway.Recall) (gateway.Commit, error) {
	c.mu.Lock()
	c.now++
	c.most = max(c.most, c.now)
	c.asked[holder]++
	if holder != c.deaf && c.asked[holder] == c.everyone {
		close(c.allAnswered)
	}
	c.mu.Unlock()
	if holder == c.deaf {
		<-ctx.Done()
	} else {
		time.Sleep(time.Millisecond)
	}
	c.mu.Lock()
	c.now--
	c.mu.Unlock()
	return gateway.Commit{}, ctx.Err()
}

// TestRecallStorm: when everything is recalled at once, each gateway is asked a bounded part of it at a time, and all of it; one that does not answer
// holds up no other one's, and what it holds ends with its lease without being asked for one by one.
func TestRecallStorm(t *testing.T) {
	t.Parallel()
	const files = 1000
	others := &crowd{asked: map[string]int{}, deaf: "deaf", everyone: files, allAnswered: make(chan struct{})}
	v, store := &causeway.Volume{ID: 7, Name: "v", Exclusive: true, Async: true}, mem.New(mem.Config{Mode: 0o777})
	e := access.New(access.Config{Node: "here", Holders: others, Lease: 8 * time.Second, Quiet: time.Nanosecond})
	e.AttachAt(v, store, causeway.Epoch{Revision: 5})
	defer e.Wait()
	root, err := e.Root(t.Context(), &gateway.Caller{}, 7)
	want(t, err, causeway.OK)
	for i := range files {
		made, _, err := e.Create(t.Context(), &gateway.Caller{}, root.Handle, fmt.Sprint("f", i), &gateway.CreateSpec{Type: causeway.TypeRegular})
		want(t, err, causeway.OK)
		for _, holder := range []string{"deaf", "there"} {
			g, err := e.Grant(t.Context(), &gateway.GrantSpec{Handle: made.Handle, Holder: holder, Leases: causeway.LeaseAttr})
			want(t, err, causeway.OK)
			if g.Leases == 0 {
				t.Fatal("nothing is leased")
			}
		}
	}
	ended := make(chan struct{})
	go func() { defer close(ended); e.AttachAt(v, store, causeway.Epoch{Revision: 5}) }()
	select {
	case <-others.allAnswered:
	case <-ended:
		t.Error("who answers is held up by who does not")
	}
	<-ended
	e.Wait()
	others.mu.Lock()
	defer others.mu.Unlock()
	if others.most > 600 || others.asked["there"] != files || others.asked["deaf"] > files/2 {
		t.Error(others.most, "at once", others.asked)
	}
}
