package smb

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// resumeKey names an open as the source of a copy within its session.
func (o *open) resumeKey() (key [fscc.ResumeKeySize]byte) {
	le.PutUint64(key[:], o.id.Persistent)
	le.PutUint64(key[8:], o.id.Volatile)
	le.PutUint64(key[16:], o.session.id)
	return key
}

// bySource finds the open that a resume key names.
func (s *session) bySource(key [fscc.ResumeKeySize]byte) *open {
	s.mu.Lock()
	o := s.opens[wire.FileID{Persistent: le.Uint64(key[:]), Volatile: le.Uint64(key[8:])}]
	s.mu.Unlock()
	if o == nil || o.pipe != nil || o.resumeKey() != key {
		return nil
	}
	return o
}

// copyChunks copies between two files of the session ([MS-SMB2] 3.3.5.15.6).
func (m *message) copyChunks(r *wire.IOCtlRequest) ([]byte, error) {
	target := m.open
	c, limits, err := fscc.DecodeCopyChunk(r.Input)
	switch {
	case limits:
		return fscc.AppendCopyLimits(nil), ntstatus.InvalidParameter
	case err != nil:
		return nil, err
	case r.Room < 12:
		return nil, ntstatus.InvalidParameter
	}
	source := m.ch.session.bySource(c.Key)
	switch {
	case source == nil:
		return nil, ntstatus.ObjectNameNotFound
	case source.dir || target.dir:
		return nil, ntstatus.InvalidDeviceRequest
	case source.access&(wire.AccessReadData|wire.AccessExecute) == 0,
		target.access&(wire.AccessWriteData|wire.AccessAppendData) == 0,
		r.Control == fscc.FSCTLCopyChunk && target.access&wire.AccessReadData == 0:
		return nil, ntstatus.AccessDenied
	}
	if err := m.mayWait(); err != nil {
		return nil, err
	}
	from := m.caller
	from.Open, from.Owner, from.ReadOnly = source.openID(), source.owner, source.tree.share.ReadOnly
	buffer := m.conn.srv.pool.Get(fscc.MaxChunkBytes)
	defer buffer.Release()
	total := uint32(0)
	for i, chunk := range c.Chunks {
		if err := m.copyChunk(&from, source, target, chunk, buffer.B[:chunk.Length]); err != nil {
			return fscc.AppendCopied(nil, uint32(i), 0, total), err // what was copied is told with the error
		}
		total += chunk.Length
	}
	return fscc.AppendCopied(nil, uint32(len(c.Chunks)), 0, total), nil
}

// copyChunk copies one range: InvalidViewSize if the source has less.
func (m *message) copyChunk(from *gateway.Caller, source, target *open, chunk fscc.Chunk, b []byte) error {
	t := m.conn.srv.cfg.Transfer
	res, err := t.Read(m.conn.ctx, from, source.handle, chunk.Source, b)
	if err != nil {
		return err
	}
	if res.N < len(b) {
		return invalidViewSize
	}
	w, err := t.Write(m.conn.ctx, &m.caller, target.handle, chunk.Target, b, causeway.Unstable)
	if err == nil {
		target.wrote(w.Verifier)
	}
	return err
}

const invalidViewSize ntstatus.Status = 0xc000001f
