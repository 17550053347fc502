package grants

import (
	"testing"
	"time"

	"causeway"
)

func span(off, n uint64) causeway.Span { return causeway.Span{Offset: off, Length: n} }

// TestFencedWriter: where the storage can refuse a gateway, a writer's lease ends nothing before it does, and no answer, renewal
// or commit of the writer counts from then on.
func TestFencedWriter(t *testing.T) {
	tb := New(Rules{Exclusive: true, Apart: true, Fence: true}, Limits{Lease: time.Second})
	g, _, _ := ask(t, tb, 0, "a", causeway.IOReadWrite, 0)
	_, ticket, code := ask(t, tb, 500*time.Millisecond, "b", causeway.IORead, 0)
	recall := only(t, tb, Recall)
	if code != causeway.ErrBlocked {
		t.Fatal(code)
	}
	tb.Tick(2 * time.Second)
	fence := only(t, tb, Fence)
	if fence.Holder != "a" || tb.Renew(2*time.Second, file, "a", causeway.IOReadWrite, 0, g.Seq) || tb.Holds(2*time.Second, file, "a", g.Seq) ||
		tb.Recalling(2*time.Second, file, "a", recall.Seq) || !tb.Written(file) || len(tb.WritersOf(file)) != 0 {
		t.Fatal("the writer goes on")
	}
	if _, _, code = ask(t, tb, 2*time.Second, "a", causeway.IORead, 0); code != causeway.ErrBlocked {
		t.Fatal("it gets another one before:", code)
	}
	if effects := tb.Effects(); len(effects) != 0 {
		t.Fatalf("%+v", effects)
	}
	tb.Fenced(2*time.Second, "a", fence.Seq)
	served := map[Ticket]bool{}
	for _, e := range tb.Effects() {
		served[e.Ticket] = e.Kind == Granted
	}
	if !served[ticket] || tb.Written(file) {
		t.Fatal("nobody was served", served)
	}
}

// TestApart: who is alone gets all; writers of different ranges leave each other what they hold; the hull is asked for.
func TestApart(t *testing.T) {
	tb := New(Rules{Exclusive: true, Apart: true}, Limits{})
	get := func(holder string, mode causeway.IOMode, s causeway.Span) (Given, causeway.Code) {
		g, _, code := tb.Ask(0, Ask{Handle: file, Holder: holder, Mode: mode, Span: s, NoWait: true})
		return g, code
	}
	if g, code := get("a", causeway.IOReadWrite, span(0, 10)); code != causeway.OK || g.Span != whole {
		t.Fatal(g, code)
	}
	tb.Return(0, file, "a", causeway.IOReadWrite, 0, 100)
	if g, code := get("a", causeway.IORead, span(0, 10)); code != causeway.OK || g.Span != whole {
		t.Fatal(g, code)
	}
	tb.Return(0, file, "a", causeway.IOReadWrite, 0, 100)
	tb.Assert(0, Ask{Handle: file, Holder: "a", Mode: causeway.IOReadWrite, Span: span(0, 10)}, 1)
	if g, code := get("b", causeway.IOReadWrite, span(10, 10)); code != causeway.OK || g.Span != span(10, 10) {
		t.Fatal(g, code)
	}
	if _, code := get("c", causeway.IORead, span(9, 1)); code != causeway.ErrWouldBlock {
		t.Fatal("a reader beside the writer of the same range:", code)
	}
	if _, code := get("a", causeway.IORead, span(30, 10)); code != causeway.ErrWouldBlock {
		t.Fatal("a span around what another one writes:", code)
	}
	if n := len(tb.WritersOf(file)); n != 2 {
		t.Fatal(n, "writers")
	}
}

// TestRecalledForMore: the answer to a recall that was followed by one for more ends nothing, but what it says was written counts. One
// that comes after the right has ended, or of an earlier right, does not.
func TestRecalledForMore(t *testing.T) {
	table := New(Rules{Exclusive: true, Apart: true, Fence: true}, Limits{Lease: time.Second})
	h := causeway.Handle{Volume: 1}
	ask := func(holder string, mode causeway.IOMode) Ask {
		return Ask{Handle: h, Holder: holder, Mode: mode, Span: causeway.Span{Length: causeway.ToEOF}}
	}
	recall := func() uint64 {
		for _, x := range table.Effects() {
			if x.Kind == Recall && x.Holder == "a" {
				return x.Seq
			}
		}
		t.Fatal("nothing is recalled")
		return 0
	}
	table.Ask(0, ask("a", causeway.IOReadWrite))
	table.Ask(0, ask("b", causeway.IORead))
	first := recall()
	if _, code := table.Change(0, h, 0, 0); code != causeway.ErrBlocked {
		t.Fatal(code)
	}
	second := recall()
	if !table.Recalling(0, h, "a", first) || !table.Recalling(0, h, "a", second) || table.Recalling(0, h, "a", second+1) {
		t.Error("what was written under a right that is held does not count")
	}
	table.Recalled(0, h, "a", first)
	if !table.Written(h) {
		t.Error("the answer to the first recall ended what the second is for")
	}
	table.Recalled(0, h, "a", second)
	if table.Recalling(0, h, "a", first) || table.Recalling(0, h, "a", second) {
		t.Error("an answer counts after the right has ended")
	}
	table = New(Rules{Exclusive: true}, Limits{Lease: time.Second})
	table.Ask(0, ask("a", causeway.IOReadWrite))
	table.Ask(0, ask("b", causeway.IOReadWrite))
	late := recall()
	table.Recalled(0, h, "a", late)
	table.Ask(0, ask("a", causeway.IOReadWrite))
	table.Effects()
	for _, x := range table.objects[h].held {
		table.Recalled(0, h, "b", x.recall.seq)
	}
	table.Ask(0, ask("b", causeway.IOReadWrite))
	if recall(); table.Recalling(0, h, "a", late) {
		t.Error("an answer of an earlier right counts")
	}
}

// TestFollow: a table that follows another in one epoch numbers its grants behind those of that one.
func TestFollow(t *testing.T) {
	first, second := New(Rules{}, Limits{}), New(Rules{}, Limits{})
	ask := Ask{Handle: causeway.Handle{Volume: 1}, Holder: "a", Mode: causeway.IORead}
	var last Given
	for range 3 {
		last, _, _ = first.Ask(0, ask)
	}
	second.Follow(first)
	if g, _, _ := second.Ask(0, ask); g.Seq <= last.Seq {
		t.Errorf("%d follows %d", g.Seq, last.Seq)
	}
}
