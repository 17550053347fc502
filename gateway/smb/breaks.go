package smb

import (
	"slices"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/wire"
)

// breaking finds the open whose client is to be told of a break; nil: none here, or none yet.
func (f *files) breaking(b *gateway.Break) *open {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o := f.byID[b.Open]; o != nil {
		return o
	}
	if b.ID.Kind == causeway.Lease {
		for _, o := range f.byHandle[b.Handle] {
			if o.lease == b.ID {
				return o
			}
		}
	}
	if f.opening.Load() > 0 && len(f.early) < maxEarlyBreaks {
		kept := *b
		f.early[b.Open] = &kept
	}
	return nil
}

// maxEarlyBreaks bounds the breaks of opens that are still being made.
const maxEarlyBreaks = 4096

// settled ends a request that may have made an open. When none is left, nobody will ask for early breaks.
func (f *files) settled() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.opening.Add(-1) == 0 && len(f.early) > 0 {
		clear(f.early)
	}
}

// announce says that the client knows of the open: it can be told of breaks.
func (o *open) announce() {
	o.mu.Lock()
	o.announced = true
	breaks := o.breaks
	o.breaks = nil
	o.mu.Unlock()
	for _, b := range breaks {
		o.tellBreak(b)
	}
}

// broken tells the client to give up its oplock or lease ([MS-SMB2] 3.3.4.6, 3.3.4.7), as soon as it knows that it has one.
func (o *open) broken(b *gateway.Break) {
	o.mu.Lock()
	if !o.announced {
		kept := *b
		o.breaks = append(o.breaks, &kept)
		o.mu.Unlock()
		return
	}
	o.mu.Unlock()
	o.tellBreak(b)
}

// tellBreak sends the notification, and does not wait for the client to read it: it is he whom others wait for, as long as a break
// may take and no longer. It has no request: it is neither signed nor counted.
func (o *open) tellBreak(b *gateway.Break) {
	c := o.channelForBreak(b.ID.Kind)
	if c == nil {
		return
	}
	m := newMessage(c, nil)
	m.reader, m.unasked = false, true
	if o.hidden() {
		m.sealed = o.session
	}
	m.startElement()
	if b.ID.Kind == causeway.Lease {
		o.session.srv.files.leasedNow(gateway.LeaseState{ID: b.ID, Caching: b.To, Breaking: b.Ack, Epoch: b.Epoch})
		m.b = wire.AppendLeaseBreak(m.b, b.Epoch, b.Ack, b.ID.Key, uint32(b.From), uint32(b.To))
	} else {
		m.b = wire.AppendOplockBreak(m.b, levelOf(b.To), o.id)
	}
	h := wire.Header{Command: wire.OplockBreak, Flags: wire.FlagReply, MessageID: 1<<64 - 1}
	h.Put(m.b[m.at():])
	m.finish()
}

// hidden reports whether what is said of the open must be encrypted.
func (o *open) hidden() bool { return o.session.encrypt || o.tree.share.Encrypt }

// channelForBreak is where a client is told of a break: of a lease, which is the client's, on its oldest connection on which the same user
// is logged on; of an oplock, or where only the session's keys can hide it, on one of the session's. nil: there is none.
func (o *open) channelForBreak(kind causeway.LeaseKind) *conn {
	s := o.session
	if kind == causeway.Lease && !o.hidden() && s.guid != ([16]byte{}) {
		if c := s.srv.oldest(s.guid, s.cred().UID); c != nil {
			return c
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ch := range s.channels {
		if !ch.conn.stopping.Load() {
			return ch.conn
		}
	}
	return nil
}

// oldest is the oldest connection of a client on which a user is logged on.
func (s *Server) oldest(client [16]byte, uid uint32) *conn {
	s.mu.Lock()
	conns := s.clients[client]
	s.mu.Unlock()
	for _, c := range conns {
		if !c.stopping.Load() && c.hasSession(uid) {
			return c
		}
	}
	return nil
}

func (c *conn) hasSession(uid uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range c.sessions {
		if ch.valid() && ch.session.cred().UID == uid {
			return true
		}
	}
	return false
}

// enlist remembers a connection as its client's, and strike forgets it.
func (s *Server) enlist(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := c.negotiated.clientGUID
	s.clients[id] = append(slices.Clone(s.clients[id]), c)
}

func (s *Server) strike(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := c.negotiated.clientGUID
	rest := slices.DeleteFunc(slices.Clone(s.clients[id]), func(other *conn) bool { return other == c })
	if s.clients[id] = rest; len(rest) == 0 {
		delete(s.clients, id)
	}
}
