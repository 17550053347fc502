package transfer

import (
	"causeway"
)

var whole = causeway.Span{Length: causeway.ToEOF}

// aligned returns the least span of whole blocks that covers s; nothing stays nothing.
func aligned(s causeway.Span, block uint64) causeway.Span {
	if s.Length == 0 {
		return s
	}
	from, end := s.Offset/block*block, s.End()
	if end > causeway.ToEOF-block {
		return causeway.Span{Offset: from, Length: causeway.ToEOF}
	}
	return causeway.Span{Offset: from, Length: (end+block-1)/block*block - from}
}

// lacks returns what a grant must be asked for before I/O on a span of a file of this size, if the one that there is does not
// suffice. Who makes a file longer, or reads up to its end, needs all from the end on: another gateway may have made it longer.
func (o *object) lacks(mode causeway.IOMode, s causeway.Span, size uint64) (causeway.Span, bool) {
	if s.Length == 0 {
		return causeway.Span{}, false
	}
	held, want := o.grant.Span, aligned(s, o.align)
	if s.End() > size {
		want = causeway.Span{Offset: min(s.Offset, size) / o.align * o.align, Length: causeway.ToEOF}
	}
	if held.Offset > want.Offset || held.End() < want.End() {
		return want, true
	}
	if o.mapped == nil {
		return causeway.Span{}, false
	}
	want, some := o.mapped.lacks(mode, s, size)
	if some && o.alone() && want.Length < ahead {
		want.Length = ahead / o.align * o.align
	}
	return want, some
}

// ahead is how many bytes are asked for at least by who is in nobody's way.
const ahead = 256 << 10

// alone reports whether the attributes that are known here are the file's: no other gateway writes another range of it.
func (o *object) alone() bool { return o.align == 0 || o.grant.Span == whole }

// lacksBlocks reports whether a grant brought no blocks to write to, where they were asked for.
func lacksBlocks(mode causeway.IOMode, s causeway.Span, list []causeway.Extent) bool {
	if mode != causeway.IOReadWrite || s.Length == 0 || s.Length == causeway.ToEOF {
		return false
	}
	return len(list) == 0 || list[0].State != causeway.ExtentReadWrite && list[0].State != causeway.ExtentProvisional
}
