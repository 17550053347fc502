package demand_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"causeway/redirect/demand"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func book(t testing.TB, cfg demand.Config) *demand.Book {
	t.Helper()
	b, err := demand.New(cfg, noon)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key(i int) demand.Key {
	return demand.Key{Client: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), Volume: 1<<63 + 7, Protocol: "nfs"}
}

func TestBook(t *testing.T) {
	b := book(t, demand.Config{Max: 100, Idle: time.Minute})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 1000 {
				b.Add(key(i%100), 10)
			}
		})
	}
	all.Wait()
	b.Add(key(5000), 1) // one too many
	uses := b.Uses()
	if len(uses) != 100 {
		t.Fatalf("%d uses", len(uses))
	}
	for _, u := range uses {
		if u.Calls != 80 || u.Bytes != 800 || !u.Since.Equal(noon) {
			t.Fatalf("%+v", u)
		}
	}
	b.Tick(noon.Add(30 * time.Second))
	b.Add(key(3), 0)
	b.Tick(noon.Add(61 * time.Second))
	if uses := b.Uses(); len(uses) != 1 || uses[0].Key != key(3) || !uses[0].Last.Equal(noon.Add(30*time.Second)) {
		t.Errorf("%+v", uses)
	}
	b.Add(key(5000), 1)
	if len(b.Uses()) != 2 {
		t.Error("there is no room after some were forgotten")
	}
	if _, err := demand.New(demand.Config{Max: -1}, noon); err == nil {
		t.Error("a negative bound is taken")
	}
}

// TestAddDoesNotAllocate: it is called for every request.
func TestAddDoesNotAllocate(t *testing.T) {
	b := book(t, demand.Config{})
	b.Add(key(1), 1)
	if n := testing.AllocsPerRun(100, func() { b.Add(key(1), 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	book := book(b, demand.Config{})
	b.RunParallel(func(p *testing.PB) {
		for i := 0; p.Next(); i++ {
			book.Add(key(i%64), 4096)
		}
	})
}

func TestShares(t *testing.T) {
	var s demand.Shares
	nfs, aware := demand.Name{Client: "a", Volume: "v", Protocol: "nfs"}, demand.Name{Client: "b", Volume: "v", Protocol: "causeway"}
	counts := func(calls, bytes uint64) map[demand.Name]demand.Count {
		return map[demand.Name]demand.Count{nfs: {Calls: calls}, aware: {Bytes: bytes}}
	}
	s.Look(counts(0, 0), noon, 10*time.Second)
	if s.Of(nfs) != 0 {
		t.Error("of nothing")
	}
	for i := range 60 { // 300 calls and 100 × 64 KiB a second
		s.Look(counts(uint64(300*i), uint64(100*64<<10*i)), noon.Add(time.Duration(i)*time.Second), 10*time.Second)
	}
	if got := fmt.Sprintf("%.2f %.2f", s.Of(nfs), s.Of(aware)); got != "0.75 0.25" {
		t.Error(got)
	}
	for i := range 30 { // the first one stops
		s.Look(counts(300*59, uint64(100*64<<10*(60+i))), noon.Add(time.Duration(60+i)*time.Second), 10*time.Second)
	}
	if all := s.All(); all[nfs] > 0.01 || all[aware] < 0.99 {
		t.Error(all)
	}
	s.Look(map[demand.Name]demand.Count{aware: {Bytes: 1 << 16}}, noon.Add(91*time.Second), 10*time.Second) // it began anew, the other has gone
	if s.Of(nfs) != 0 || s.Of(aware) != 1 {
		t.Error(s.All())
	}
}
