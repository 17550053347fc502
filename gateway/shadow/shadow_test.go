package shadow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"causeway"
)

const vol = causeway.VolumeID(5)

func epoch(n uint64) causeway.Epoch { return causeway.Epoch{Incarnation: 1, Revision: n} }

// cluster is some gateways that keep copies, of which some do not answer.
type cluster struct {
	mu      sync.Mutex
	keepers map[string]*Keeper
	down    map[string]bool
	lose    func() (request, answer bool)
	gate    chan struct{} // if not nil, batches wait for it
	batches int
	whole   int
}

var errDown = errors.New("down")

func newCluster(names ...string) *cluster {
	c := &cluster{keepers: map[string]*Keeper{}, down: map[string]bool{}}
	for _, n := range names {
		c.keepers[n] = &Keeper{}
	}
	return c
}

func (c *cluster) Keep(_ context.Context, node string, b *Batch) error {
	if c.gate != nil {
		<-c.gate
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batches++
	if b.Whole {
		c.whole++
	}
	if c.down[node] {
		return errDown
	}
	var request, answer bool
	if c.lose != nil {
		request, answer = c.lose()
	}
	if request {
		return errDown
	}
	if err := c.keepers[node].Keep(b); err != nil || !answer {
		return err
	}
	return errDown
}

func (c *cluster) Collect(_ context.Context, node string, v causeway.VolumeID, e causeway.Epoch) (Copy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down[node] {
		return Copy{}, errDown
	}
	return c.keepers[node].Copy(v, e), nil
}

func (c *cluster) set(node string, down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down[node] = down
}

// owner is a gateway with some state, and its copies.
type owner struct {
	*Sender
	mu    sync.Mutex
	state map[string]string
}

func newOwner(t *testing.T, c *cluster, e causeway.Epoch, names ...string) *owner {
	t.Helper()
	o := &owner{state: map[string]string{}}
	var err error
	o.Sender, err = New(Config{Network: c, Choose: func(causeway.VolumeID) []string { return names }, All: o.all})
	if err != nil {
		t.Fatal(err)
	}
	o.Begin(vol, e)
	return o
}

func (o *owner) all(context.Context, causeway.VolumeID) ([]Record, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []Record
	for k, v := range o.state {
		list = append(list, Record{KindHeld, k, []byte(v)})
	}
	return list, nil
}

// set changes the state and returns when it may be answered.
func (o *owner) set(k, v string) error {
	o.mu.Lock()
	if v == "" {
		delete(o.state, k)
	} else {
		o.state[k] = v
	}
	o.Add(vol, Record{KindHeld, k, []byte(v)})
	o.mu.Unlock()
	return o.Wait(context.Background(), vol)
}

func contents(c Copy) map[string]string {
	m := map[string]string{}
	for _, r := range c.Records {
		m[r.Name] = string(r.Data)
	}
	return m
}

func alive(string) bool { return true }

func collect(t *testing.T, c *cluster, e causeway.Epoch, nodes ...string) map[string]string {
	t.Helper()
	got, err := Collect(context.Background(), c, nodes, func(n string) bool { return !c.down[n] }, vol, e)
	if err != nil {
		t.Fatal(err)
	}
	return contents(got)
}

// TestNothingAnsweredIsLost changes state at random while gateways that keep the copy come and go, never all at once, and messages
// are lost. Whatever was answered is in the newest copy.
func TestNothingAnsweredIsLost(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			names := []string{"b", "c", "d"}
			c := newCluster(names...)
			lost := false
			c.lose = func() (bool, bool) { // never twice in a row
				lost = !lost && r.IntN(10) == 0
				request := r.IntN(2) == 0
				return lost && request, lost && !request
			}
			o := newOwner(t, c, epoch(1), names...)
			for i := range 200 {
				time.Sleep(300 * time.Millisecond)
				if r.IntN(20) == 0 {
					victim := names[r.IntN(3)]
					for _, n := range names {
						c.set(n, n == victim)
					}
					time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
				}
				v := fmt.Sprint(i)
				if r.IntN(3) == 0 {
					v = ""
				}
				if err := o.set(fmt.Sprint(r.IntN(20)), v); err != nil {
					t.Fatal(err)
				}
			}
			c.lose = nil
			for _, n := range names {
				c.set(n, false)
			}
			if got := collect(t, c, epoch(2), names...); !maps.Equal(got, o.state) {
				t.Fatalf("seed %d: kept %v, want %v", seed, got, o.state)
			}
			if err := o.set("late", "x"); causeway.CodeOf(err) != causeway.ErrStaleEpoch {
				t.Fatalf("an owner that was replaced: %v", err)
			}
		})
	}
}

// TestOldCopiesDoNotCount: a gateway that kept the copy before knows locks that were given back since.
func TestOldCopiesDoNotCount(t *testing.T) {
	c := newCluster("b", "c")
	o := newOwner(t, c, epoch(1), "b", "c")
	if err := o.set("lock", "held"); err != nil {
		t.Fatal(err)
	}
	c.set("b", true)
	if err := o.set("lock", ""); err != nil {
		t.Fatal(err)
	}
	c.set("b", false)
	if got := collect(t, c, epoch(2), "b", "c"); len(got) != 0 {
		t.Fatal(got)
	}
}

func TestOneBatchForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster("b")
		o := newOwner(t, c, epoch(1), "b")
		c.gate = make(chan struct{})
		var waiting sync.WaitGroup
		for i := range 100 {
			waiting.Go(func() {
				if err := o.set(fmt.Sprint(i), "x"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(c.gate)
		waiting.Wait()
		if c.batches != 2 || c.whole != 1 {
			t.Errorf("%d batches, of which %d whole, for 100 changes at once", c.batches, c.whole)
		}
		if got := collect(t, c, epoch(1), "b"); len(got) != 100 {
			t.Error(len(got))
		}
	})
}

// TestAlone: an owner whose copies nobody takes goes on without, but not before it would know that it is cut off itself: what it answered
// then, the next owner would not know.
func TestAlone(t *testing.T) { synctest.Test(t, testAlone) }

func testAlone(t *testing.T) {
	c := newCluster("b", "c")
	o := newOwner(t, c, epoch(1), "b", "c")
	if err := o.set("lock", "held"); err != nil {
		t.Fatal(err)
	}
	c.lose = func() (bool, bool) { time.Sleep(300 * time.Millisecond); return true, true }
	begun := time.Now()
	if err := o.set("lock", ""); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < 2500*time.Millisecond || took > 4*time.Second {
		t.Fatal("an answer that nobody else knows of was given after", took)
	}
	begun = time.Now()
	if err := o.set("lock", "held"); err != nil || time.Since(begun) > time.Second {
		t.Fatal("who is alone waits again:", time.Since(begun), err)
	}
	c.lose = nil
	if o.Refresh(t.Context()); len(collect(t, c, epoch(1), "b", "c")) != 1 {
		t.Fatal("the copy does not begin anew")
	}
	o.End(vol)
	if o = newOwner(t, c, epoch(1)); o.set("k", "v") != nil { // nobody lives: there is nothing to wait for
		t.Fatal("who is alone waits")
	}
	c.set("b", true)
	o = newOwner(t, c, epoch(1), "b")
	if err := o.set("k", "v"); err != nil { // after some attempts
		t.Fatal(err)
	}
	c.set("b", false)
	o.volumes[vol].shunned = map[string]time.Time{}
	if err := o.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, c, epoch(1), "b"); got["k"] != "v" {
		t.Fatal(got)
	}
	o.End(vol)
	o.Add(vol, Record{KindHeld, "x", []byte("x")})
	if err := o.Wait(context.Background(), vol); err != nil {
		t.Fatal(err)
	}
}

// TestAloneAmongMany: who is cut off from many gateways, each of which takes its time to fail, goes on alone too.
func TestAloneAmongMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{"b", "c", "d", "e", "f", "g", "h"}
		c := newCluster(names...)
		o := newOwner(t, c, epoch(1), names...)
		var healed atomic.Bool
		c.lose = func() (bool, bool) {
			if !healed.Load() {
				time.Sleep(300 * time.Millisecond)
			}
			return !healed.Load(), !healed.Load()
		}
		done, begun := make(chan error, 1), time.Now()
		go func() { done <- o.set("lock", "held") }()
		select {
		case err := <-done:
			if took := time.Since(begun); err != nil || took < 2500*time.Millisecond || took > 6*time.Second {
				t.Errorf("%v after %v", err, took)
			}
		case <-time.After(time.Minute):
			t.Error("it waits for ever")
			healed.Store(true)
			<-done
		}
	})
}

// TestCollectInsists on who lives, and not on who died.
func TestCollectInsists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster("b", "c")
		o := newOwner(t, c, epoch(1), "b")
		if err := o.set("k", "v"); err != nil {
			t.Fatal(err)
		}
		c.set("b", true)
		c.set("c", true)
		go func() { time.Sleep(2 * time.Second); c.set("b", false) }()
		got, err := Collect(context.Background(), c, []string{"b", "c"}, func(n string) bool { return n == "b" }, vol, epoch(2))
		if err != nil || contents(got)["k"] != "v" {
			t.Fatal(got, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := Collect(ctx, c, []string{"c"}, alive, vol, epoch(3)); err == nil {
			t.Fatal("a gateway that lives was left out")
		}
	})
}

func TestKeeperRefuses(t *testing.T) {
	var k Keeper
	batch := func(e, term, seq uint64, whole bool, recs ...Record) *Batch {
		return &Batch{Volume: vol, Version: Version{epoch(e), term}, Seq: seq, Whole: whole, Records: recs}
	}
	for i, c := range []struct {
		b    *Batch
		want error
	}{
		{batch(1, 1, 2, false), causeway.ErrNotSync},
		{batch(1, 1, 1, true), nil},
		{batch(1, 1, 2, false, Record{KindHeld, "a", []byte("1")}), nil},
		{batch(1, 1, 2, false, Record{KindHeld, "a", []byte("2")}), nil}, // again: not applied
		{batch(1, 1, 4, false), causeway.ErrNotSync},
		{batch(1, 2, 1, true, Record{KindHeld, "b", []byte("1")}), nil},
		{batch(1, 1, 3, false), causeway.ErrStaleEpoch},
		{batch(1, 2, 2, false, Record{KindHeld, "c", make([]byte, maxRecord)}), causeway.ErrNoLocks},
		{batch(1, 2, 2, false), causeway.ErrStaleEpoch}, // half a copy is none: see below
	} {
		if i == 8 {
			c.want = causeway.ErrNotSync
		}
		if err := k.Keep(c.b); !errors.Is(err, c.want) {
			t.Errorf("%d: %v, want %v", i, err, c.want)
		}
	}
	if got := k.Copy(vol, epoch(1)); len(got.Records) != 0 {
		t.Error(got)
	}
}

// TestWhatAnOwnerLeaves counts after the next one has asked, and does not take the place of what is newer.
func TestWhatAnOwnerLeaves(t *testing.T) {
	var k Keeper
	left := func(e uint64, data string) *Batch {
		return &Batch{Volume: vol, Version: Version{epoch(e), 9}, Whole: true, Seq: 1, Records: []Record{{KindHeld, "lock", []byte(data)}}}
	}
	if got := k.Copy(vol, epoch(2)); len(got.Records) != 0 {
		t.Fatal(got)
	}
	if err := k.Leave(left(1, "x")); err != nil {
		t.Fatal(err)
	}
	if got := contents(k.Copy(vol, epoch(2))); got["lock"] != "x" {
		t.Error("the next owner asked again, and got", got)
	}
	if err := k.Keep(left(3, "y")); err != nil {
		t.Fatal(err)
	}
	if err := k.Leave(left(1, "z")); causeway.CodeOf(err) != causeway.ErrStaleEpoch {
		t.Error("a newer copy is kept:", err)
	}
	if got := contents(k.Copy(vol, epoch(4))); got["lock"] != "y" {
		t.Error(got)
	}
}

func TestAnswersAreForgotten(t *testing.T) {
	now := time.Unix(1e9, 0)
	k := Keeper{Now: func() time.Time { return now }}
	var seq uint64
	keep := func(recs ...Record) {
		t.Helper()
		seq++
		if err := k.Keep(&Batch{Volume: vol, Version: Version{epoch(1), 1}, Seq: seq, Whole: seq == 1, Records: recs}); err != nil {
			t.Fatal(err)
		}
	}
	keep(Record{KindHeld, "lock", []byte("x")})
	for i := range maxReplies + 10 {
		keep(Record{KindReply, fmt.Sprint(i), []byte("x")})
	}
	if _, records, _ := k.Stats(); records != maxReplies+1 {
		t.Error(records)
	}
	now = now.Add(time.Hour)
	keep(Record{KindReply, "new", []byte("x")})
	var names []string
	for _, r := range k.Copy(vol, epoch(1)).Records {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	if strings.Join(names, " ") != "lock new" {
		t.Error(len(names))
	}
	if _, _, bytes := k.Stats(); bytes != len("lockxnewx") {
		t.Error(bytes)
	}
	k.Retain(func(id causeway.VolumeID) bool { return id != vol })
	if v, _, _ := k.Stats(); v != 0 {
		t.Error(v)
	}
}
