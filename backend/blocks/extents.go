package blocks

import (
	"context"

	"causeway"
)

// maxPages bounds what one call of Extents maps.
const maxPages = 1024

// Extents implements backend.Store, as backend.Mapper says.
func (s *Store) Extents(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, span causeway.Span) ([]causeway.Extent, causeway.Locator, error) {
	o, err := s.owned()
	if err != nil {
		return nil, nil, err
	}
	if _, _, err := o.tree.Extents(ctx, id, mode, span); err != nil {
		return nil, nil, err
	}
	list, err := o.extents(ctx, id, mode, span)
	if err == causeway.ErrNoSpc && o.flushFreed(ctx) {
		list, err = o.extents(ctx, id, mode, span)
	}
	if err == nil {
		err = o.flush(ctx) // before anybody relies on it
	}
	return list, nil, err
}

func (o *owner) extents(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, span causeway.Span) ([]causeway.Extent, error) {
	o.gate.RLock()
	defer o.gate.RUnlock()
	a, err := o.tree.Stat(ctx, id)
	if err != nil {
		return nil, err
	}
	end := span.End()
	if end == causeway.ToEOF {
		end = max(a.Size, span.Offset)
	} else if mode == causeway.IOReadWrite && end > 1<<63 {
		return nil, causeway.ErrFBig
	}
	end = min(end, 1<<63)
	first := span.Offset / o.s.size
	behind := min((end+o.s.size-1)/o.s.size, first+maxPages)
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.fileLocked(inoOf(id))
	if mode == causeway.IOReadWrite && span.Length != causeway.ToEOF {
		if err := o.provideLocked(f, first, behind); err != nil {
			return nil, err
		}
	}
	var list []causeway.Extent
	for n := first; n < behind; n++ {
		list = o.extendLocked(list, f, n, mode)
	}
	return list, nil
}

// provideLocked allocates what has no block yet.
func (o *owner) provideLocked(f *file, first, behind uint64) error {
	var holes []uint64
	for n := first; n < behind; n++ {
		if _, ok := f.pages[n]; !ok {
			holes = append(holes, n)
		}
	}
	if len(holes) == 0 {
		return nil
	}
	blocks, err := o.allocateLocked(len(holes))
	if err != nil {
		return err
	}
	var runs []run
	for i, n := range holes {
		runs = add(runs, n, blocks[i])
	}
	o.putLocked(f, runs, true)
	o.noteLocked(&record{Ino: f.ino, Provisional: runs})
	return nil
}

// extendLocked makes a list longer by one page. A reader is told nothing of blocks that nothing was committed to.
func (o *owner) extendLocked(list []causeway.Extent, f *file, n uint64, mode causeway.IOMode) []causeway.Extent {
	e := causeway.Extent{FileOffset: n * o.s.size, Length: o.s.size, State: causeway.ExtentHole}
	if p, ok := f.pages[n]; ok && (mode == causeway.IOReadWrite || !p.provisional) {
		e.DeviceOffset = p.block * o.s.size
		switch {
		case p.provisional:
			e.State = causeway.ExtentProvisional
		case mode == causeway.IOReadWrite:
			e.State = causeway.ExtentReadWrite
		default:
			e.State = causeway.ExtentRead
		}
	}
	if i := len(list) - 1; i >= 0 && list[i].State == e.State && (e.State == causeway.ExtentHole || list[i].DeviceOffset+list[i].Length == e.DeviceOffset) {
		list[i].Length += e.Length
		return list
	}
	return append(list, e)
}

// Commit implements backend.Mapper. The file is longer before its new blocks are its own: a crash in between leaves zeros.
func (s *Store) Commit(ctx context.Context, id causeway.ObjectID, size uint64, mtime causeway.Time, written []causeway.Extent) error {
	err := s.change(func(o *owner) error {
		f := o.file(id)
		f.rw.Lock() // no cut comes between
		defer f.rw.Unlock()
		if _, err := o.written(f, written); err != nil {
			return err
		}
		if err := o.tree.Written(id, size, mtime); err != nil {
			return err
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		runs, err := o.writtenLocked(f, written) // some may have been taken back meanwhile
		if err != nil {
			return err
		}
		if len(runs) > 0 {
			o.putLocked(f, runs, false)
			o.noteLocked(&record{Ino: f.ino, Valid: runs})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.Persist(ctx)
}

// written returns the pages of extents, if they are the file's.
func (o *owner) written(f *file, list []causeway.Extent) (runs []run, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writtenLocked(f, list)
}

func (o *owner) writtenLocked(f *file, list []causeway.Extent) (runs []run, err error) {
	for _, e := range list {
		if (e.FileOffset|e.DeviceOffset|e.Length)%o.s.size != 0 || e.Length/o.s.size > o.s.count {
			return nil, causeway.ErrInval
		}
		for i := range e.Length / o.s.size {
			n, block := e.FileOffset/o.s.size+i, e.DeviceOffset/o.s.size+i
			p, ok := f.pages[n]
			if !ok || p.block != block {
				return nil, causeway.ErrStale
			}
			if p.provisional {
				runs = add(runs, n, block)
			}
		}
	}
	return runs, nil
}

// Settle implements backend.Mapper.
func (s *Store) Settle(id causeway.ObjectID) {
	o, err := s.owned()
	if err != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.settleLocked(inoOf(id)) {
		o.noteLocked(&record{Ino: inoOf(id), Settled: true})
	}
}

// Provisional implements backend.Mapper.
func (s *Store) Provisional() (ids []causeway.ObjectID) {
	o, err := s.owned()
	if err != nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for ino, f := range o.files {
		for _, p := range f.pages {
			if p.provisional {
				id := o.tree.Root()
				putIno(&id, ino)
				ids = append(ids, id)
				break
			}
		}
	}
	return ids
}

// Fence implements backend.Mapper.
func (s *Store) Fence(ctx context.Context, holder string) error {
	o, err := s.owned()
	if err != nil {
		return err
	}
	return s.cfg.Device.Fence(ctx, s.cfg.Volume, o.tag.Epoch, holder)
}
