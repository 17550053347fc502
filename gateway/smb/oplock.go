package smb

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// cachingOf is what an oplock lets its holder cache; leases are not offered yet.
func cachingOf(level byte) causeway.Caching {
	switch level {
	case wire.OplockII:
		return causeway.CacheRead
	case wire.OplockExclusive:
		return causeway.CacheRead | causeway.CacheWrite
	case wire.OplockBatch:
		return causeway.CacheAll
	}
	return causeway.CacheNone
}

// levelOf is the oplock that lets its holder cache so much.
func levelOf(c causeway.Caching) byte {
	switch {
	case c == causeway.CacheAll:
		return wire.OplockBatch
	case c&causeway.CacheWrite != 0:
		return wire.OplockExclusive
	case c&causeway.CacheRead != 0:
		return wire.OplockII
	}
	return wire.OplockNone
}

// broken tells the client to give up its oplock ([MS-SMB2] 3.3.4.6). The notification has no request: it is neither signed nor
// counted.
func (o *open) broken(b *gateway.Break) {
	o.session.mu.Lock()
	channels := append([]*channel(nil), o.session.channels...)
	o.session.mu.Unlock()
	if len(channels) == 0 {
		return
	}
	m := newMessage(channels[0].conn, nil)
	m.reader = false
	if o.session.encrypt {
		m.sealed = o.session
	}
	m.startElement()
	m.b = wire.AppendOplockBreak(m.b, levelOf(b.To), o.id)
	h := wire.Header{Command: wire.OplockBreak, Flags: wire.FlagReply, MessageID: 1<<64 - 1}
	h.Put(m.b[m.at():])
	m.finish()
}

// oplockBreak acknowledges a break ([MS-SMB2] 3.3.5.22.1).
func (m *message) oplockBreak() error {
	var a wire.OplockAck
	if err := a.Parse(m.m); err != nil {
		return err
	}
	if a.IsLease {
		return ntstatus.ObjectNameNotFound
	}
	m.tree = m.ch.session.tree(m.h.TreeID)
	if err := m.find(a.File); err != nil {
		return err
	}
	if a.Level != wire.OplockNone && a.Level != wire.OplockII {
		return ntstatus.InvalidParameter
	}
	state, err := m.conn.srv.cfg.Access.Acknowledge(m.conn.ctx, &m.caller, m.open.handle, m.open.lease, cachingOf(a.Level))
	switch causeway.CodeOf(err) {
	case causeway.OK:
	case causeway.ErrInval, causeway.ErrNotSync, causeway.ErrBadOpen:
		return invalidOplockProtocol
	default:
		return err
	}
	m.b = wire.AppendOplockBreak(m.b, levelOf(state.Caching), m.open.id)
	return nil
}

const invalidOplockProtocol ntstatus.Status = 0xc00000e3
