package smb

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/contexts"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// cachingOf is what an oplock lets its holder cache.
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

// oplockBreak acknowledges a break ([MS-SMB2] 3.3.5.22).
func (m *message) oplockBreak() error {
	var a wire.OplockAck
	if err := a.Parse(m.m); err != nil {
		return err
	}
	if a.IsLease {
		return m.leaseBreak(&a)
	}
	m.tree = m.ch.session.tree(m.h.TreeID)
	if err := m.find(a.File); err != nil {
		return err
	}
	if m.open.lease.Kind != causeway.Oplock {
		return invalidOplockProtocol
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

// leaseBreak acknowledges the break of a lease ([MS-SMB2] 3.3.5.22.2): the key names it among those of the client.
func (m *message) leaseBreak(a *wire.OplockAck) error {
	id := causeway.LeaseID{Kind: causeway.Lease, Client: m.caller.Owner.Client, Key: a.Key}
	h, ok := m.conn.srv.files.leased(id)
	if !ok {
		return ntstatus.ObjectNameNotFound
	}
	state, err := m.conn.srv.cfg.Access.Acknowledge(m.conn.ctx, &m.caller, h, id, causeway.Caching(a.State)&causeway.CacheAll)
	switch causeway.CodeOf(err) {
	case causeway.OK:
	case causeway.ErrInval:
		return requestNotAccepted
	case causeway.ErrNotSync:
		return ntstatus.Unsuccessful
	case causeway.ErrBadOpen:
		return ntstatus.ObjectNameNotFound
	default:
		return err
	}
	m.conn.srv.files.leasedNow(state)
	m.b = wire.AppendLeaseAck(m.b, a.Key, uint32(state.Caching))
	return nil
}

// leased finds the object of a client's lease.
func (f *files) leased(id causeway.LeaseID) (causeway.Handle, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.leases[id]
	if len(l) == 0 {
		return causeway.Handle{}, false
	}
	return l[0].handle, true
}

// leaseVersion is the version of a lease that other opens here have already, or that of the one that comes.
func (f *files) leaseVersion(id causeway.LeaseID, otherwise int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.leases[id]; len(l) > 0 && l[0].leaseVersion != 0 {
		return l[0].leaseVersion
	}
	return otherwise
}

const (
	invalidOplockProtocol ntstatus.Status = 0xc00000e3
	requestNotAccepted                    = ntstatus.RequestNotAccepted
)

// caching is what a CREATE asks to keep: data, names, the open itself ([MS-SMB2] 3.3.5.9.6 to 3.3.5.9.12).
type caching struct {
	lease *contexts.LeaseRequest // nil: none
	state causeway.Caching

	durable   bool
	version   int      // of the durable request
	app       [16]byte // of the application on behalf of which it is
	keep      contexts.DurableV2
	guid      [16]byte
	reconnect bool
	file      contexts.FileID
}

// apply asks the engines for it.
func (c *caching) apply(spec *gateway.OpenSpec, m *message, p *place) {
	client := m.caller.Owner.Client
	switch {
	case c.lease != nil:
		spec.Lease = gateway.LeaseSpec{
			ID:      causeway.LeaseID{Kind: causeway.Lease, Client: client, Key: c.lease.Key},
			Caching: c.state, Parent: c.lease.ParentKey, V2: c.lease.Version == 2, Epoch: c.lease.Epoch,
		}
		dir := spec.OnlyDir || p.exists && p.entry.Attr.Type == causeway.TypeDirectory
		if dir && c.lease.Version == 1 {
			spec.Lease.Caching = 0
		}
	case c.state != 0:
		spec.Lease = gateway.LeaseSpec{ID: causeway.LeaseID{Kind: causeway.Oplock, Client: client}, Caching: c.state}
	}
	if c.durable {
		spec.Keep = gateway.KeepSpec{For: keptFor(c.keep.Timeout), GUID: c.guid}
	}
}

// answer is what the reply says of it: the oplock level, and contexts.
func (c *caching) answer(opened *gateway.Opened, version int, list []contexts.Context) (byte, []contexts.Context) {
	level := levelOf(opened.Lease.Caching)
	if c.lease != nil {
		level = wire.OplockLease
		l := contexts.LeaseRequest{Version: version, Key: c.lease.Key, State: contexts.LeaseState(opened.Lease.Caching)}
		if opened.Lease.Breaking {
			l.Flags |= contexts.LeaseBreaking
		}
		if l.Version == 2 {
			l.Epoch = opened.Lease.Epoch
			if c.lease.Flags&contexts.LeaseParentSet != 0 {
				l.Flags |= contexts.LeaseParentSet
				l.ParentKey = c.lease.ParentKey
			}
		}
		list = append(list, contexts.Context{Name: contexts.Lease, Data: l.Encode()})
	}
	if c.durable && opened.Keep > 0 {
		if c.version == 2 {
			list = append(list, contexts.DurableV2Answer(opened.Keep, 0))
		} else {
			list = append(list, contexts.DurableAnswer())
		}
	}
	return level, list
}

// caching reads what a CREATE asks to keep.
func (m *message) caching(r *wire.CreateRequest, list []contexts.Context) (c caching, err error) {
	dialect := m.conn.negotiated.dialect
	if err := m.durable(list, &c); err != nil {
		return c, err
	}
	if c.app, err = appInstance(list); err != nil {
		return c, err
	}
	c.state = cachingOf(r.Oplock)
	if l := contexts.Find(list, contexts.Lease); l != nil && (r.Oplock == wire.OplockLease || c.reconnect) && dialect >= wire.Dialect210 {
		lease, err := contexts.DecodeLease(l.Data)
		if err != nil {
			return c, err
		}
		if lease.Version == 1 || dialect >= wire.Dialect300 {
			c.lease = &lease
			if lease.State.Valid() {
				c.state = causeway.Caching(lease.State)
			}
		}
	}
	if m.conn.srv.leaving.Load() { // what is cached now would have to be written back at once
		if c.state &^= causeway.CacheWrite; c.lease == nil {
			c.state &= causeway.CacheRead
		}
	}
	return c, nil
}
