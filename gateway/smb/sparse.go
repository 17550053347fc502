package smb

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// hole is the unit in which sparse files have holes to clients, in bytes: that of NTFS. maxSearched bounds how much of a file is read for
// one question about them; what lies behind counts as data.
const (
	hole        = 64 << 10
	maxSearched = 16 << 20
)

// setSparse marks a file as one that may have holes, or as one that has none ([MS-FSA] 2.1.5.10.36). Every file may have some below; the
// mark says whether clients are told.
func (m *message) setSparse(r *wire.IOCtlRequest) error {
	o := m.open
	if o.dir || o.symlink {
		return ntstatus.InvalidParameter
	}
	if err := o.needs(wire.AccessWriteData | wire.AccessWriteAttributes | wire.AccessAppendData); err != nil {
		return err
	}
	if err := m.mayWait(); err != nil {
		return err
	}
	d, err := m.dosOf(o.handle)
	if err != nil {
		return err
	}
	on := fscc.DecodeSetSparse(r.Input)
	if on == (d.Attributes&fscc.AttrSparse != 0) {
		return nil
	}
	if !d.Recorded {
		attr := causeway.Attr{Type: causeway.TypeRegular, Mode: newFileMode}
		d.Recorded, d.Attributes = true, fscc.AttributesOf(&attr, &fscc.DOS{}, o.name())&fscc.Settable
	}
	if d.Attributes &^= fscc.AttrSparse; on {
		d.Attributes |= fscc.AttrSparse
	}
	return m.setDOS(o.handle, &d)
}

// stored returns the parts of a span of a sparse file that take storage, as far as the storage tells; where it does not, those that hold
// something else than zeros. There are no more than an answer of so many bytes has room for, and one.
func (m *message) stored(o *open, from, end uint64, room int) ([]causeway.Span, error) {
	t, can := m.conn.srv.cfg.Transfer.(gateway.Sparse)
	if !can {
		return m.data(o, from, end)
	}
	list, _, err := t.Data(m.conn.ctx, &m.caller, o.handle, causeway.Span{Offset: from, Length: end - from}, room/rangeSize+1)
	if code := causeway.CodeOf(err); code == causeway.ErrNotSupp || code == causeway.ErrLocked {
		return m.data(o, from, end)
	}
	return list, err
}

// rangeSize is the size of a FILE_ALLOCATED_RANGE_BUFFER in bytes ([MS-FSCC] 2.3.52).
const rangeSize = 16

// data returns the parts of a span of a sparse file that hold something else than zeros, in units of holes: storage is not asked for its
// holes, and whether zeros are kept or left out there is nobody's affair.
func (m *message) data(o *open, from, end uint64) ([]causeway.Span, error) {
	buffer := m.conn.srv.pool.Get(hole)
	defer buffer.Release()
	var list []causeway.Span
	add := func(from, end uint64) {
		if n := len(list); n > 0 && list[n-1].Offset+list[n-1].Length == from {
			list[n-1].Length += end - from
			return
		}
		list = append(list, causeway.Span{Offset: from, Length: end - from})
	}
	for off, searched := from&^(hole-1), 0; off < end; off, searched = off+hole, searched+hole {
		if searched >= maxSearched {
			add(max(off, from), end)
			break
		}
		res, err := m.conn.srv.cfg.Transfer.Read(m.conn.ctx, &m.caller, o.handle, off, buffer.B[:hole])
		if causeway.CodeOf(err) == causeway.ErrLocked { // there is something that others may write
			add(max(off, from), min(off+hole, end))
			continue
		}
		if err != nil {
			return nil, err
		}
		if !zeros(buffer.B[:res.N]) {
			add(max(off, from), min(off+hole, end))
		}
		if res.N < hole {
			break
		}
	}
	return list, nil
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
