package smb

import (
	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/secure"
	"causeway/gateway/smb/wire"
)

// sessionSetup is [MS-SMB2] 3.3.5.5: one step of a first logon, of a repeated one, or of one that binds a further connection.
func (m *message) sessionSetup() error {
	if err := m.mayWait(); err != nil {
		return err // users may be looked up elsewhere
	}
	var r wire.SessionSetupRequest
	if err := r.Parse(m.m); err != nil {
		return err
	}
	ch, err := m.channelFor(&r)
	if err != nil {
		return err
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	m.h.SessionID = ch.session.id
	if ch.exchange == nil {
		ch.exchange = m.conn.srv.logon.Begin()
		ch.preauth = m.conn.negotiated.preauth
	}
	hashed := m.conn.negotiated.dialect == wire.Dialect311
	if hashed {
		ch.preauth.Update(m.m)
	}
	token, res, err := ch.exchange.Step(m.conn.ctx, r.Security)
	if err == nil && res == nil {
		if hashed {
			m.hash = ch.hashed
		}
		m.b = wire.AppendSessionSetup(m.b, 0, token)
		return ntstatus.MoreProcessingRequired
	}
	ch.exchange = nil
	if err == nil {
		err = m.loggedOn(ch, &r, res)
	}
	if err != nil {
		return m.logonFailed(ch, err)
	}
	m.signer = ch.signer
	flags := uint16(0)
	if ch.session.encrypt {
		flags |= wire.SessionEncrypt
	}
	m.b = wire.AppendSessionSetup(m.b, flags, token)
	return nil
}

// channelFor finds or makes the channel that a SESSION_SETUP is about.
func (m *message) channelFor(r *wire.SessionSetupRequest) (*channel, error) {
	c := m.conn
	if m.h.SessionID == 0 {
		if c.srv.leaving.Load() {
			return nil, ntstatus.ServerUnavailable
		}
		return c.newSession()
	}
	ch := c.channel(m.h.SessionID)
	if ch == nil || !ch.valid() {
		m.signAs(m.h.SessionID)
	}
	if r.Flags&wire.SetupBinding != 0 {
		return m.bind(ch)
	}
	if ch == nil {
		return nil, ntstatus.UserSessionDeleted
	}
	if ch.valid() { // a repeated logon: signed or encrypted like everything else
		if m.sealed != nil && m.sealed != ch.session {
			return nil, ntstatus.AccessDenied
		}
		if m.sealed == nil && (m.h.Flags&wire.FlagSigned != 0 || ch.session.signed) {
			m.signer = ch.signer
			if m.h.Flags&wire.FlagSigned == 0 || !ch.signer.Verify(m.m) {
				return nil, ntstatus.AccessDenied
			}
			if ch.signer == ch.session.signer && !ch.session.fresh(&m.h, false) {
				return nil, errProtocol
			}
		}
	}
	return ch, nil
}

// loggedOn ends a logon that has succeeded.
func (m *message) loggedOn(ch *channel, r *wire.SessionSetupRequest, res *auth.Result) error {
	ses := ch.session
	switch old := ses.user.Load(); {
	case res.Anonymous:
		if !ch.valid() {
			return auth.ErrLogon
		}
		ses.nameless.Store(true)
		return nil
	case ch.valid():
		if old.Name != res.User.Name {
			return ntstatus.AccessDenied // opens were granted to someone else
		}
		ses.user.Store(&res.User)
		ses.expired.Store(false)
		ses.nameless.Store(false)
		return nil
	case ch.binding:
		if old.Name != res.User.Name {
			return ntstatus.AccessDenied
		}
		return m.bound(ch, res)
	}
	if err := ses.establish(m.conn, ch, res); err != nil {
		return err
	}
	if r.Previous != 0 && r.Previous != ses.id {
		m.conn.srv.endPrevious(r.Previous, res.User.Name)
	}
	return nil
}

// establish derives the keys of a new session.
func (s *session) establish(c *conn, ch *channel, res *auth.Result) (err error) {
	n := &c.negotiated
	keys := secure.NewKeys(n.dialect, n.cipher, res.Key[:], &ch.preauth)
	if s.signer, err = secure.NewSigner(n.signing, keys.Sign); err != nil {
		return err
	}
	if n.cipher != 0 {
		if s.sealer, err = secure.NewSealer(n.cipher, keys.Seal); err != nil {
			return err
		}
		if s.opener, err = secure.NewSealer(n.cipher, keys.Open); err != nil {
			return err
		}
	} else if c.srv.cfg.Encrypt {
		return ntstatus.AccessDenied
	}
	s.signed = !c.srv.cfg.AllowUnsigned || n.mode&wire.SigningRequired != 0
	s.encrypt = c.srv.cfg.Encrypt
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return ntstatus.UserSessionDeleted
	}
	s.user.Store(&res.User)
	s.mu.Unlock()
	ch.signer = s.signer
	ch.usable.Store(true)
	c.welcome()
	c.srv.completed(s)
	return nil
}

// logonFailed ends what a failed logon began: the session, unless there was one before.
func (m *message) logonFailed(ch *channel, err error) error {
	m.conn.srv.counts.logonFailures.Add(1)
	m.conn.srv.cfg.Logger.Debug("logon failed", "client", m.conn.remote, "op", "session_setup", "err", err)
	if ch.valid() {
		ch.session.end() // who failed to prove who he is has nothing to do here any more
	} else {
		ch.session.leave(ch)
	}
	if err == auth.ErrLogon {
		return ntstatus.LogonFailure
	}
	if err == auth.ErrMalformed {
		return ntstatus.InvalidParameter
	}
	return err
}

// endPrevious ends the session that a client which has reconnected has lost ([MS-SMB2] 3.3.5.5.3).
func (s *Server) endPrevious(id uint64, user string) {
	s.mu.Lock()
	old := s.sessions[id]
	s.mu.Unlock()
	if old == nil {
		return
	}
	if u := old.user.Load(); u != nil && u.Name == user {
		old.end()
		old.ending.Wait() // what is kept for the client he may ask for at once
	}
}

// logoff is [MS-SMB2] 3.3.5.6.
func (m *message) logoff() error {
	if err := m.mayWait(); err != nil {
		return err
	}
	if err := wire.Empty(m.m); err != nil {
		return err
	}
	m.ch.session.end()
	m.b = wire.AppendEmpty(m.b)
	return nil
}
