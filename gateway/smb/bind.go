package smb

import (
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
	case m.signer != ses.signer && (!ses.signer.Verify(m.m) || !ses.fresh(&m.h, ch == nil || !ch.valid())):
		return nil, ntstatus.AccessDenied
	}
	m.signer = ses.signer
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
