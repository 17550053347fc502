package grants

import (
	"slices"
	"testing"
	"time"

	"causeway"
)

var (
	file  = causeway.Handle{Volume: 1, Object: causeway.ObjectID{7}}
	whole = causeway.Span{Length: causeway.ToEOF}
)

func ask(t *testing.T, tb *Table, now time.Duration, holder string, mode causeway.IOMode, leases causeway.Leases) (Given, Ticket, causeway.Code) {
	t.Helper()
	return tb.Ask(now, Ask{Handle: file, Holder: holder, Mode: mode, Span: whole, Leases: leases})
}

func only(t *testing.T, tb *Table, want EffectKind) Effect {
	t.Helper()
	e := slices.DeleteFunc(tb.Effects(), func(e Effect) bool { return e.Kind == Ended })
	if len(e) != 1 || e[0].Kind != want {
		t.Fatalf("effects are %+v", e)
	}
	return e[0]
}

// TestWriterIsAlone: on an exclusive volume a reader gets to write as long as nobody else is there, and loses it to another.
func TestWriterIsAlone(t *testing.T) {
	tb := New(Rules{Exclusive: true}, Limits{})
	if g, _, code := ask(t, tb, 0, "a", causeway.IORead, 0); code != causeway.OK || g.Mode != causeway.IOReadWrite {
		t.Fatal(g, code)
	}
	if g, _, code := ask(t, tb, 0, "b", 0, causeway.LeaseAttr); code != causeway.OK || g.Leases != 0 {
		t.Fatal("attributes were leased beside a writer", g, code)
	}
	_, ticket, code := ask(t, tb, 0, "b", causeway.IORead, 0)
	if code != causeway.ErrBlocked {
		t.Fatal(code)
	}
	e := only(t, tb, Recall)
	if e.Holder != "a" || e.Mode != causeway.IORead {
		t.Fatalf("%+v", e)
	}
	tb.Recalled(0, file, "a", e.Seq)
	if e = only(t, tb, Granted); e.Ticket != ticket || e.Given.Mode != causeway.IORead {
		t.Fatalf("%+v", e)
	}
	if g, _, _ := ask(t, tb, 0, "c", 0, causeway.LeaseAttr); g.Leases != causeway.LeaseAttr {
		t.Fatal("readers keep nobody from leasing attributes", g)
	}
}

// TestSilentHolder: a holder that does not answer is waited for until its lease ends, though it goes on to renew, and no longer.
func TestSilentHolder(t *testing.T) {
	tb := New(Rules{}, Limits{Lease: time.Second})
	g, _, _ := ask(t, tb, 0, "a", causeway.IOReadWrite, 0)
	if !tb.Renew(600*time.Millisecond, file, "a", causeway.IOReadWrite, 0, g.Seq) {
		t.Fatal("not renewed")
	}
	ticket, code := tb.Change(900*time.Millisecond, file, causeway.IORead, 0)
	if code != causeway.ErrBlocked {
		t.Fatal(code)
	}
	only(t, tb, Recall)
	if tb.Renew(time.Second, file, "a", causeway.IOReadWrite, 0, g.Seq) {
		t.Fatal("renewed while it is recalled")
	}
	if at, ok := tb.Next(); !ok || at != 1600*time.Millisecond {
		t.Fatal(at, ok)
	}
	tb.Tick(1599 * time.Millisecond)
	if e := tb.Effects(); e != nil {
		t.Fatal("too early", e)
	}
	tb.Tick(1600 * time.Millisecond)
	if e := only(t, tb, Ready); e.Ticket != ticket {
		t.Fatalf("%+v", e)
	}
}

// TestQuiet: what has just changed is not leased, so that a directory in which many create is not recalled for each of them.
func TestQuiet(t *testing.T) {
	tb := New(Rules{Exclusive: true}, Limits{})
	ticket, code := tb.Change(0, file, 0, causeway.LeaseNames)
	if code != causeway.OK {
		t.Fatal(code)
	}
	tb.Changed(0, ticket)
	if g, _, _ := ask(t, tb, 99*time.Millisecond, "a", 0, causeway.LeaseNames); g.Leases != 0 {
		t.Fatal(g)
	}
	if g, _, _ := ask(t, tb, 101*time.Millisecond, "a", 0, causeway.LeaseNames); g.Leases != causeway.LeaseNames {
		t.Fatal(g)
	}
}

// TestBound: beyond the limit the holding that was renewed longest ago goes.
func TestBound(t *testing.T) {
	tb := New(Rules{}, Limits{Holdings: 2})
	for i := range byte(3) {
		h := causeway.Handle{Object: causeway.ObjectID{i}}
		if _, _, code := tb.Ask(time.Duration(i), Ask{Handle: h, Holder: "a", Mode: causeway.IORead, Span: whole}); code != causeway.OK {
			t.Fatal(code)
		}
	}
	if e := only(t, tb, Recall); e.Handle.Object[0] != 0 || e.Mode != 0 {
		t.Fatalf("%+v", e)
	}
}

// TestAssert: a new owner takes over what was held, numbers its own grants behind that, and lets nobody have what conflicts.
func TestAssert(t *testing.T) {
	tb := New(Rules{Exclusive: true}, Limits{})
	if !tb.Assert(0, Ask{Handle: file, Holder: "a", Mode: causeway.IOReadWrite, Span: whole}, 500) {
		t.Fatal("refused")
	}
	if tb.Assert(0, Ask{Handle: file, Holder: "b", Mode: causeway.IORead, Span: whole}, 400) {
		t.Fatal("took over what conflicts")
	}
	if g, _, _ := ask(t, tb, 0, "a", causeway.IORead, 0); g.Seq <= 500 {
		t.Fatal(g)
	}
	if _, _, code := ask(t, tb, 0, "b", causeway.IORead, 0); code != causeway.ErrBlocked {
		t.Fatal(code)
	}
}
