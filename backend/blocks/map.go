package blocks

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"causeway"
)

// file is the map of one file: which block holds which page of it.
type file struct {
	ino   uint64
	pages map[uint64]page // guarded by owner.mu

	// Held shared by reads of this gateway itself, alone by its writes and changes of the size. What other gateways do is kept
	// apart from these by grants.
	rw sync.RWMutex
}

// page is a block of a file.
type page struct {
	block       uint64
	provisional bool // given to a writer and not committed: it reads as zeros
}

// run is pages of a file, one behind the other, in blocks one behind the other.
type run struct{ Page, Block, Count uint64 }

func inoOf(id causeway.ObjectID) uint64 { return binary.BigEndian.Uint64(id[:]) }

// file returns the map of an object, whatever the object is.
func (o *owner) file(id causeway.ObjectID) *file {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fileLocked(inoOf(id))
}

func (o *owner) fileLocked(ino uint64) *file {
	f := o.files[ino]
	if f == nil {
		f = &file{ino: ino, pages: map[uint64]page{}}
		o.files[ino] = f
	}
	return f
}

// allocateLocked takes n blocks, or none.
func (o *owner) allocateLocked(n int) ([]uint64, error) {
	if n > len(o.free) {
		return nil, causeway.ErrNoSpc
	}
	at := len(o.free) - n
	got := make([]uint64, n)
	for i := range got {
		got[i] = o.free[len(o.free)-1-i]
	}
	o.free = o.free[:at]
	return got, nil
}

// releaseLocked gives a block back: whose it was must be stable before somebody else gets it.
func (o *owner) releaseLocked(block uint64) { o.freed = append(o.freed, block) }

// flushFreed makes blocks free that only wait for the journal, and reports whether there were any.
func (o *owner) flushFreed(ctx context.Context) bool {
	o.mu.Lock()
	some := len(o.freed) > 0
	o.mu.Unlock()
	return some && o.flush(ctx) == nil
}

// truncateLocked takes away what lies behind the end of a file.
func (o *owner) truncateLocked(ino, size uint64) {
	f := o.files[ino]
	if f == nil {
		return
	}
	for n, p := range f.pages {
		if n >= (size+o.s.size-1)/o.s.size {
			o.releaseLocked(p.block)
			delete(f.pages, n)
		}
	}
}

// punchLocked takes away the pages that lie in a span entirely.
func (o *owner) punchLocked(ino uint64, span causeway.Span) {
	f := o.files[ino]
	if f == nil {
		return
	}
	first, behind := span.Offset/o.s.size, span.End()/o.s.size
	if span.Offset%o.s.size != 0 {
		first++
	}
	for n, p := range f.pages {
		if first <= n && n < behind {
			o.releaseLocked(p.block)
			delete(f.pages, n)
		}
	}
}

// forgot is told by the tree of an object that is gone.
func (o *owner) forgot(ino uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.truncateLocked(ino, 0)
	delete(o.files, ino)
}

func (o *owner) used(ino uint64) (n uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f := o.files[ino]; f != nil {
		for _, p := range f.pages {
			if !p.provisional {
				n += o.s.size
			}
		}
	}
	return n
}

// settleLocked takes back what is provisional.
func (o *owner) settleLocked(ino uint64) (some bool) {
	if f := o.files[ino]; f != nil {
		for n, p := range f.pages {
			if p.provisional {
				o.releaseLocked(p.block)
				delete(f.pages, n)
				some = true
			}
		}
	}
	return some
}

// putLocked enters runs, in place of what was there.
func (o *owner) putLocked(f *file, runs []run, provisional bool) {
	for _, r := range runs {
		for i := range r.Count {
			if was, ok := f.pages[r.Page+i]; ok && was.block != r.Block+i {
				o.releaseLocked(was.block)
			}
			f.pages[r.Page+i] = page{r.Block + i, provisional}
		}
	}
}

// add makes a list of runs longer by one page.
func add(runs []run, page, block uint64) []run {
	if n := len(runs); n > 0 {
		if r := &runs[n-1]; r.Page+r.Count == page && r.Block+r.Count == block {
			r.Count++
			return runs
		}
	}
	return append(runs, run{page, block, 1})
}

// Check compares map and free blocks: each block is a file's page or free, once. It is for a volume that is at rest.
func (s *Store) Check() error {
	o, err := s.owned()
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := map[uint64]string{}
	see := func(block uint64, what string) error {
		if seen[block] != "" || block < o.super.data() || block >= s.count {
			return fmt.Errorf("block %d of %s is %q too", block, what, seen[block])
		}
		seen[block] = what
		return nil
	}
	for ino, f := range o.files {
		for n, p := range f.pages {
			if err := see(p.block, fmt.Sprintf("page %d of %d", n, ino)); err != nil {
				return err
			}
		}
	}
	for _, list := range [][]uint64{o.free, o.freed} {
		for _, block := range list {
			if err := see(block, "the free blocks"); err != nil {
				return err
			}
		}
	}
	if want := s.count - o.super.data(); uint64(len(seen)) != want {
		return fmt.Errorf("%d of %d blocks are nobody's", want-uint64(len(seen)), want)
	}
	return nil
}
