package smb

import (
	"bytes"
	"sync"

	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// bind begins or goes on to bind a session of another connection to this one ([MS-SMB2] 3.3.5.5.2). Until it is done, everything is
// signed with the session's key.
func (m *message) bind(ch *channel) (*channel, error) {
	c := m.conn
	ses := c.srv.session(m.h.SessionID)
	if ses == nil {
		return nil, ntstatus.UserSessionDeleted
	}
	if err := ses.bindable(&c.negotiated); err != nil {
		return nil, err
	}
	switch {
	case m.h.Flags&wire.FlagSigned == 0:
		return nil, ntstatus.InvalidParameter
	case ch != nil && ch.valid() && !ch.signer.Verify(m.m):
		return nil, ntstatus.AccessDenied
	case m.signer == ses.signer: // it was verified
	case !ses.signer.Verify(m.m):
		return nil, ntstatus.AccessDenied
	case !ses.fresh(&m.h, ch == nil || !ch.valid()) && !(ch == nil && len(m.rest) == 0 && ses.stepped(m.h.Signature)):
		return nil, ntstatus.AccessDenied
	}
	m.signer = ses.signer
	if ch == nil && len(m.rest) == 0 {
		m.first = ses.firstStep(m.h.Signature)
	}
	if ses.dialect != c.negotiated.dialect || ses.guid != c.negotiated.clientGUID || ses.cipher != c.negotiated.cipher {
		return nil, ntstatus.InvalidParameter
	}
	if ses.expired.Load() {
		return nil, ntstatus.NetworkSessionExpired
	}
	if ch != nil {
		if ch.valid() {
			return nil, ntstatus.RequestNotAccepted
		}
		return ch, nil
	}
	ch = &channel{conn: c, session: ses, binding: true}
	if !c.adopt(ch) {
		return nil, ntstatus.InsufficientResources
	}
	return ch, nil
}

// bindable compares how the session and a further connection sign, as far as they must agree.
func (s *session) bindable(n *negotiated) error {
	switch {
	case s.signing >= wire.SignAESGMAC && n.signing != s.signing:
		return requestOutOfSequence
	case n.signing >= wire.SignAESGMAC && n.signing != s.signing:
		return ntstatus.NotSupported
	case n.dialect < wire.Dialect300:
		return ntstatus.RequestNotAccepted
	}
	return nil
}

// signAs makes the reply signed with the key of a session that this connection does not have, if the request is: its client takes no
// other ([MS-SMB2] 3.3.5.5).
func (m *message) signAs(id uint64) {
	if m.h.Flags&wire.FlagSigned == 0 {
		return
	}
	c := m.conn
	c.mu.Lock()
	signer := c.ended[id]
	c.mu.Unlock()
	if signer != nil {
		if signer.Verify(m.m) {
			m.signer = signer
		}
		return
	}
	if ses := c.srv.session(id); ses != nil && ses.signer.Verify(m.m) && ses.fresh(&m.h, true) {
		m.signer = ses.signer
	}
}

// step is the first step of binding a connection, as it was answered. Clients that bind several connections begin each with the same bytes,
// and so the same signature. With a key for which a message id must not serve twice, all are given the same answer, challenge included.
type step struct {
	mu       sync.Mutex
	exchange *auth.Exchange // how it goes on; nil: it does not
	token    []byte
	reply    []byte // without a signature; nil: not answered yet
}

// maxSteps bounds those of a session: a client has one.
const maxSteps = 16

// stepped reports whether binding began with a request of this signature.
func (s *session) stepped(signature [16]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.steps[signature] != nil
}

// firstStep is that of requests with this signature; nil where their answers need not be the same.
func (s *session) firstStep(signature [16]byte) *step {
	if !s.signer.Once() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.steps[signature] == nil && len(s.steps) < maxSteps {
		if s.steps == nil {
			s.steps = map[[16]byte]*step{}
		}
		s.steps[signature] = new(step)
	}
	return s.steps[signature]
}

// step makes the next step of a logon, or the one that was made before for a request like this.
func (m *message) step(ch *channel, token []byte) ([]byte, *auth.Result, error) {
	x := m.first
	if x == nil {
		return ch.exchange.Step(m.conn.ctx, token)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.exchange != nil {
		ch.exchange = x.exchange.Again(ch.admit)
		return x.token, nil, nil
	}
	reply, res, err := ch.exchange.Step(m.conn.ctx, token)
	if err == nil && res == nil {
		x.exchange, x.token = ch.exchange.Again(nil), reply
	}
	return reply, res, err
}

// same reports whether a reply may be signed: it is the first one, or equals it.
func (x *step) same(reply []byte) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.reply == nil {
		x.reply = bytes.Clone(reply)
	}
	return bytes.Equal(x.reply, reply)
}

// Other connections than its own use a session's key only while they are new.
const (
	maxForeignID = 64
	maxSeen      = 512
)

// fresh reports whether a request that bears the signature of the session may be answered with one: with a key for which a message id must
// not serve twice, a request that somebody has recorded and sends on another connection must not be. So the signatures of the first ones
// are remembered.
func (s *session) fresh(h *wire.Header, foreign bool) bool {
	if !s.signer.Once() {
		return true
	}
	if h.MessageID >= maxForeignID {
		return !foreign
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[h.Signature] || len(s.seen) >= maxSeen {
		return false
	}
	if s.seen == nil {
		s.seen = map[[16]byte]bool{}
	}
	s.seen[h.Signature] = true
	return true
}
