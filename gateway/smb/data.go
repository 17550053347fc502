package smb

import (
	"math"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// inlineAtMost is the largest payload in bytes that is moved on the reader's goroutine whatever happens: larger ones could keep others
// waiting, so that another goroutine reads on when they do.
const inlineAtMost = 64 << 10

// read is [MS-SMB2] 3.3.5.12: the storage fills the reply itself.
func (m *message) read() error {
	var r wire.ReadRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	if r.Length > maxTransfer || !m.affords(r.Length) || r.Channel != 0 {
		return ntstatus.InvalidParameter
	}
	if err := m.find(r.File); err != nil {
		return err
	}
	if m.open.pipe != nil {
		return m.readPipe(r.Length)
	}
	switch {
	case m.open.dir:
		return ntstatus.InvalidDeviceRequest
	case m.open.access&(wire.AccessReadData|wire.AccessExecute) == 0:
		return ntstatus.AccessDenied
	case r.Offset > math.MaxInt64 || uint64(r.Length) > math.MaxInt64-r.Offset:
		return ntstatus.InvalidParameter
	case len(m.b)-prefix+int(r.Length) > maxReply:
		return ntstatus.InsufficientResources
	case r.Length > inlineAtMost && m.reader:
		return errLarge
	}
	n := int(r.Length)
	m.reserve(wire.ReadReplySize + n)
	at := len(m.b)
	dst := m.b[at+wire.ReadReplySize : at+wire.ReadReplySize+n]
	ctx, wait := m.conn.ctx, (*patience)(nil)
	if len(m.elements) == 1 { // else the replies before would go, with the buffer that is read into
		ctx, wait = m.patiently()
	}
	var res gateway.ReadResult
	err := m.served(ctx, func() (err error) {
		res, err = m.conn.srv.cfg.Transfer.Read(ctx, &m.caller, m.open.handle, r.Offset, dst)
		return err
	})
	if err = wait.end(err); err != nil {
		return err
	}
	if res.N == 0 && n > 0 || uint32(res.N) < r.Minimum {
		return ntstatus.EndOfFile
	}
	m.open.position.Store(r.Offset + uint64(res.N))
	m.b = m.b[:at+wire.ReadReplySize+res.N]
	wire.PutRead(m.b[at:], uint32(res.N))
	return nil
}

// write is [MS-SMB2] 3.3.5.13.
func (m *message) write() error {
	var r wire.WriteRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	n := len(r.Data)
	if n > maxTransfer || !m.affords(uint32(n)) || r.Channel != 0 {
		return ntstatus.InvalidParameter
	}
	if err := m.find(r.File); err != nil {
		return err
	}
	if m.open.pipe != nil {
		return m.writePipe(r.Data)
	}
	switch {
	case m.open.dir:
		return ntstatus.InvalidDeviceRequest
	case m.open.access&(wire.AccessWriteData|wire.AccessAppendData) == 0:
		return ntstatus.AccessDenied
	case r.Offset > math.MaxInt64 || uint64(n) > math.MaxInt64-r.Offset:
		return ntstatus.InvalidParameter
	case n > inlineAtMost && m.reader:
		return errLarge
	}
	how := causeway.Unstable
	if r.Flags&wire.WriteThrough != 0 || m.open.options&wire.OptWriteThrough != 0 {
		how = causeway.FileSync
		if err := m.mayWait(); err != nil {
			return err
		}
	}
	if n > 0 {
		ctx, wait := m.patiently()
		var res gateway.WriteResult
		err := m.served(ctx, func() (err error) {
			res, err = m.conn.srv.cfg.Transfer.Write(ctx, &m.caller, m.open.handle, r.Offset, r.Data, how)
			return err
		})
		if err = wait.end(err); err != nil {
			return err
		}
		m.open.dirty.Store(true)
		if res.Stable == causeway.Unstable {
			m.open.wrote(res.Verifier)
		}
	}
	m.open.position.Store(r.Offset + uint64(n))
	m.b = wire.AppendWrite(m.b, uint32(n))
	return nil
}

// wrote remembers under which verifier unstable data was written.
func (o *open) wrote(v causeway.Verifier) {
	o.dirty.Store(true)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes++
	if !o.unstable {
		o.unstable, o.verifier = true, v
	}
	o.lost = o.lost || o.verifier != v
}

// flush is [MS-SMB2] 3.3.5.11. If something may have been lost since it was written, it fails, once.
func (m *message) flush() error {
	id, err := wire.ParseFlush(m.m)
	if err != nil {
		return err
	}
	if err := m.find(id); err != nil {
		return err
	}
	o := m.open
	if o.pipe == nil {
		if err := o.needs(wire.AccessWriteData | wire.AccessAppendData); err != nil {
			return err
		}
		if err := m.mayWait(); err != nil {
			return err
		}
		if err := m.sync(o); err != nil {
			return err
		}
	}
	m.b = wire.AppendEmpty(m.b)
	return nil
}

func (m *message) sync(o *open) error {
	cfg := &m.conn.srv.cfg
	if o.dir {
		return cfg.Access.Persist(m.conn.ctx, o.handle.Volume, o.handle.Object)
	}
	o.mu.Lock()
	writes := o.writes
	o.mu.Unlock()
	var res gateway.SyncResult
	err := m.served(m.conn.ctx, func() (err error) {
		res, err = cfg.Transfer.Sync(m.conn.ctx, &m.caller, o.handle, causeway.Span{Length: causeway.ToEOF})
		return err
	})
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	lost := o.unstable && (o.lost || o.verifier != res.Verifier)
	o.unstable, o.lost, o.verifier = o.writes != writes, false, res.Verifier // what came meanwhile may not be stable yet
	if lost {
		return unexpectedIOError
	}
	return nil
}
