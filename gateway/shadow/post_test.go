package shadow

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// poster is a cluster whose batches are answered when a test says so.
type poster struct {
	*cluster
	posted []func(fail error)
	refuse bool // it would have to wait
}

func (p *poster) Post(node string, b *Batch, _ time.Duration, done func(error)) bool {
	if p.refuse {
		return false
	}
	p.posted = append(p.posted, func(fail error) {
		if fail == nil {
			fail = p.Keep(context.Background(), node, b)
		}
		done(fail)
	})
	return true
}

func newPoster(t *testing.T) (*poster, *owner) {
	p := &poster{cluster: newCluster("b")}
	o := newOwner(t, p.cluster, epoch(1), "b")
	o.cfg.Network = p
	if err := o.set("first", "1"); err != nil { // who sends a copy for the first time waits for it
		t.Fatal(err)
	}
	return p, o
}

func (o *owner) post(k string) (mark uint64) {
	o.mu.Lock()
	o.state[k] = "1"
	o.Add(vol, Record{KindHeld, k, []byte("1")})
	o.mu.Unlock()
	return o.Post(vol)
}

// TestPost: what was added while a batch is under way follows it without anybody who waits, and who waits does not wait for what came later.
func TestPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, o := newPoster(t)
		mark := o.post("a")
		late := o.post("b")
		o.post("c")
		if len(p.posted) != 1 {
			t.Fatalf("%d batches are under way", len(p.posted))
		}
		ended := make(chan error, 2)
		go func() { ended <- o.Until(t.Context(), vol, mark) }()
		synctest.Wait()
		if len(ended) != 0 {
			t.Error("nobody has the copy yet")
		}
		p.posted[0](nil)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(p.posted) != 2 {
			t.Fatalf("%d batches", len(p.posted))
		}
		go func() { ended <- o.Until(t.Context(), vol, late) }()
		synctest.Wait()
		if len(ended) != 0 {
			t.Error("a batch that is under way counts as kept")
		}
		p.posted[1](nil)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := len(p.keepers["b"].Copy(vol, epoch(1)).Records); n != 4 || p.whole != 1 {
			t.Errorf("%d records are kept, %d copies were whole", n, p.whole)
		}
	})
}

// TestPostFails: a batch that was lost is made good by who waits for it, and so is one that could not be posted.
func TestPostFails(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		t.Run(fmt.Sprint(refuse), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, o := newPoster(t)
				p.refuse = refuse
				mark := o.post("a")
				if !refuse {
					o.post("b")
					p.posted[0](errDown)
				}
				if err := o.Until(t.Context(), vol, mark); err != nil {
					t.Error(err)
				}
				found := false
				for _, r := range p.keepers["b"].Copy(vol, epoch(1)).Records {
					found = found || r.Name == "a"
				}
				if !found {
					t.Error("success was told of what only one gateway knows")
				}
			})
		})
	}
}

// TestMarkOfEarlierOwnership: who waits while the volume goes and comes back does not wait for ever.
func TestMarkOfEarlierOwnership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, o := newPoster(t)
		mark := o.post("a")
		p.posted[0](nil)
		o.End(vol)
		o.Begin(vol, epoch(2))
		if err := o.Until(t.Context(), vol, mark); err != nil {
			t.Error(err)
		}
	})
}
