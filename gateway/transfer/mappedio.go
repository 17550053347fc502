package transfer

import (
	"context"
	"math"
	"time"

	"causeway"
	"causeway/backend"
)

// ReadAt reads blocks whose extents are known.
func (m *mapped) ReadAt(ctx context.Context, p []byte, off uint64) (int, error) {
	m.io.RLock()
	defer m.io.RUnlock()
	if m.ended.Load() {
		return 0, errEnded
	}
	first := off / m.block
	buf := make([]byte, ((off+uint64(len(p))+m.block-1)/m.block-first)*m.block)
	if err := m.readBlocks(ctx, first, buf); err != nil {
		return 0, err
	}
	return copy(p, buf[off-first*m.block:]), nil
}

// readBlocks fills buf with blocks of the file: those without data are zeros.
func (m *mapped) readBlocks(ctx context.Context, first uint64, buf []byte) error {
	for len(buf) > 0 {
		m.mu.Lock()
		at, n, data := m.runLocked(first, uint64(len(buf))/m.block)
		m.mu.Unlock()
		part := buf[:n*m.block]
		if data {
			if err := m.do(ctx, func(t backend.Tag) error { return m.vol.blocks.ReadBlocks(ctx, t, at, part) }); err != nil {
				return err
			}
		} else {
			clear(part)
		}
		buf, first = buf[len(part):], first+n
	}
	return nil
}

// maxRun bounds one call of the device, in bytes.
const maxRun = 1 << 20

// runLocked returns how many blocks from the first on lie behind one another, at most so many, and whether they hold data.
func (m *mapped) runLocked(first, most uint64) (at, n uint64, data bool) {
	start := m.pages[first]
	data = start.holds()
	for n = 1; n < min(most, maxRun/m.block); n++ {
		p, ok := m.pages[first+n]
		if !ok || p.holds() != data || data && p.at != start.at+n*m.block {
			break
		}
	}
	return start.at, n, data
}

// WriteAt writes to blocks whose extents are known and writable.
func (m *mapped) WriteAt(ctx context.Context, p []byte, off uint64) (int, error) {
	if off > math.MaxInt64 || uint64(len(p)) > math.MaxInt64-off {
		return 0, causeway.ErrFBig
	}
	m.io.RLock()
	defer m.io.RUnlock()
	m.writing.Lock()
	defer m.writing.Unlock()
	if m.ended.Load() {
		return 0, errEnded
	}
	m.mu.Lock()
	size := m.attr.Size
	m.mu.Unlock()
	if err := m.zeroTail(ctx, size, off); err != nil {
		return 0, err
	}
	first := off / m.block
	buf := make([]byte, ((off+uint64(len(p))+m.block-1)/m.block-first)*m.block)
	if err := m.readEdges(ctx, first, buf, off, uint64(len(p)), size); err != nil {
		return 0, err
	}
	copy(buf[off-first*m.block:], p)
	if err := m.writeBlocks(ctx, first, buf); err != nil {
		return 0, err
	}
	m.wrote(first, uint64(len(buf))/m.block, off+uint64(len(p)))
	return len(p), nil
}

// readEdges reads what a write leaves of its first and last block, but nothing from behind the end: that is zeros.
func (m *mapped) readEdges(ctx context.Context, first uint64, buf []byte, off, n, size uint64) error {
	blocks := uint64(len(buf)) / m.block
	if off%m.block == 0 && (off+n)%m.block == 0 {
		return nil
	}
	if err := m.readBlocks(ctx, first, buf[:m.block]); err != nil {
		return err
	}
	if blocks > 1 {
		if err := m.readBlocks(ctx, first+blocks-1, buf[(blocks-1)*m.block:]); err != nil {
			return err
		}
	}
	if start := first * m.block; size < start+uint64(len(buf)) {
		clear(buf[max(size, start)-start:])
	}
	return nil
}

func (m *mapped) writeBlocks(ctx context.Context, first uint64, buf []byte) error {
	for len(buf) > 0 {
		m.mu.Lock()
		start, n := m.pages[first], uint64(1)
		for ; n < min(uint64(len(buf))/m.block, maxRun/m.block) && m.pages[first+n].at == start.at+n*m.block; n++ {
		}
		m.mu.Unlock()
		if !writable(start) {
			return errEnded
		}
		if err := m.do(ctx, func(t backend.Tag) error { return m.vol.blocks.WriteBlocks(ctx, t, start.at, buf[:n*m.block]) }); err != nil {
			return err
		}
		buf, first = buf[n*m.block:], first+n
	}
	return nil
}

// zeroTail zeroes what lies behind the end in the last block when the file becomes longer.
func (m *mapped) zeroTail(ctx context.Context, size, off uint64) error {
	if off <= size || size%m.block == 0 {
		return nil
	}
	m.mu.Lock()
	p := m.pages[size/m.block]
	m.mu.Unlock()
	if !p.holds() {
		return nil
	}
	buf := make([]byte, m.block)
	if err := m.readBlocks(ctx, size/m.block, buf); err != nil {
		return err
	}
	clear(buf[size%m.block:])
	return m.writeBlocks(ctx, size/m.block, buf)
}

// wrote notes a write, now that the device has it.
func (m *mapped) wrote(first, blocks, end uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := first; n < first+blocks; n++ {
		p := m.pages[n]
		p.written = true
		m.pages[n] = p
	}
	m.writes++
	m.end = max(m.end, end)
	a := &m.attr
	a.Size = max(a.Size, end)
	if now := causeway.TimeOf(time.Now()); now.Compare(a.Mtime) > 0 {
		a.Mtime, a.Ctime = now, now
	}
	a.Mode &^= causeway.ModeSetUID
	if a.Mode&0o010 != 0 {
		a.Mode &^= causeway.ModeSetGID
	}
}
