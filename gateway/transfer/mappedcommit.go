package transfer

import (
	"context"
	"slices"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
)

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

// Sync commits, and asks the device whether all that was written under this key counts: also what was committed by the
// answer to a recall, which may not have arrived.
func (m *mapped) Sync(ctx context.Context, _ bool) error {
	if err := m.commit(ctx); err != nil {
		return err
	}
	return m.do(ctx, func(t backend.Tag) error { return m.vol.blocks.Flush(ctx, t) })
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

// dirty reports whether the owner must be told something.
func (m *mapped) dirty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes != m.done
}

// mayTell reports whether there is something to commit, or will be.
func (m *mapped) mayTell() bool { return !m.ended.Load() || m.final.Written }

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

// lose is finish of a grant that has ended by itself: what was not committed is lost.
func (m *mapped) lose() {
	if c := m.finish(); c.Written {
		m.vol.verifier.bump()
	}
}
