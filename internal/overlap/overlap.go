// Package overlap tells whether two changes of one thing overlapped in time, without making either wait.
//
// A server that reports the state of an object before and after a change (wcc_data, change_info4) must not report a "before"
// that another change followed. A lock around state, change and state would be held across system calls; instead each change
// learns afterwards whether it was alone. Things are told apart by a hash, so that two of them may rarely look like one: then
// a change says "not alone" although it was, which costs its client one revalidation.
package overlap

import "sync/atomic"

const stripes = 4096

// Table counts changes that run. The zero Table is ready.
type Table struct {
	cells [stripes]atomic.Uint64 // started changes (upper half) and running ones (lower half)
}

// Change is one change that runs.
type Change struct {
	cell    *atomic.Uint64
	started uint32
	alone   bool
}

// Begin starts a change of the thing with this hash. End must follow.
func (t *Table) Begin(hash uint64) Change {
	cell := &t.cells[hash%stripes]
	now := cell.Add(1<<32 | 1)
	return Change{cell, uint32(now >> 32), uint32(now) == 1}
}

// End ends the change and reports whether no other one overlapped it.
func (c Change) End() (alone bool) {
	now := c.cell.Add(^uint64(0))
	return c.alone && uint32(now>>32) == c.started
}

// Running reports whether a change of the thing with this hash, or of one that looks like it, has begun and not ended.
func (t *Table) Running(hash uint64) bool { return uint32(t.cells[hash%stripes].Load()) != 0 }
