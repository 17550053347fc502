package smb

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// zeroData makes a range read as zeros ([MS-FSA] 2.1.5.10.40): of a sparse file it gives the storage back where that can be, otherwise it
// writes them, but not where they are: holes stay holes. It does not go beyond the end of the file.
func (m *message) zeroData(r *wire.IOCtlRequest) error {
	span, err := fscc.DecodeZeroData(r.Input)
	if err != nil {
		return err
	}
	if m.open.dir {
		return ntstatus.InvalidParameter
	}
	if err := m.open.needs(wire.AccessWriteData); err != nil {
		return err
	}
	if err := m.mayWait(); err != nil {
		return err
	}
	attr, err := m.conn.srv.cfg.Access.GetAttr(m.conn.ctx, &m.caller, m.open.handle)
	if err != nil {
		return err
	}
	end := min(span.Offset+span.Length, attr.Size)
	if span.Offset >= end {
		return nil
	}
	d, err := m.dosOf(m.open.handle)
	if err != nil {
		return err
	}
	if t, can := m.conn.srv.cfg.Transfer.(gateway.Sparse); can && d.Attributes&fscc.AttrSparse != 0 {
		written, err := t.Punch(m.conn.ctx, &m.caller, m.open.handle, causeway.Span{Offset: span.Offset, Length: end - span.Offset})
		if err == nil {
			m.open.wrote(written.Verifier)
		}
		if causeway.CodeOf(err) != causeway.ErrNotSupp {
			return err
		}
	}
	return m.zeroStored(span.Offset, end)
}

// partsAtOnce is how many parts of a file that take storage are asked for at a time.
const partsAtOnce = 256

// zeroStored writes zeros where there is storage: to look through a hole of exabytes would take years, and one request would be enough for it.
func (m *message) zeroStored(off, end uint64) error {
	t, can := m.conn.srv.cfg.Transfer.(gateway.Sparse)
	for can && off < end {
		parts, more, err := t.Data(m.conn.ctx, &m.caller, m.open.handle, causeway.Span{Offset: off, Length: end - off}, partsAtOnce)
		if err != nil {
			break // it is not told, or not to this caller, or there are locks
		}
		for _, p := range parts {
			if err := m.writeZeros(p.Offset, p.End()); err != nil {
				return err
			}
			off = p.End()
		}
		if !more || len(parts) == 0 {
			return nil
		}
	}
	return m.writeZeros(off, end)
}

// writeZeros goes on until all is zero or the client is gone.
func (m *message) writeZeros(off, end uint64) error {
	t := m.conn.srv.cfg.Transfer
	buffer := m.conn.srv.pool.Get(hole)
	defer buffer.Release()
	for off < end {
		if err := m.conn.ctx.Err(); err != nil {
			return ntstatus.Cancelled
		}
		b := buffer.B[:min(end-off, hole-off%hole)]
		res, err := t.Read(m.conn.ctx, &m.caller, m.open.handle, off, b)
		if err == nil && zeros(b[:res.N]) {
			off += uint64(len(b))
			continue
		}
		clear(b)
		written, err := t.Write(m.conn.ctx, &m.caller, m.open.handle, off, b, causeway.Unstable)
		if err != nil {
			return err
		}
		if written.Stable == causeway.Unstable {
			m.open.wrote(written.Verifier)
		}
		off += uint64(len(b))
	}
	return nil
}

// allocatedRanges tells which parts of a range hold data: of a file that is not sparse, all up to its end ([MS-FSA] 2.1.5.10.22).
func (m *message) allocatedRanges(r *wire.IOCtlRequest) ([]byte, error) {
	span, err := fscc.DecodeAllocatedRanges(r.Input)
	if err != nil {
		return nil, err
	}
	if m.open.dir {
		return nil, ntstatus.InvalidParameter
	}
	if err := m.open.needs(wire.AccessReadData); err != nil {
		return nil, err
	}
	attr, err := m.conn.srv.cfg.Access.GetAttr(m.conn.ctx, &m.caller, m.open.handle)
	if err != nil {
		return nil, err
	}
	end := min(span.Offset+span.Length, attr.Size)
	if span.Offset >= end {
		return []byte{}, nil
	}
	d, err := m.dosOf(m.open.handle)
	if err != nil {
		return nil, err
	}
	if d.Attributes&fscc.AttrSparse != 0 {
		if err := m.mayWait(); err != nil {
			return nil, err
		}
		list, err := m.stored(m.open, span.Offset, end, int(r.Room))
		if err != nil {
			return nil, err
		}
		return fscc.AppendAllocatedRanges([]byte{}, list, int(r.Room))
	}
	return fscc.AppendAllocatedRanges([]byte{}, []causeway.Span{{Offset: span.Offset, Length: end - span.Offset}}, int(r.Room))
}
