package gatewaytest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/gateway"
)

// told is a front whose clients watch directories.
type told struct {
	mu   sync.Mutex
	list map[gateway.Notice]int
}

// Deliver implements gateway.Events.
func (x *told) Deliver(_ context.Context, e gateway.Event) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, n := range e.Notices {
		x.list[n]++
	}
	return nil
}

func (x *told) count(n gateway.Notice) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.list[n]
}

func (x *told) await(t *testing.T, n gateway.Notice) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); x.count(n) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			x.mu.Lock()
			defer x.mu.Unlock()
			t.Fatalf("not told of %+v, but of %+v", n, x.list)
		}
	}
}

func (x *told) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.list)
}

// watched makes somebody at the owner watch a directory.
func watched(t *testing.T, x *site, dir causeway.Handle, deep bool) *told {
	t.Helper()
	w := &told{list: map[gateway.Notice]int{}}
	owner := x.gateways[0].owner
	owner.Subscribe(causeway.OwnerSMB, w)
	id := gateway.WatchID{Owner: causeway.Owner{Kind: causeway.OwnerSMB, Client: "c"}, Open: causeway.OpenID{1}}
	filter := gateway.NoticeSize | gateway.NoticeLastWrite | gateway.NoticeAttributes
	if err := owner.Watch(t.Context(), &gateway.Caller{}, dir, id, filter, deep); err != nil {
		t.Fatal(err)
	}
	return w
}

// make makes something through a gateway.
func (m *machine) make(t *testing.T, dir causeway.Handle, name string, typ causeway.FileType) causeway.Handle {
	t.Helper()
	set := causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o777}
	e, _, err := m.access.Create(t.Context(), &gateway.Caller{}, dir, name, &gateway.CreateSpec{Type: typ, How: gateway.Guarded, Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return e.Handle
}

// mustWrite writes as soon as the grant may be had.
func (m *machine) mustWrite(t *testing.T, h causeway.Handle, data string) {
	t.Helper()
	for {
		err := m.write(h, data)
		if err == nil {
			return
		}
		if causeway.CodeOf(err) != causeway.ErrDelay {
			t.Fatal(err)
		}
	}
}

// toldOfWrites: who watches a directory is told of data that was written by handle at any gateway, not once for each write, and of
// changed attributes.
func toldOfWrites(t *testing.T, x *site, deep bool) {
	root, err := x.gateways[0].access.Root(t.Context(), &gateway.Caller{}, x.volume.ID)
	if err != nil {
		t.Fatal(err)
	}
	dir, path := root.Handle, "file"
	if deep {
		dir, path = x.gateways[0].make(t, x.gateways[0].make(t, dir, "a", causeway.TypeDirectory), "b", causeway.TypeDirectory), "a/b/file"
	}
	f := x.gateways[0].make(t, dir, "file", causeway.TypeRegular)
	other := x.gateways[0].make(t, root.Handle, "other", causeway.TypeDirectory)
	beside := x.gateways[0].make(t, other, "beside", causeway.TypeRegular)
	x.gateways[1].mustWrite(t, f, "before anybody watches")
	w := watched(t, x, root.Handle, deep)
	want := gateway.Notice{Action: gateway.Modified, Name: path}
	for _, m := range x.gateways {
		w.forget()
		const writes = 1000
		for i := range writes {
			m.mustWrite(t, f, fmt.Sprint("write ", i))
		}
		w.await(t, want)
		if n := w.count(want); n >= writes/2 {
			t.Errorf("%s: told %d times of %d writes", m.name, n, writes)
		}
	}
	for _, m := range x.gateways { // grants go to and fro
		m.mustWrite(t, beside, "x")
		m.mustWrite(t, f, "x")
	}
	w.forget()
	set := &causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o700}
	if _, err := x.gateways[1].access.SetAttr(t.Context(), &gateway.Caller{}, f, set, nil); err != nil {
		t.Fatal(err)
	}
	w.await(t, want)
	if n := w.count(gateway.Notice{Action: gateway.Modified, Name: "beside"}); n > 0 {
		t.Error("told of a file elsewhere")
	}
}

func TestToldOfWrites(t *testing.T) {
	for _, exclusive := range []bool{false, true} {
		t.Run(fmt.Sprintf("exclusive %v", exclusive), func(t *testing.T) {
			toldOfWrites(t, memSite(t, 3, exclusive, 300*time.Millisecond), false)
		})
	}
}
