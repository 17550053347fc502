package notify

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"causeway"
)

func dir(n byte) causeway.Handle {
	return causeway.Handle{Volume: 1, Object: causeway.ObjectID{n}}
}

func watch(client string, n byte, d causeway.Handle, filter uint32, deep bool) Watch {
	return Watch{ID: ID{causeway.Owner{Kind: causeway.OwnerSMB, Client: client}, causeway.OpenID{n}}, Dir: d, Filter: filter, Deep: deep}
}

// chain: directory n is in n-1, named by its number; 0 is the root.
func chain(d causeway.Handle) (causeway.Handle, string, bool) {
	n := d.Object[0]
	return dir(n - 1), fmt.Sprint(n), n > 0
}

func names(list []Notice) (out []string) {
	for _, n := range list {
		out = append(out, fmt.Sprintf("%s%d:%s", n.Watch.ID.Owner.Client, n.Watch.ID.Open[0], n.Name))
	}
	slices.Sort(out)
	return out
}

func TestMatch(t *testing.T) {
	n := New(Limits{Depth: 3})
	if n.Any() {
		t.Error("watched by nobody")
	}
	for _, w := range []Watch{
		watch("a", 1, dir(5), 1, false), watch("a", 2, dir(5), 2, false), watch("b", 1, dir(4), 3, false),
		watch("b", 2, dir(4), 3, true), watch("c", 1, dir(2), 1, true), watch("c", 2, dir(1), 1, true),
	} {
		if code := n.Add(w); code != causeway.OK {
			t.Fatal(code)
		}
	}
	got := names(n.Match(dir(5), Change{1, "f", 1}, chain))
	if want := []string{"a1:f", "b2:5/f", "c1:3/4/5/f"}; !slices.Equal(got, want) { // dir 1 is too far up
		t.Error(got)
	}
	// Again with the same id: another filter.
	n.Add(watch("a", 1, dir(5), 2, false))
	if got := names(n.Match(dir(5), Change{1, "f", 1}, chain)); slices.Contains(got, "a1:f") {
		t.Error(got)
	}
	n.RemoveWhere(func(w *Watch) bool { return w.ID.Owner.Client != "a" })
	asked := false
	got = names(n.Match(dir(5), Change{1, "f", 2}, func(d causeway.Handle) (causeway.Handle, string, bool) { asked = true; return chain(d) }))
	if want := []string{"a1:f", "a2:f"}; !slices.Equal(got, want) || asked {
		t.Error(got, asked)
	}
	for i := byte(1); i <= 2; i++ {
		if code := n.Remove(watch("a", i, dir(5), 0, false).ID); code != causeway.OK {
			t.Error(code)
		}
	}
	if n.Any() || len(n.byDir)+len(n.byID)+len(n.clients) != 0 || n.deep.Load() != 0 {
		t.Error("something is left")
	}
}

func TestLimits(t *testing.T) {
	n := New(Limits{Watches: 3, WatchesPerClient: 2})
	for i, want := range []causeway.Code{causeway.OK, causeway.OK, causeway.ErrNoLocks} {
		if code := n.Add(watch("a", byte(i), dir(1), 1, false)); code != want {
			t.Error(i, code)
		}
	}
	for i, want := range []causeway.Code{causeway.OK, causeway.ErrNoLocks} {
		if code := n.Add(watch("b", byte(i), dir(1), 1, false)); code != want {
			t.Error(i, code)
		}
	}
}

// TestChurn adds and removes watches while others look for them.
func TestChurn(t *testing.T) {
	n := New(Limits{})
	n.Add(watch("stays", 0, dir(1), 1, false))
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 500 {
				w := watch(fmt.Sprint(i), 1, dir(1), 1, i%2 == 0)
				n.Add(w)
				if got := names(n.Match(dir(1), Change{1, "f", 1}, chain)); !slices.Contains(got, "stays0:f") || !slices.Contains(got, fmt.Sprintf("%d1:f", i)) {
					t.Error(got)
				}
				n.Remove(w.ID)
			}
		})
	}
	all.Wait()
}
