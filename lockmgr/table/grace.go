package table

import (
	"maps"
	"slices"

	"causeway"
)

// grace is the time after a restart in which clients reclaim what they held, and nobody takes anything new. It belongs to a
// volume, not to the gateway: a volume whose state was lost elsewhere has its own.
type grace struct {
	left   int            // ticks
	settle int            // ticks without a reclaim after which a client that was told counts as done
	known  map[Client]int // ticks until it is done; untold, or done
}

const (
	untold = -1
	done   = 0
)

// BeginGrace opens the grace period of a volume, or of all volumes that have none of their own if v is zero. It ends after
// the given ticks, or as soon as each of the known clients is done: it was told that locks must be reclaimed and has not
// reclaimed for settle ticks (NLM has no message that says "that was all"), or it was released. Without known clients it
// does not begin.
func (t *Table) BeginGrace(v causeway.VolumeID, known []Client, ticks, settle int) {
	if len(known) == 0 || ticks <= 0 {
		return
	}
	g := &grace{left: ticks, settle: max(settle, 1), known: make(map[Client]int, len(known))}
	for _, c := range known {
		g.known[c] = untold
	}
	t.graces[v] = g
}

// Told says that a client knows of the restart: from now on it is given the settling time.
func (t *Table) Told(c Client) {
	for _, g := range t.graces {
		if left, ok := g.known[c]; ok && left == untold {
			g.known[c] = g.settle
		}
	}
}

// Tick lets one unit of time pass.
func (t *Table) Tick() {
	for _, g := range t.graces {
		g.left--
		for c, left := range g.known {
			if left > done {
				g.known[c] = left - 1
			}
		}
	}
	t.endGraces()
	t.tickLeases()
	t.tickOpens()
	t.tickOrphans()
}

// NeedsTime reports whether Tick would change anything, now or later.
func (t *Table) NeedsTime() bool {
	return len(t.graces) > 0 || len(t.breaking) > 0 || len(t.timed) > 0 || len(t.orphans) > 0
}

// recovered says that nothing is to be reclaimed by a client any longer.
func (t *Table) recovered(c Client) {
	for _, g := range t.graces {
		delete(g.known, c)
	}
	t.endGraces()
}

func (t *Table) endGraces() {
	for _, v := range slices.Sorted(maps.Keys(t.graces)) {
		if g := t.graces[v]; g.left <= 0 || g.done() {
			delete(t.graces, v)
			t.effects = append(t.effects, Effect{Kind: GraceEnded, Volume: v})
		}
	}
}

func (g *grace) done() bool {
	for _, left := range g.known {
		if left != done {
			return false
		}
	}
	return true
}

// admit says whether a request may be looked at now.
func (t *Table) admit(v causeway.VolumeID, c Client, reclaim bool) causeway.Code {
	g := t.graces[v]
	if g == nil {
		g = t.graces[0]
	}
	switch {
	case g == nil && reclaim:
		return causeway.ErrNoGrace
	case g == nil:
		return causeway.OK
	case !reclaim:
		return causeway.ErrGrace
	}
	if _, ok := g.known[c]; !ok {
		return causeway.ErrNoGrace
	}
	g.known[c] = g.settle
	return causeway.OK
}
