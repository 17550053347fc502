package smb

import (
	"slices"
	"sync"

	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// pending is a request that waits for something to happen: a lock, a change. Its client was told by an interim reply that another
// one follows ([MS-SMB2] 3.3.4.2), which whoever completes it first sends.
type pending struct {
	id      uint64
	message uint64
	conn    *conn
	open    *open
	reply   *message // to be
	request wire.Command
	abandon func()        // takes back what was asked for; may be nil
	over    chan struct{} // not nil: the request goes on when its connection ends, until this is closed
	stop    func()        // not nil: a goroutine waits, and replies when this was called

	mu       sync.Mutex
	told     bool // the interim reply is on its way
	complete bool
	early    func()          // the completion that came before
	status   ntstatus.Status // with which it was stopped
}

// suspend makes the element at hand wait. Only the last one of a compound can ([MS-SMB2] 3.3.5.2.7), and only so many of a
// connection.
func (m *message) suspend(abandon func()) (*pending, error) {
	c := m.conn
	if len(m.rest) > 0 {
		return nil, ntstatus.InternalError
	}
	p := &pending{message: m.h.MessageID, conn: c, open: m.open, request: m.h.Command, abandon: abandon}
	later := newMessage(c, nil)
	later.reader, later.sealed, later.request, later.final = false, m.sealed, m.request, true
	later.m, later.begun, later.unasked = nil, false, true
	p.reply = later
	c.mu.Lock()
	if c.inFlight[m.h.MessageID] || len(c.pending) >= c.srv.cfg.MaxRequests {
		status := ntstatus.InsufficientResources
		if c.inFlight[m.h.MessageID] {
			status = ntstatus.Cancelled
		}
		c.mu.Unlock()
		return nil, status
	}
	c.asyncs++
	p.id = c.asyncs
	c.pending[p.id] = p
	c.mu.Unlock()
	m.wait, later.wait, later.final = p, p, true
	m.counted = counted{} // it is the later one that ends
	return p, nil
}

// announced says that the interim reply was queued.
func (p *pending) announced() {
	p.mu.Lock()
	p.told = true
	early := p.early
	p.mu.Unlock()
	if early != nil {
		early()
	}
}

// finish sends the reply, unless somebody else did: with what fill appends, or an error. It reports whether it did.
func (p *pending) finish(err error, fill func(*message) error) bool {
	p.mu.Lock()
	if p.complete {
		p.mu.Unlock()
		return false
	}
	p.complete = true
	send := func() {
		m := p.reply
		m.startElement()
		if err == nil && fill != nil {
			err = fill(m)
		}
		m.finishElement(err)
		m.finish()
	}
	told := p.told
	if !told {
		p.early = send
	}
	p.mu.Unlock()
	p.conn.mu.Lock()
	delete(p.conn.pending, p.id)
	p.conn.mu.Unlock()
	if told {
		send()
	}
	return true
}

// depart says that the element at hand goes on in a goroutine, where a CANCEL can come before it waits for anything; arrive that it
// is answered, or waits.
func (m *message) depart() {
	m.conn.mu.Lock()
	defer m.conn.mu.Unlock()
	m.conn.inFlight[m.h.MessageID] = false
}

func (m *message) arrive() {
	m.conn.mu.Lock()
	defer m.conn.mu.Unlock()
	delete(m.conn.inFlight, m.h.MessageID)
}

// cancel is [MS-SMB2] 3.3.5.16. It is never answered.
func (m *message) cancel() error {
	if m.authenticate() != nil || wire.Empty(m.m) != nil {
		return errSilent
	}
	c := m.conn
	var found *pending
	c.mu.Lock()
	if m.h.Flags&wire.FlagAsync != 0 {
		found = c.pending[m.h.AsyncID]
	} else {
		for _, p := range c.pending {
			if p.message == m.h.MessageID {
				found = p
			}
		}
		if _, ok := c.inFlight[m.h.MessageID]; ok && found == nil {
			c.inFlight[m.h.MessageID] = true // it may be about to wait
		}
	}
	c.mu.Unlock()
	if found != nil {
		found.giveUp(ntstatus.Cancelled)
	}
	return errSilent
}

// giveUp ends the wait without what was waited for.
func (p *pending) giveUp(status ntstatus.Status) {
	if p.stop != nil {
		p.mu.Lock()
		if !p.complete {
			p.complete, p.status = true, status
		}
		p.mu.Unlock()
		p.stop()
		return
	}
	if p.finish(status, nil) && p.abandon != nil {
		p.abandon()
	}
}

// stopped tells with which status a wait was ended from outside.
func (p *pending) stopped() (ntstatus.Status, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status, p.complete
}

// waits are the requests of a connection that wait; with an open, those on it.
func (c *conn) waits(o *open) (list []*pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pending {
		if o == nil || p.open == o {
			list = append(list, p)
		}
	}
	return list
}

// cancelWaits ends what waits for an open that is being closed.
func (o *open) cancelWaits() {
	o.session.mu.Lock()
	channels := append([]*channel(nil), o.session.channels...)
	o.session.mu.Unlock()
	for _, ch := range channels {
		for _, p := range ch.conn.waits(o) {
			status := ntstatus.Cancelled
			switch p.request {
			case wire.ChangeNotify:
				status = ntstatus.NotifyCleanup
			case wire.Lock:
				status = ntstatus.RangeNotLocked
			}
			p.giveUp(status)
		}
	}
}

// abandonWaits ends what waits on a connection that has ended, but for what its client can ask for again on another one: that is waited
// for.
func (c *conn) abandonWaits() {
	var stay []*pending
	for _, p := range c.waits(nil) {
		if p.over != nil && p.reply.ch.session.elsewhere(c) {
			stay = append(stay, p)
		} else {
			p.giveUp(ntstatus.Cancelled)
		}
	}
	for _, p := range stay {
		<-p.over
	}
}

// elsewhere reports whether the session has another connection.
func (s *session) elsewhere(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.channels, func(ch *channel) bool { return ch.conn != c && !ch.conn.stopping.Load() })
}
