package transfer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
)

// mapped is the bytes of a file by the extents of its grants. All grants of a file that follow one another share it, and it
// ends with the last. It is the authority on size and times of what it wrote until that is committed.
type mapped struct {
	engine *Engine
	vol    *volume
	handle causeway.Handle
	block  uint64
	key    uint64 // of the device; the grants were asked for after it was got
	epoch  atomic.Pointer[causeway.Epoch]
	lease  time.Duration
	seq    atomic.Uint64 // of the latest grant

	io      sync.RWMutex   // held shared by I/O, alone by what ends it
	ended   atomic.Bool    // changed under io
	final   gateway.Commit // what was to be committed when it ended
	writing sync.Mutex     // blocks are written whole: one write at a time

	mu     sync.Mutex
	moved  chan struct{} // closed when the epoch changes
	attr   causeway.Attr
	pages  map[uint64]place
	writes uint64 // how many; those up to committed are the owner's already
	done   uint64
	told   uint64 // the writes that the attributes of the latest grant know
	end    uint64 // the first byte behind all that was written
}

// place is where a block of the file lies.
type place struct {
	at      uint64
	state   causeway.ExtentState
	written bool // of a provisional one: it holds data
}

var _ backend.Object = (*mapped)(nil)

func newMapped(e *Engine, v *volume, g *causeway.Grant, key uint64) *mapped {
	m := &mapped{engine: e, vol: v, handle: g.Handle, block: v.blocks.BlockSize(), key: key, lease: g.Lease, moved: make(chan struct{}), pages: map[uint64]place{}}
	m.epoch.Store(&g.Epoch)
	return m
}

// add takes a grant's extents and attributes in; false if it has ended. I/O finds a block at the same place from its begin to its end.
func (m *mapped) add(g *causeway.Grant) bool {
	m.io.Lock()
	defer m.io.Unlock()
	if m.ended.Load() {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range g.Extents {
		for off := uint64(0); off < x.Length; off += m.block {
			next := place{at: x.DeviceOffset + off, state: x.State}
			was, known := m.pages[(x.FileOffset+off)/m.block]
			if known && writable(was) && (!writable(next) || was.at == next.at) {
				continue // what it knows of its own writes is newer
			}
			m.pages[(x.FileOffset+off)/m.block] = next
		}
	}
	was := m.attr
	m.attr = g.Attr
	if m.writes != m.done {
		m.attr.Size, m.attr.Mtime, m.attr.Ctime, m.attr.Mode = max(was.Size, g.Attr.Size), was.Mtime, was.Ctime, was.Mode
	}
	if m.writes == m.done {
		m.told = m.writes
	}
	m.seq.Store(g.Seq)
	return true
}

func writable(p place) bool {
	return p.state == causeway.ExtentReadWrite || p.state == causeway.ExtentProvisional
}

// lacks returns the first range of whole blocks in a span of I/O for which no extent is known, in a file of this size.
func (m *mapped) lacks(mode causeway.IOMode, s causeway.Span, size uint64) (causeway.Span, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, end := s.Offset, s.End()
	if mode == causeway.IORead {
		end = min(end, size)
	} else if from > size && size%m.block != 0 { // the old end is zeroed first
		if p, ok := m.pages[size/m.block]; !ok || p.state == causeway.ExtentRead {
			return causeway.Span{Offset: size / m.block * m.block, Length: m.block}, true
		}
	}
	if from >= end {
		return causeway.Span{}, false
	}
	behind := (end-1)/m.block + 1
	for n := from / m.block; n < behind; n++ {
		if p, ok := m.pages[n]; !ok || mode == causeway.IOReadWrite && !writable(p) {
			return causeway.Span{Offset: n * m.block, Length: (behind - n) * m.block}, true
		}
	}
	return causeway.Span{}, false
}

// Stat returns the attributes as far as the grant's holder knows them.
func (m *mapped) Stat(context.Context) (causeway.Attr, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.attr, nil
}

// trueAttr returns the attributes as the owner would, if nothing was written since he told them: what a write does to the change
// attribute he alone knows.
func (m *mapped) trueAttr() (causeway.Attr, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.attr, m.writes == m.told
}

func (p place) holds() bool {
	return p.state == causeway.ExtentRead || p.state == causeway.ExtentReadWrite || p.written
}

// Close has nothing to do: the extents belong to the grant.
func (m *mapped) Close() error { return nil }
