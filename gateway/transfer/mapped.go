package transfer

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
)

// errEnded says that I/O came after its grant had been given up: it is done under a new one.
var errEnded = &causeway.Error{Op: "map", Code: causeway.ErrDelay}

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

func (m *mapped) tag() backend.Tag { return backend.Tag{Epoch: *m.epoch.Load(), Key: m.key} }

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

// dirty reports whether the owner must be told something.
func (m *mapped) dirty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes != m.done
}

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

func (p place) holds() bool {
	return p.state == causeway.ExtentRead || p.state == causeway.ExtentReadWrite || p.written
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

// collect returns what must be committed, and up to which write.
func (m *mapped) collect() (c gateway.Commit, upTo uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.writes == m.done {
		return c, m.writes
	}
	c = gateway.Commit{Written: true, Size: m.end, Mtime: m.attr.Mtime, Ctime: m.attr.Ctime}
	for _, n := range m.freshLocked() {
		p, off := m.pages[n], n*m.block
		if i := len(c.Extents) - 1; i >= 0 && c.Extents[i].FileOffset+c.Extents[i].Length == off && c.Extents[i].DeviceOffset+c.Extents[i].Length == p.at {
			c.Extents[i].Length += m.block
			continue
		}
		c.Extents = append(c.Extents, causeway.Extent{FileOffset: off, DeviceOffset: p.at, Length: m.block, State: causeway.ExtentProvisional})
	}
	return c, m.writes
}

// Sync commits, and asks the device whether all that was written under this key counts: also what was committed by the
// answer to a recall, which may not have arrived.
func (m *mapped) Sync(ctx context.Context, _ bool) error {
	if err := m.commit(ctx); err != nil {
		return err
	}
	return m.do(ctx, func(t backend.Tag) error { return m.vol.blocks.Flush(ctx, t) })
}

// freshLocked lists the blocks that hold data and are not the file's yet.
func (m *mapped) freshLocked() []uint64 {
	var list []uint64
	for n, p := range m.pages {
		if p.state == causeway.ExtentProvisional && p.written {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}

// commit tells the owner what was written.
func (m *mapped) commit(ctx context.Context) error {
	for range attempts {
		seq, epoch := m.seq.Load(), *m.epoch.Load()
		c, upTo := m.collect()
		if !c.Written {
			return nil
		}
		held := gateway.Held{Handle: m.handle, Mode: causeway.IOReadWrite, Seq: seq}
		err := m.engine.cfg.Grants.Commit(ctx, m.engine.cfg.Node, epoch, held, &c)
		switch {
		case err == nil:
			m.committed(&c, upTo)
			return nil
		case causeway.CodeOf(err) != causeway.ErrStale && causeway.CodeOf(err) != causeway.ErrStaleEpoch:
			return err
		case causeway.CodeOf(err) == causeway.ErrStaleEpoch && m.follows(ctx, epoch):
		case m.seq.Load() == seq:
			return causeway.ErrDelay // the grant has ended, and with it what was written
		}
	}
	return causeway.ErrDelay
}

func (m *mapped) committed(c *gateway.Commit, upTo uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = max(m.done, upTo)
	for _, x := range c.Extents {
		for off := uint64(0); off < x.Length; off += m.block {
			n := (x.FileOffset + off) / m.block
			if p := m.pages[n]; p.at == x.DeviceOffset+off {
				p.state = causeway.ExtentReadWrite
				m.pages[n] = p
			}
		}
	}
}

// finish ends all I/O, waits for what runs, and returns what must be committed, each time that it is called.
func (m *mapped) finish() gateway.Commit {
	m.io.Lock()
	defer m.io.Unlock()
	if !m.ended.Load() {
		m.final, _ = m.collect()
		m.ended.Store(true)
	}
	return m.final
}

// mayTell reports whether there is something to commit, or will be.
func (m *mapped) mayTell() bool { return !m.ended.Load() || m.final.Written }

// lose is finish of a grant that has ended by itself: what was not committed is lost.
func (m *mapped) lose() {
	if c := m.finish(); c.Written {
		m.vol.verifier.bump()
	}
}

// do does I/O of the device. Where a new owner has claimed the volume and not yet taken the grant over, it waits for that.
func (m *mapped) do(ctx context.Context, io func(backend.Tag) error) error {
	for {
		t := m.tag()
		err := io(t)
		if err == nil || isFence(err) || causeway.CodeOf(err) != causeway.ErrStaleEpoch || !m.follows(ctx, t.Epoch) {
			return m.refused(err)
		}
	}
}

// follows waits until the grant is of another epoch than this, for as long as a grant lasts that nobody renews; false if it is not.
func (m *mapped) follows(ctx context.Context, e causeway.Epoch) bool {
	ctx, cancel := context.WithTimeout(ctx, m.lease)
	defer cancel()
	for {
		m.mu.Lock()
		moved := m.moved
		m.mu.Unlock()
		if *m.epoch.Load() != e {
			return true
		}
		select {
		case <-moved:
		case <-m.engine.cache.stop:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// follow takes the grant over into a new epoch.
func (m *mapped) follow(e causeway.Epoch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch.Store(&e)
	close(m.moved)
	m.moved = make(chan struct{})
}

// refused is what a failure of the device is to clients: what a fence refused they may send again.
func (m *mapped) refused(err error) error {
	if err == nil {
		return nil
	}
	if isFence(err) {
		m.engine.fenced(m.vol, m.key)
	}
	if causeway.CodeOf(err) == causeway.ErrStaleEpoch {
		return causeway.ErrDelay
	}
	return err
}

func isFence(err error) bool {
	var e *causeway.Error
	return errors.As(err, &e) && e == backend.ErrFenced
}

// Close has nothing to do: the extents belong to the grant.
func (m *mapped) Close() error { return nil }

// lost reports that the device refuses the key.
func (m *mapped) lost() bool { return m.key <= m.vol.lost.Load() }

// fenced notes that the device refuses a key: everything that was written under it and not committed is lost, and so are all
// grants that were used with it.
func (e *Engine) fenced(v *volume, key uint64) {
	for {
		lost := v.lost.Load()
		if key <= lost {
			return
		}
		if v.lost.CompareAndSwap(lost, key) {
			break
		}
	}
	v.verifier.bump()
}
