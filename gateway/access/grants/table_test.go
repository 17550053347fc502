package grants

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"causeway"
)

// world is gateways that hold grants, and a network between them and the table that delays, reorders, repeats and loses.
type world struct {
	t       *testing.T
	r       *rand.Rand
	table   *Table
	now     time.Duration
	rules   Rules
	nodes   []*node
	mail    []func()             // what is under way to the table or to a gateway
	asks    map[Ticket]*asking   // that wait in the table
	changes map[Ticket]*changing // that wait or run
	told    int
}

type node struct {
	name   string
	has    map[causeway.Handle][]belief
	voided map[causeway.Handle]uint64 // recalls that came
	paused time.Duration
}

// belief is what a gateway relies on.
type belief struct {
	mode   causeway.IOMode
	span   causeway.Span
	leases causeway.Leases
	seq    uint64
	until  time.Duration
}

type asking struct {
	node *node
	ask  Ask
	sent time.Duration
}

type changing struct {
	h      causeway.Handle
	keep   causeway.IOMode
	leases causeway.Leases
	runs   bool
	since  time.Duration
	behind int
}

// maxStep is how late the table learns of time.
const maxStep = 400 * time.Millisecond

func newWorld(t *testing.T, seed uint64, rules Rules, l Limits) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 1)), rules: rules, table: New(rules, l), asks: map[Ticket]*asking{}, changes: map[Ticket]*changing{}}
	for i := range 4 {
		name := fmt.Sprint("g", i)
		if i == 0 {
			name = Local
		}
		w.nodes = append(w.nodes, &node{name: name, has: map[causeway.Handle][]belief{}, voided: map[causeway.Handle]uint64{}})
	}
	return w
}

func (w *world) handle() causeway.Handle {
	return causeway.Handle{Volume: 1, Object: causeway.ObjectID{byte(w.r.IntN(3))}}
}

// post sends something, which may be lost (but not within the owner's process) or come twice.
func (w *world) post(n *node, f func()) {
	if n.name != Local && w.r.IntN(12) == 0 {
		return
	}
	w.mail = append(w.mail, f)
	if w.r.IntN(12) == 0 {
		w.mail = append(w.mail, f)
	}
}

func (w *world) effects() {
	for _, e := range w.table.Effects() {
		switch e.Kind {
		case Recall:
			w.told++
			n := w.node(e.Holder)
			w.post(n, func() { w.recall(n, e) })
		case Granted:
			a := w.asks[e.Ticket]
			delete(w.asks, e.Ticket)
			w.granted(a, e.Given)
		case Ready:
			c := w.changes[e.Ticket]
			c.runs = true
			// Each that came before it may have been given what has to be waited for again.
			if waited := w.now - c.since; waited > time.Duration(1+c.behind)*(w.table.Lease()+maxStep) {
				w.t.Fatal("a change waited longer than a lease:", waited)
			}
		}
	}
}

func (w *world) node(name string) *node {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	panic(name)
}

// granted sends a grant; Local's is there at once, as it is within one process and one lock.
func (w *world) granted(a *asking, g Given) {
	if g.Mode < a.ask.Mode {
		w.t.Fatal("less than was asked for")
	}
	until := a.sent + w.table.Lease()
	if a.node.name == Local {
		until = 1 << 60
	}
	take := func() {
		n, h := a.node, a.ask.Handle
		if g.Seq <= n.voided[h] {
			return
		}
		var rest []belief
		for _, b := range n.has[h] { // the newer one replaces the older, whichever comes first
			if same := b.mode != 0 && g.Mode != 0 || b.leases != 0 && g.Leases != 0; !same {
				rest = append(rest, b)
			} else if b.seq > g.Seq {
				return
			}
		}
		n.has[h] = rest
		if g.Mode != 0 {
			n.has[h] = append(n.has[h], belief{g.Mode, a.ask.Span, 0, g.Seq, until})
		}
		if g.Leases != 0 {
			n.has[h] = append(n.has[h], belief{0, causeway.Span{}, g.Leases, g.Seq, until})
		}
	}
	if a.node.name == Local || w.r.IntN(12) != 0 { // a reply comes once or not
		w.mail = append(w.mail, take)
	}
}

// recall is a holder that gives up what it is told to; here each recall ends both kinds, which a holder may do.
func (w *world) recall(n *node, e Effect) {
	if n.paused > w.now {
		w.mail = append(w.mail, func() { w.recall(n, e) })
		return
	}
	n.voided[e.Handle] = max(n.voided[e.Handle], e.Seq)
	var rest []belief
	for _, b := range n.has[e.Handle] {
		if b.seq <= e.Seq {
			b.mode, b.leases = min(b.mode, e.Mode), b.leases&^e.Leases
		}
		if b.mode != 0 || b.leases != 0 {
			rest = append(rest, b)
		}
	}
	n.has[e.Handle] = rest
	w.post(n, func() { w.table.Recalled(w.now, e.Handle, n.name, e.Seq) })
}

func (w *world) step() {
	n := w.nodes[w.r.IntN(len(w.nodes))]
	h := w.handle()
	switch k := w.r.IntN(20); {
	case k < 6 && n.paused <= w.now:
		a := Ask{Handle: h, Holder: n.name, NoWait: w.r.IntN(8) == 0}
		if w.r.IntN(2) == 0 {
			a.Mode = causeway.IOMode(1 + w.r.IntN(2))
			a.Span = causeway.Span{Offset: uint64(w.r.IntN(3)) * 10, Length: uint64(1+w.r.IntN(2)) * 10}
		}
		if a.Mode == 0 || w.r.IntN(4) == 0 {
			a.Leases = causeway.Leases(1 + w.r.IntN(3))
		}
		g, ticket, code := w.table.Ask(w.now, a)
		switch code {
		case causeway.OK:
			w.granted(&asking{n, a, w.now}, g)
		case causeway.ErrBlocked:
			w.asks[ticket] = &asking{n, a, w.now}
		}
	case k < 14 && len(w.mail) > 0:
		i := w.r.IntN(len(w.mail))
		f := w.mail[i]
		w.mail = append(w.mail[:i], w.mail[i+1:]...)
		f()
	case k == 14:
		c := &changing{h: h, keep: causeway.IOMode(w.r.IntN(3)), leases: causeway.Leases(w.r.IntN(4)), since: w.now, behind: len(w.asks)}
		if ticket, code := w.table.Change(w.now, h, c.keep, c.leases); ticket != 0 {
			w.changes[ticket] = c
			c.runs = code == causeway.OK
		}
	case k == 15 || k == 16:
		for ticket, c := range w.changes {
			if c.runs || w.r.IntN(8) == 0 {
				delete(w.changes, ticket)
				w.table.Changed(w.now, ticket)
				break
			}
		}
	case k == 17:
		w.now += time.Duration(w.r.Int64N(int64(maxStep)))
		w.table.Tick(w.now)
	case k == 18 && n.name != Local && w.r.IntN(6) == 0:
		n.paused = w.now + time.Duration(w.r.IntN(8000))*time.Millisecond
	case k == 19 && n.paused <= w.now:
		w.renewOrReturn(n, h)
	}
	w.effects()
	w.check()
}

func (w *world) renewOrReturn(n *node, h causeway.Handle) {
	if has := n.has[h]; len(has) > 0 {
		i := w.r.IntN(len(has))
		b := has[i]
		if w.r.IntN(2) == 0 || b.until <= w.now {
			n.has[h] = append(n.has[h][:i:i], n.has[h][i+1:]...)
			n.voided[h] = max(n.voided[h], b.seq) // an earlier one whose reply is still to come has ended with it
			w.post(n, func() { w.table.Return(w.now, h, n.name, b.mode, b.leases, b.seq) })
			return
		}
		sent := w.now
		w.post(n, func() {
			if !w.table.Renew(w.now, h, n.name, b.mode, b.leases, b.seq) {
				return
			}
			w.post(n, func() {
				for i := range n.has[h] {
					if x := &n.has[h][i]; x.seq == b.seq && x.mode == b.mode && x.leases == b.leases {
						x.until = max(x.until, sent+w.table.Lease())
					}
				}
			})
		})
	}
}

// check: never two conflicting grants that are valid, and nothing that a running change was to end.
func (w *world) check() {
	w.t.Helper()
	for _, n := range w.nodes {
		for h, has := range n.has {
			for _, b := range has {
				if b.until <= w.now {
					continue
				}
				for _, m := range w.nodes {
					for _, o := range m.has[h] {
						if m != n && o.until > w.now && w.clash(b, o) {
							w.t.Fatalf("%q holds %+v beside %q's %+v", n.name, b, m.name, o)
						}
					}
				}
				for _, c := range w.changes {
					if c.runs && c.h == h && n.name != Local && (b.mode > c.keep || b.leases&c.leases != 0) {
						w.t.Fatalf("%q holds %+v during a change that leaves mode %d and ends leases %d", n.name, b, c.keep, c.leases)
					}
				}
			}
		}
	}
}

func (w *world) clash(a, b belief) bool {
	if !w.rules.Exclusive {
		return a.leases != 0
	}
	writes := a.mode == causeway.IOReadWrite || b.mode == causeway.IOReadWrite
	if a.mode != 0 && b.mode != 0 {
		return writes && !(w.rules.Apart && !a.span.Overlaps(b.span))
	}
	return writes && (a.leases|b.leases)&causeway.LeaseAttr != 0
}

// rest lets everything happen that is under way, and time pass.
func (w *world) rest() {
	for _, n := range w.nodes {
		n.paused = 0
	}
	for i := 0; len(w.mail) > 0 || len(w.asks)+len(w.changes) > 0; i++ {
		if i > 1_000_000 {
			w.t.Fatalf("never comes to rest: %d asks, %d changes", len(w.asks), len(w.changes))
		}
		if len(w.mail) > 0 {
			f := w.mail[0]
			w.mail = w.mail[1:]
			f()
		} else {
			for ticket, c := range w.changes {
				if c.runs {
					delete(w.changes, ticket)
					w.table.Changed(w.now, ticket)
				}
			}
			w.now += 100 * time.Millisecond
			w.table.Tick(w.now)
		}
		w.effects()
		w.check()
	}
}

func TestNeverConflicting(t *testing.T) {
	for _, rules := range []Rules{{}, {Exclusive: true}, {Exclusive: true, Apart: true}} {
		for _, l := range []Limits{{}, {Holdings: 4, Quiet: time.Millisecond}} {
			t.Run(fmt.Sprintf("%+v of %d", rules, l.Holdings), func(t *testing.T) {
				told, seeds := 0, uint64(150)
				if testing.Short() {
					seeds = 30
				}
				for seed := range seeds {
					w := newWorld(t, seed, rules, l)
					for range 1500 {
						w.step()
					}
					w.rest()
					w.now += w.table.Lease() + w.table.limits.Quiet
					w.table.Lost(w.now, Local)
					w.table.Tick(w.now)
					if n := w.table.Len(); n != 0 || w.table.foreign != 0 || len(w.table.objects) != 0 || w.table.told.Len() != 0 || len(w.table.tickets) != 0 || w.table.writers != 0 {
						t.Fatal("left behind:", n, w.table.foreign, len(w.table.objects), w.table.told.Len(), len(w.table.tickets))
					}
					told += w.told
				}
				if told < 1000 {
					t.Fatal("hardly anything was recalled:", told)
				}
			})
		}
	}
}
