package blocks

import (
	"context"
	"encoding/binary"
	"math"

	"causeway"
	"causeway/backend"
)

func putIno(id *causeway.ObjectID, ino uint64) { binary.BigEndian.PutUint64(id[:], ino) }

// Open opens a file at the owner, who reads the map at each I/O instead of having extents.
func (s *Store) Open(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, loc causeway.Locator) (backend.Object, error) {
	o, err := s.owned()
	if err != nil {
		return nil, err
	}
	named, err := o.tree.Open(ctx, id, mode, loc)
	if err != nil {
		return nil, err
	}
	return &object{Object: named, owner: o, file: o.file(id), id: id, writable: mode == causeway.IOReadWrite}, nil
}

// object is an open file of the owner's. The embedded one keeps it when it has no name any more.
type object struct {
	backend.Object
	owner    *owner
	file     *file
	id       causeway.ObjectID
	writable bool
}

// Stat returns the attributes.
func (x *object) Stat(ctx context.Context) (causeway.Attr, error) {
	if err := x.owner.failed(); err != nil {
		return causeway.Attr{}, err
	}
	return x.Object.Stat(ctx)
}

// Sync writes the journal: contents are on the device when they were written.
func (x *object) Sync(ctx context.Context, _ bool) error {
	if _, err := x.Stat(ctx); err != nil {
		return err
	}
	return x.owner.flush(ctx)
}

// ReadAt reads.
func (x *object) ReadAt(ctx context.Context, p []byte, off uint64) (int, error) {
	x.file.rw.RLock()
	defer x.file.rw.RUnlock()
	a, err := x.Stat(ctx)
	if err != nil || off >= a.Size {
		return 0, err
	}
	p = p[:min(uint64(len(p)), a.Size-off)]
	return len(p), x.owner.readFile(ctx, x.file, p, off)
}

// readFile reads bytes of a file that are not behind its end.
func (o *owner) readFile(ctx context.Context, f *file, p []byte, off uint64) error {
	if len(p) == 0 {
		return nil
	}
	first, buf := o.around(off, uint64(len(p)))
	runs := o.runs(f, first, uint64(len(buf))/o.s.size)
	for _, r := range runs {
		at := (r.Page - first) * o.s.size
		if err := o.read(ctx, r.Block*o.s.size, buf[at:at+r.Count*o.s.size]); err != nil {
			return err
		}
	}
	copy(p, buf[off-first*o.s.size:])
	return nil
}

// around returns the first page of a range, and room for all of its pages.
func (o *owner) around(off, n uint64) (first uint64, buf []byte) {
	first = off / o.s.size
	return first, make([]byte, ((off+n+o.s.size-1)/o.s.size-first)*o.s.size)
}

// runs returns where pages lie that hold something.
func (o *owner) runs(f *file, first, count uint64) (list []run) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for n := first; n < first+count; n++ {
		if p, ok := f.pages[n]; ok && !p.provisional {
			list = add(list, n, p.block)
		}
	}
	return list
}

// WriteAt writes: to new blocks where there are none, which become the file's when they are written.
func (x *object) WriteAt(ctx context.Context, p []byte, off uint64) (int, error) {
	switch {
	case !x.writable:
		return 0, causeway.ErrAccess
	case len(p) == 0:
		return 0, nil
	case off > math.MaxInt64 || uint64(len(p)) > math.MaxInt64-off:
		return 0, causeway.ErrFBig
	}
	n, err := x.writeOnce(ctx, p, off)
	if err == causeway.ErrNoSpc && x.owner.flushFreed(ctx) {
		n, err = x.writeOnce(ctx, p, off)
	}
	return n, err
}

func (x *object) writeOnce(ctx context.Context, p []byte, off uint64) (int, error) {
	o := x.owner
	o.gate.RLock()
	defer o.gate.RUnlock()
	x.file.rw.Lock()
	defer x.file.rw.Unlock()
	a, err := x.Stat(ctx)
	if err != nil {
		return 0, err
	}
	if err := o.zeroTail(ctx, x.file, a.Size, off); err != nil {
		return 0, err
	}
	fresh, err := o.writeFile(ctx, x.file, p, off, a.Size)
	if err == nil {
		err = o.tree.Written(x.id, off+uint64(len(p)), causeway.Time{})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		for _, r := range fresh {
			for i := range r.Count {
				o.releaseLocked(r.Block + i)
			}
		}
		return 0, err
	}
	if len(fresh) > 0 {
		o.putLocked(x.file, fresh, false)
		o.noteLocked(&record{Ino: x.file.ino, Valid: fresh})
	}
	return len(p), nil
}

// writeFile writes bytes of a file of this size, and returns the new blocks among those written.
func (o *owner) writeFile(ctx context.Context, f *file, p []byte, off, size uint64) (fresh []run, err error) {
	first, buf := o.around(off, uint64(len(p)))
	pages := uint64(len(buf)) / o.s.size
	if err := o.readEdges(ctx, f, first, buf, off, uint64(len(p)), size); err != nil {
		return nil, err
	}
	copy(buf[off-first*o.s.size:], p)
	all, fresh, err := o.place(f, first, pages)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		at := (r.Page - first) * o.s.size
		if err := o.write(ctx, r.Block*o.s.size, buf[at:at+r.Count*o.s.size]); err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

// readEdges reads what a write leaves of its first and last page, but nothing from behind the end.
func (o *owner) readEdges(ctx context.Context, f *file, first uint64, buf []byte, off, n, size uint64) error {
	edge := func(from, to uint64) error {
		if to = min(to, size); from >= to {
			return nil
		}
		at := from - first*o.s.size
		return o.readFile(ctx, f, buf[at:at+to-from], from)
	}
	if err := edge(first*o.s.size, off); err != nil {
		return err
	}
	return edge(off+n, first*o.s.size+uint64(len(buf)))
}

// place returns where pages are to be written, and which of these blocks are new.
func (o *owner) place(f *file, first, count uint64) (all, fresh []run, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	missing := 0
	for n := first; n < first+count; n++ {
		if p, ok := f.pages[n]; !ok || p.provisional {
			missing++
		}
	}
	blocks, err := o.allocateLocked(missing)
	if err != nil {
		return nil, nil, err
	}
	for n := first; n < first+count; n++ {
		p, ok := f.pages[n]
		if !ok || p.provisional {
			p.block, blocks = blocks[0], blocks[1:]
			fresh = add(fresh, n, p.block)
		}
		all = add(all, n, p.block)
	}
	return all, fresh, nil
}

// zeroTail zeroes what lies behind the end of a file in its last block, if it becomes longer.
func (o *owner) zeroTail(ctx context.Context, f *file, size, until uint64) error {
	in := size % o.s.size
	if until <= size || in == 0 {
		return nil
	}
	last := o.runs(f, size/o.s.size, 1)
	if len(last) == 0 {
		return nil
	}
	buf := make([]byte, o.s.size)
	if err := o.read(ctx, last[0].Block*o.s.size, buf); err != nil {
		return err
	}
	clear(buf[in:])
	return o.write(ctx, last[0].Block*o.s.size, buf)
}
