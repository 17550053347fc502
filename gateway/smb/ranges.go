package smb

import (
	"causeway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// zeroData makes a range read as zeros ([MS-FSA] 2.1.5.10.40). It writes them: that storage is given back is a promise to sparse files
// only, and what the range takes is then as the client sees it. It does not go beyond the end of the file.
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
	zeros := m.conn.srv.pool.Get(int(min(span.Length, maxTransfer)))
	defer zeros.Release()
	clear(zeros.B)
	for off := span.Offset; off < end; {
		n := min(end-off, uint64(len(zeros.B)))
		res, err := m.conn.srv.cfg.Transfer.Write(m.conn.ctx, &m.caller, m.open.handle, off, zeros.B[:n], causeway.Unstable)
		if err != nil {
			return err
		}
		if res.Stable == causeway.Unstable {
			m.open.wrote(res.Verifier)
		}
		off += n
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
		list, err := m.data(m.open, span.Offset, end)
		if err != nil {
			return nil, err
		}
		return fscc.AppendAllocatedRanges([]byte{}, list, int(r.Room))
	}
	return fscc.AppendAllocatedRanges([]byte{}, []causeway.Span{{Offset: span.Offset, Length: end - span.Offset}}, int(r.Room))
}
