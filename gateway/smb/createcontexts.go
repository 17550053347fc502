package smb

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/contexts"
	"causeway/gateway/smb/fscc"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/security"
	"causeway/gateway/smb/wire"
)

// refuseContexts refuses what would be wrong to ignore ([MS-SMB2] 3.3.5.9). Unknown contexts are ignored.
func refuseContexts(list []contexts.Context) error {
	for _, c := range list {
		switch c.Name {
		case contexts.EABuffer:
			if _, err := fscc.DecodeEAs(c.Data); err != nil {
				return err
			}
		case contexts.TimewarpToken:
			at, err := contexts.DecodeTimewarp(c.Data)
			if err == nil && at != 0 {
				err = ntstatus.ObjectNameNotFound // there are no snapshots
			}
			if err != nil {
				return err
			}
		case contexts.AllocationSize:
			if _, err := contexts.DecodeAllocationSize(c.Data); err != nil {
				return err
			}
		case contexts.MaximalAccess:
			if _, err := contexts.DecodeMaximalAccess(c.Data); err != nil {
				return err
			}
		}
	}
	return nil
}

// allocationUnit is what sizes of allocations are multiples of.
const allocationUnit = 4096

// appendCreate appends the reply's body with the answers to the contexts.
func (m *message) appendCreate(list []contexts.Context, o *open, opened *gateway.Opened, asked *caching) error {
	attr := &opened.Attr
	m.caller.NoWait = false // it was opened: the message must not begin anew
	object, err := m.objectOf(o.handle, attr, o.name())
	if err != nil {
		return err
	}
	var answers []contexts.Context
	for _, c := range list {
		switch c.Name {
		case contexts.MaximalAccess:
			answers = append(answers, contexts.MaximalAccessAnswer(ntstatus.OK, o.maximal))
		case contexts.Apple:
			if q, err := contexts.DecodeApple(c.Data); err == nil {
				answers = append(answers, m.apple().Context(q))
			}
		case contexts.QueryOnDiskID:
			answers = append(answers, contexts.OnDiskIDAnswer(attr.FileID, uint64(o.handle.Volume)))
		}
	}
	if o.lease.Kind == causeway.Lease {
		m.conn.srv.files.leasedNow(opened.Lease)
	}
	level, answers := asked.answer(opened, o.leaseVersion, answers)
	if c := contexts.Find(list, contexts.AllocationSize); c != nil && opened.Action != gateway.DidOpen {
		if size, err := contexts.DecodeAllocationSize(c.Data); err == nil && size <= 1<<40 {
			o.allocation = (size + allocationUnit - 1) &^ (allocationUnit - 1)
		}
	}
	if !o.dir {
		object.Allocation = max(object.Allocation, o.allocation)
	}
	reply := wire.CreateReply{Oplock: level, Action: uint32(opened.Action), Info: infoOf(&object), File: o.id}
	if len(answers) > 0 {
		reply.Contexts = contexts.Append(nil, answers)
	}
	m.b = reply.Append(m.b)
	m.after = append(m.after, o.announce)
	return nil
}

// apple is what macOS is told: that files have modes and owners, that a flush reaches the storage, and whether names have a case. Ids are
// not resolved to paths, and listings carry nothing of their own.
func (m *message) apple() *contexts.AppleAnswer {
	a := &contexts.AppleAnswer{Server: contexts.AppleUnixBased, Volume: contexts.AppleFullSync, Model: "Causeway"}
	if m.conn.srv.cfg.folding(m.tree.volume) != names.Insensitive {
		a.Volume |= contexts.AppleCaseSensitive
	}
	return a
}

// mostAccess finds out what the caller may have on the object, if he asks.
func (m *message) mostAccess(list []contexts.Context, o *open, p *place, did gateway.OpenAction) (err error) {
	if contexts.Find(list, contexts.MaximalAccess) == nil {
		return nil
	}
	if o.maximal = wire.AccessAll; did != gateway.DidCreate && p.exists {
		o.maximal, err = m.rightsOn(p)
	}
	if err != nil {
		o.end(m.conn.ctx)
		m.open = nil
	}
	return err
}

// secureNew gives a new file the descriptor that its creator asked for, or what its directory hands down. If it cannot have it, it goes
// again.
func (m *message) secureNew(o *open, asked *contexts.Context, attr *causeway.Attr) (now causeway.Attr, err error) {
	if asked != nil {
		var d *security.Descriptor
		if d, err = security.DecodeDescriptor(asked.Data); err == nil {
			now, err = m.applyDescriptor(o, d, security.PartOwner|security.PartGroup|security.PartDACL, attr)
		}
	} else {
		now, err = m.handDown(o, attr)
	}
	if err != nil {
		m.undo(o, true)
	}
	return now, err
}

// undo ends an open that was just made, and removes the object if that was, too.
func (m *message) undo(o *open, made bool) {
	m.conn.srv.cfg.Access.SetDelete(m.conn.ctx, &m.caller, o.handle, o.openID(), made)
	o.end(m.conn.ctx)
	m.open = nil
}
