package blocks

import (
	"context"

	"causeway"
	"causeway/backend"
)

var _ backend.Puncher = (*object)(nil)

// Punch implements backend.Puncher: what lies in the span entirely is given back, and the rest of its first and last block zeroed.
func (x *object) Punch(ctx context.Context, span causeway.Span) error {
	switch {
	case !x.writable:
		return causeway.ErrAccess
	case span.Length == 0:
		return causeway.ErrInval
	}
	o := x.owner
	o.gate.RLock()
	defer o.gate.RUnlock()
	x.file.rw.Lock()
	defer x.file.rw.Unlock()
	if _, err := x.Stat(ctx); err != nil {
		return err
	}
	first, last := span.Offset/o.s.size, span.End()/o.s.size
	if err := o.zeroIn(ctx, x.file, first, span); err != nil {
		return err
	}
	if last != first {
		if err := o.zeroIn(ctx, x.file, last, span); err != nil {
			return err
		}
	}
	return x.Object.(backend.Puncher).Punch(ctx, span)
}

// zeroIn zeroes the part of a page that lies in a span, if that is not all of it.
func (o *owner) zeroIn(ctx context.Context, f *file, page uint64, span causeway.Span) error {
	start := page * o.s.size
	from, end := max(span.Offset, start)-start, min(span.End()-start, o.s.size)
	runs := o.runs(f, page, 1)
	if len(runs) == 0 || from >= end || end-from == o.s.size {
		return nil
	}
	buf := make([]byte, o.s.size)
	if err := o.read(ctx, runs[0].Block*o.s.size, buf); err != nil {
		return err
	}
	clear(buf[from:end])
	return o.write(ctx, runs[0].Block*o.s.size, buf)
}
