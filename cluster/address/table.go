package address

import (
	"errors"
	"math/rand/v2"
	"net/netip"
)

// MaxConns bounds the connections of a Table.
const MaxConns = 1 << 16

// Table is the set of connections of a gateway's clients. The gateway updates one and sends the deltas; every gateway that may
// take its addresses over applies them to its own. The zero value is an empty table. It is not safe for concurrent use.
type Table struct {
	seq   uint64
	conns map[Conn]struct{}
}

// Seq counts the changes, from a random number, so that a delta never seems to follow on the table of a gateway's earlier life. It
// is 0 for a table that was never filled.
func (t *Table) Seq() uint64 { return t.seq }

// Len is the number of connections.
func (t *Table) Len() int { return len(t.conns) }

// Update makes the table hold just conns, and returns what changed. Conns that are no connections are left out, and of more
// than MaxConns the last in order; dropped counts those.
func (t *Table) Update(conns []Conn) (d Delta, dropped int) {
	wanted := normal(conns)
	if len(wanted) > MaxConns {
		dropped, wanted = len(wanted)-MaxConns, wanted[:MaxConns]
	}
	d.Base = t.seq
	next := make(map[Conn]struct{}, len(wanted))
	for _, c := range wanted {
		next[c] = struct{}{}
		if _, known := t.conns[c]; !known {
			d.Added = append(d.Added, c)
		}
	}
	for c := range t.conns {
		if _, still := next[c]; !still {
			d.Removed = append(d.Removed, c)
		}
	}
	d.Removed = normal(d.Removed)
	switch {
	case t.seq == 0:
		t.seq = 1 + rand.Uint64N(1<<62)
	case !d.Empty():
		t.seq++
	}
	t.conns, d.Seq = next, t.seq
	return d, dropped
}

// Whole is the delta from nothing: what a gateway gets first, and when it has missed one.
func (t *Table) Whole() Delta { return Delta{Seq: t.seq, Added: t.Conns(netip.Addr{})} }

// ErrGap means that a delta does not follow on the table: ask for Whole.
var ErrGap = errors.New("a delta of the connection table is missing")

// Apply takes a delta in. One with Base 0 replaces the table. It fails with ErrGap if the delta does not follow on the table or
// does not fit its content; the table is unchanged then.
func (t *Table) Apply(d Delta) error {
	next := t
	if d.Base == 0 {
		next = &Table{conns: make(map[Conn]struct{}, len(d.Added))}
	}
	if d.Base != next.seq || !next.fits(d) {
		return ErrGap
	}
	t.conns = next.conns
	for _, c := range d.Removed {
		delete(t.conns, c)
	}
	for _, c := range d.Added {
		t.conns[c] = struct{}{}
	}
	t.seq = d.Seq
	return nil
}

// fits reports whether all that d removes is there, nothing that it adds is, and the bound holds.
func (t *Table) fits(d Delta) bool {
	for _, c := range d.Removed {
		if _, ok := t.conns[c]; !ok {
			return false
		}
	}
	for _, c := range d.Added {
		if _, ok := t.conns[c]; ok {
			return false
		}
	}
	return len(t.conns)-len(d.Removed)+len(d.Added) <= MaxConns
}

// Conns lists the connections to a service address, or all if addr is not valid, in order.
func (t *Table) Conns(addr netip.Addr) []Conn {
	var conns []Conn
	for c := range t.conns {
		if !addr.IsValid() || c.Local.Addr() == addr {
			conns = append(conns, c)
		}
	}
	return normal(conns)
}
