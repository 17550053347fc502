package smb

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/secure"
	"causeway/gateway/smb/wire"
	"causeway/internal/buf"
)

// message is a request on its way through the server: one element, or several in a compound. It is used by one goroutine at a time:
// the connection's reader first, then, where a call would wait, one of its own that goes on with the same element from its start.
type message struct {
	conn    *conn
	in      *buf.Buffer
	rest    []byte   // elements that were not begun
	sealed  *session // not nil: the request was encrypted in this session, and so is the reply
	reader  bool     // on the reader's goroutine: nothing may wait
	unasked bool     // made by what another client does, who does not wait for this one
	large   bool     // it is to be done before the next one is read, unless it takes long: it moves much data, or changes names

	hold     *buf.Buffer // under the reply
	b        []byte      // the reply: room for frame and transform headers, then elements
	elements []element
	few      [4]element

	request
	related related
	after   []func() // to be done when the reply is on its way
}

// element is one reply in a compound: where it begins in the message, and who signs it.
type element struct {
	at     int
	signer *secure.Signer
	hash   func(reply []byte) // not nil: the reply is part of the preauth integrity
}

// request is the element at hand.
type request struct {
	h       wire.Header
	m       []byte // from its header to its end
	begun   bool   // its ids were taken
	ch      *channel
	genuine *channel // the one whose signature it bears: it need not be verified again when it starts over
	tree    *tree
	open    *open // the one that its FileId names, once found
	signer  *secure.Signer
	hash    func([]byte)
	waits   context.Context // of the element while it may be cancelled; nil: it ends with the connection
	counted counted
	claim   *claim   // of a CREATE with a CreateGuid
	first   *step    // of a SESSION_SETUP that begins to bind
	place   *place   // where its path leads, found before it had to begin anew
	wait    *pending // the reply at hand says that another one follows, or is that one
	final   bool     // it is that one
	ownBody bool     // the command's own body goes with an error ([MS-SMB2] 3.3.4.4: copies beyond the limits)
	caller  gateway.Caller
}

// related is what an element of a compound takes over from the one before ([MS-SMB2] 3.3.5.2.7.2).
type related struct {
	any       bool
	sessionID uint64
	treeID    uint32
	file      wire.FileID
	hasFile   bool
	failed    error // of the element that would have named the file
	broken    bool  // the first of these elements had none before it, or one without a session
}

// prefix is the room in front of a reply's first element.
const prefix = frameHeader + wire.TransformSize

// maxElements bounds a compound, maxReply its reply in bytes: elements beyond get InsufficientResources, but for CLOSE.
const (
	maxElements = 128
	maxReply    = 4 << 20
)

// What a handler can return besides a status: park, the call would wait; large, it would move much; silent, there is no reply.
var (
	errPark   = errors.New("smb: would wait")
	errLarge  = errors.New("smb: would move much")
	errSilent = errors.New("smb: no reply")
)

func newMessage(c *conn, in *buf.Buffer) *message {
	m := &message{conn: c, in: in, reader: true}
	m.elements = m.few[:0]
	return m
}

// ctx is the context of what the element does.
func (m *message) ctx() context.Context {
	if m.waits != nil {
		return m.waits
	}
	return m.conn.ctx
}

func (m *message) release() {
	m.in.Release()
	m.hold.Release()
	m.in, m.hold = nil, nil
}

// begin handles the message on the reader's goroutine, as far as nothing waits. rest is the message if something does: the caller
// lets another goroutine read, and resumes it. What was read is in the caches of this processor, so it is not the message that moves.
func (m *message) begin() (rest *message, err error) {
	parked, err := m.run()
	if err != nil {
		m.release()
		return nil, err
	}
	if !parked {
		return nil, nil
	}
	c := m.conn
	select {
	case c.slots <- struct{}{}:
	default:
		c.out.uncork() // whoever has to answer us first must be able to
		select {
		case c.slots <- struct{}{}:
		case <-c.ctx.Done():
			m.release()
			return nil, errProtocol
		}
	}
	c.running.Add(1)
	m.reader = false
	m.depart()
	return m, nil
}

func (m *message) resume() {
	c := m.conn
	defer c.running.Done()
	defer func() { <-c.slots }()
	if _, err := m.run(); err != nil {
		m.release()
		c.fail(err)
	}
}

// run handles element after element. parked: the one at hand would wait. An error ends the connection.
func (m *message) run() (parked bool, err error) {
	defer func() {
		if recover := recover(); recover != nil {
			err = m.conn.panicked(recover)
		}
	}()
	for m.begun || len(m.rest) > 0 {
		if !m.begun {
			if err := m.next(); err != nil {
				return false, err
			}
		}
		switch err := m.handle(); {
		case m.reader && (err == errPark || err == errLarge || causeway.CodeOf(err) == causeway.ErrWouldBlock):
			m.b = m.b[:m.elements[len(m.elements)-1].at]
			m.elements = m.elements[:len(m.elements)-1]
			m.large = err == errLarge
			return true, nil
		case err == errProtocol:
			return false, err
		case err == errSilent:
			m.b = m.b[:m.elements[len(m.elements)-1].at]
			m.elements = m.elements[:len(m.elements)-1]
		default:
			m.finishElement(err)
		}
		m.begun = false
		if !m.reader {
			m.arrive()
		}
	}
	m.finish()
	return false, nil
}

// next cuts the next element off and takes its message ids.
func (m *message) next() error {
	var err error
	m.request = request{begun: true}
	if m.m, m.rest, err = wire.Element(m.rest); err != nil {
		return err
	}
	if err := m.h.Parse(m.m); err != nil {
		return err
	}
	if m.h.Flags&wire.FlagReply != 0 || len(m.elements) == maxElements {
		return errProtocol
	}
	if m.h.Command == wire.Cancel {
		return nil
	}
	if m.h.Flags&wire.FlagAsync != 0 || !m.conn.window.take(m.h.MessageID, m.charge()) {
		return errProtocol
	}
	if !m.reader {
		m.depart()
	}
	return nil
}

// charge is how many credits the element costs.
func (m *message) charge() int {
	if m.conn.negotiated.offered&wire.CapLargeMTU == 0 {
		return 1
	}
	return max(int(m.h.CreditCharge), 1)
}

// affords reports whether the element's charge covers a payload of n bytes in either direction ([MS-SMB2] 3.3.5.2.5).
func (m *message) affords(n uint32) bool {
	return m.conn.negotiated.offered&wire.CapLargeMTU == 0 || int(max(n, 1)-1)>>16+1 <= m.charge()
}

// startElement makes room for the reply of the element at hand: m.b ends behind its header.
func (m *message) startElement() {
	if m.b == nil {
		m.hold = m.conn.srv.pool.Get(1 << 10)
		m.b = m.hold.B[:prefix]
	} else if len(m.elements) > 0 {
		m.b = wire.Align(m.b, prefix)
	}
	m.elements = append(m.elements, element{at: len(m.b)})
	m.reserve(wire.HeaderSize)
	m.b = m.b[:len(m.b)+wire.HeaderSize]
}

// reserve makes sure that n bytes can be appended to the reply without another allocation.
func (m *message) reserve(n int) {
	if cap(m.b)-len(m.b) >= n+secure.TagSize {
		return
	}
	next := m.conn.srv.pool.Get(len(m.b) + n + secure.TagSize)
	m.b = next.B[:copy(next.B, m.b)]
	m.hold.Release()
	m.hold = next
}

// at is where the element's reply begins, body where what follows its header does.
func (m *message) at() int   { return m.elements[len(m.elements)-1].at }
func (m *message) body() int { return m.at() + wire.HeaderSize }

// finishElement completes the reply of the element at hand: with an error body, if it failed, and with its header.
func (m *message) finishElement(err error) {
	status := statusOf(err)
	m.uncount()
	if !carriesReply(status) && !m.ownBody || len(m.b) == m.body() {
		data, contexts := m.errorData(err)
		m.b = wire.AppendError(m.b[:m.body()], data, contexts)
	}
	m.remember(status)
	h := m.replyHeader(status)
	h.Put(m.b[m.at():])
	e := &m.elements[len(m.elements)-1]
	e.signer, e.hash = m.signer, m.hash
	if status == ntstatus.Pending && e.signer != nil && e.signer.Once() {
		e.signer = nil // the final reply has the same message id
	}
	if m.first != nil && !m.first.same(m.b[m.at():]) {
		e.signer = nil // another one with this message id was
	}
	m.conn.srv.counts.done(m.h.Command, status)
	if observe := m.conn.srv.cfg.Observe; observe != nil && m.tree != nil && m.tree.volume != nil {
		observe(m.conn.remote, m.tree.volume.ID, len(m.m)+len(m.b)-m.at())
	}
}

// carriesReply reports whether a reply of a status has the command's own body ([MS-SMB2] 3.3.4.4).
func carriesReply(s ntstatus.Status) bool {
	return s == ntstatus.OK || s == ntstatus.BufferOverflow || s == ntstatus.MoreProcessingRequired || s == ntstatus.NotifyEnumDir
}

func (m *message) replyHeader(status ntstatus.Status) wire.Header {
	h := wire.Header{
		CreditCharge: m.h.CreditCharge, Status: status, Command: m.h.Command,
		Flags: wire.FlagReply | m.h.Flags&(wire.FlagRelated|wire.FlagReplay), MessageID: m.h.MessageID, TreeID: m.h.TreeID, SessionID: m.h.SessionID,
	}
	if !m.final {
		h.Credits = m.conn.grant(&m.h)
	}
	if m.wait != nil {
		h.Flags |= wire.FlagAsync
		h.AsyncID = m.wait.id
	}
	return h
}

// grant gives the credits that the client asks for, and never lets it run dry.
func (c *conn) grant(h *wire.Header) uint16 {
	return c.window.grant(max(int(h.Credits), 1))
}

// errorData is what stands in an error body, for the few errors that carry data, and how many contexts that are: in 3.1.1 it is one.
func (m *message) errorData(err error) (data []byte, contexts byte) {
	var with *dataError
	if !errors.As(err, &with) {
		return nil, 0
	}
	if m.conn.negotiated.dialect == wire.Dialect311 {
		data = le.AppendUint32(data, uint32(len(with.data)))
		data = append(le.AppendUint32(data, 0), with.data...)
		return append(data, make([]byte, -len(data)&7)...), 1 // some clients read on to where a next one would begin
	}
	return with.data, 0
}

// remember keeps what a related element after this one needs.
func (m *message) remember(status ntstatus.Status) {
	r := &m.related
	if m.h.Flags&wire.FlagRelated == 0 {
		*r = related{}
	}
	r.broken = r.broken || status == ntstatus.UserSessionDeleted
	r.any, r.sessionID, r.treeID = true, m.h.SessionID, m.h.TreeID
	switch {
	case m.open != nil:
		r.file, r.hasFile, r.failed = m.open.id, true, nil
	case status.IsError() && (m.h.Command == wire.Create || !r.hasFile):
		r.hasFile, r.failed = false, status
	}
}

// finish signs or seals the reply and queues it.
func (m *message) finish() {
	if len(m.elements) == 0 {
		m.release()
		return
	}
	for i, e := range m.elements {
		end := len(m.b)
		if i+1 < len(m.elements) {
			end = m.elements[i+1].at
			wire.PutNext(m.b[e.at:], uint32(end-e.at))
		}
		if e.signer != nil && m.sealed == nil {
			e.signer.Sign(m.b[e.at:end])
		}
		if e.hash != nil {
			e.hash(m.b[e.at:end])
		}
	}
	start := prefix - frameHeader
	if m.sealed != nil {
		start = 0
		m.b = slices.Grow(m.b, secure.TagSize)
		m.sealed.sealer.Seal(m.b[frameHeader:], m.sealed.id)
	}
	binary.BigEndian.PutUint32(m.b[start:], uint32(len(m.b)-start-frameHeader))
	hold := m.hold
	m.hold = nil
	m.in.Release()
	m.in = nil
	wait := m.wait
	if m.unasked {
		m.conn.out.post(m.b[start:], hold)
	} else {
		m.conn.out.put(m.b[start:], hold, m.reader)
	}
	if wait != nil && !m.final {
		wait.announced()
	}
	for _, f := range m.after {
		f()
	}
	m.after = nil
}
