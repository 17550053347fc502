package table

import (
	"sort"

	"causeway"
)

// mode is what a range is locked for.
type mode uint8

const (
	unlocked mode = iota
	shared
	exclusive
)

func modeOf(excl bool) mode {
	if excl {
		return exclusive
	}
	return shared
}

// extent is a range of bytes [start, end) with a mode; the end causeway.ToEOF is the end of all files.
type extent struct {
	start, end uint64
	exclusive  bool
}

func rangeOf(s causeway.Span, excl bool) extent { return extent{s.Offset, s.End(), excl} }

func (e extent) span() causeway.Span {
	if e.end == causeway.ToEOF {
		return causeway.Span{Offset: e.start, Length: causeway.ToEOF}
	}
	return causeway.Span{Offset: e.start, Length: e.end - e.start}
}

func (e extent) empty() bool { return e.start >= e.end }

func (e extent) overlaps(f extent) bool { return e.start < f.end && f.start < e.end }

// edit is a change of an owner's locks on one object: old[first:last] give way to put. The ranges of put do not touch one
// another in the same mode.
type edit struct {
	first, last int
	old         []*segment // the owner's whole list before
	put         []extent
}

func (e *edit) growth() int { return len(e.put) - (e.last - e.first) }

// replace plans to set [start, end) of an owner's sorted, disjoint locks to a mode.
func replace(own []*segment, start, end uint64, m mode) edit {
	first := sort.Search(len(own), func(i int) bool { return own[i].end > start })
	last := first + sort.Search(len(own)-first, func(i int) bool { return own[first+i].start >= end })
	e := edit{first: first, last: last, old: own}
	set := extent{start, end, m == exclusive}
	same := func(s *segment) bool { return m != unlocked && s.exclusive == set.exclusive }
	if first > 0 && own[first-1].end == start && same(own[first-1]) {
		e.first--
		set.start = own[first-1].start
	}
	if last < len(own) && own[last].start == end && same(own[last]) {
		e.last++
		set.end = own[last].end
	}
	var right extent
	if first < last {
		if l := own[first]; l.start < start {
			if same(l) {
				set.start = l.start
			} else {
				e.put = append(e.put, extent{l.start, start, l.exclusive})
			}
		}
		if r := own[last-1]; r.end > end {
			if same(r) {
				set.end = r.end
			} else {
				right = extent{end, r.end, r.exclusive}
			}
		}
	}
	if m != unlocked {
		e.put = append(e.put, set)
	}
	if right.end != 0 {
		e.put = append(e.put, right)
	}
	return e
}
