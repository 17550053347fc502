package smb

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/secure"
	"causeway/gateway/smb/wire"
)

// session is a user who has logged on, over one connection or several ([MS-SMB2] 3.3.1.8). What its first logon settled is constant
// once user is set.
type session struct {
	srv     *Server
	id      uint64
	first   *conn      // that began it
	addr    netip.Addr // of that
	began   time.Time
	dialect wire.Dialect
	guid    [16]byte // of the client
	cipher  uint16
	signing uint16

	user           atomic.Pointer[auth.User] // nil: not logged on yet
	signer         *secure.Signer
	sealer, opener *secure.Sealer // nil: no encryption
	signed         bool           // every request must be signed or encrypted
	encrypt        bool           // every request must be encrypted
	expired        atomic.Bool
	nameless       atomic.Bool  // its client has logged on again as nobody: what is open stays so, and nothing more is opened
	notices        atomic.Int64 // bytes of changes that its watches hold

	ending sync.WaitGroup // of its opens

	mu       sync.Mutex
	gone     bool
	channels []*channel
	trees    map[uint32]*tree
	opens    map[wire.FileID]*open
	pipes    int                // of the opens
	seen     map[[16]byte]bool  // signatures, see fresh
	steps    map[[16]byte]*step // by signature, see firstStep
	lastTree uint32
}

// channel is a session on one connection ([MS-SMB2] 3.3.1.14).
type channel struct {
	conn    *conn
	session *session

	mu       sync.Mutex // taken for the length of a SESSION_SETUP
	exchange *auth.Exchange
	try      *try // of a password
	binding  bool
	preauth  secure.Preauth
	signer   *secure.Signer // constant once usable
	usable   atomic.Bool
}

func (ch *channel) valid() bool { return ch.usable.Load() }

// hashed adds a reply to the preauth integrity.
func (ch *channel) hashed(reply []byte) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.preauth.Update(reply)
}

func (s *session) tree(id uint32) *tree {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trees[id]
}

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
		ch.exchange = m.conn.srv.logon.Begin(ch.admit)
		ch.preauth = m.conn.negotiated.preauth
	}
	hashed := m.conn.negotiated.dialect == wire.Dialect311
	if hashed {
		ch.preauth.Update(m.m)
	}
	token, res, err := m.step(ch, r.Security)
	if err == nil && res == nil {
		if hashed {
			m.hash = ch.hashed
		}
		m.b = wire.AppendSessionSetup(m.b, 0, token)
		return ntstatus.MoreProcessingRequired
	}
	ch.tried(err == nil)
	if err == nil {
		err = m.loggedOn(ch, &r, res)
	}
	if err != nil {
		return m.logonFailed(ch, err)
	}
	ch.exchange = nil
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

// newSession makes a session without a user, as long as there are not too many sessions.
func (c *conn) newSession() (*channel, error) {
	s := c.srv
	ses := &session{
		srv: s, id: randomID(), first: c, addr: c.remote, began: s.cfg.Now(), dialect: c.negotiated.dialect, guid: c.negotiated.clientGUID, cipher: c.negotiated.cipher, signing: c.negotiated.signing,
		trees: map[uint32]*tree{}, opens: map[wire.FileID]*open{},
	}
	ch := &channel{conn: c, session: ses}
	ses.channels = []*channel{ch}
	s.mu.Lock()
	gone := s.overdueLocked(c)
	s.mu.Unlock()
	for _, old := range gone {
		old.end()
	}
	s.mu.Lock()
	if len(s.sessions) >= s.cfg.MaxSessions || s.perAddr[c.remote] >= max(s.cfg.MaxSessions/4, 1) {
		s.mu.Unlock()
		return nil, ntstatus.InsufficientResources
	}
	s.halfOpen = append(s.halfOpen, ses)
	s.sessions[ses.id] = ses
	s.perAddr[c.remote]++
	s.mu.Unlock()
	if !c.adopt(ch) {
		ses.end()
		return nil, ntstatus.InsufficientResources
	}
	return ch, nil
}

// adopt makes the connection know a channel.
func (c *conn) adopt(ch *channel) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sessions) >= c.srv.cfg.MaxSessionsPerConn || c.sessions[ch.session.id] != nil {
		return false
	}
	c.sessions[ch.session.id] = ch
	return true
}

// session finds a session that somebody has logged on to, on whatever connection.
func (s *Server) session(id uint64) *session {
	s.mu.Lock()
	ses := s.sessions[id]
	s.mu.Unlock()
	if ses == nil || ses.user.Load() == nil {
		return nil
	}
	return ses
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

// completed says that a session has a user, or is gone.
func (s *Server) completed(ses *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.halfOpen = slices.DeleteFunc(s.halfOpen, func(other *session) bool { return other == ses })
}

// bound makes a bound channel usable, with a signing key of its own.
func (m *message) bound(ch *channel, res *auth.Result) (err error) {
	n, ses := &m.conn.negotiated, ch.session
	keys := secure.NewKeys(n.dialect, n.cipher, res.Key[:], &ch.preauth)
	if ch.signer, err = secure.NewSigner(n.signing, keys.Sign); err != nil {
		return err
	}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if ses.gone {
		return ntstatus.UserSessionDeleted
	}
	ses.channels = append(ses.channels, ch)
	ch.usable.Store(true)
	m.conn.welcome()
	return nil
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

// leave takes a channel away. With the last one, the session ends.
func (s *session) leave(ch *channel) {
	ch.conn.forget(s.id)
	s.mu.Lock()
	s.channels = slices.DeleteFunc(s.channels, func(other *channel) bool { return other == ch })
	last := len(s.channels) == 0
	s.mu.Unlock()
	if last {
		s.end()
	}
}

// forget takes a channel off the connection. Its key is remembered for a while: a client that still uses the session believes only
// a signed refusal.
func (c *conn) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.sessions[id]; ch != nil && ch.signer != nil {
		if len(c.ended) >= maxEnded {
			clear(c.ended)
		}
		c.ended[id] = ch.signer
	}
	delete(c.sessions, id)
}

// maxEnded bounds the keys of ended sessions that a connection remembers.
const maxEnded = 64

// end ends everything that belongs to the session, and forgets it. It may be called more than once. Opens that may outlive their
// session do ([MS-SMB2] 3.3.7.1).
func (s *session) end() {
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return
	}
	s.gone = true
	s.ending.Add(1)
	defer s.ending.Done()
	channels := s.channels
	opens := make([]*open, 0, len(s.opens))
	for _, o := range s.opens {
		opens = append(opens, o)
	}
	s.mu.Unlock()
	for _, ch := range channels {
		ch.usable.Store(false)
		ch.conn.forget(s.id)
	}
	for _, o := range opens {
		o.part(s.srv.ctx)
	}
	s.srv.completed(s)
	s.srv.mu.Lock()
	delete(s.srv.sessions, s.id)
	if s.srv.perAddr[s.addr]--; s.srv.perAddr[s.addr] <= 0 {
		delete(s.srv.perAddr, s.addr)
	}
	s.srv.mu.Unlock()
}

// cred is what the session's user may do, as the engines see it.
func (s *session) cred() causeway.Cred {
	u := s.user.Load()
	return causeway.Cred{UID: u.UID, GID: u.GID, Groups: u.Groups}
}

// owner is the session's user at his client as an owner of opens and locks: the client's GUID, or where it has none the session itself, and
// the user's id. A GUID is no secret: another user who tells the same one must not come by this one's leases.
func (s *session) owner() causeway.Owner {
	id := s.guid
	if id == [16]byte{} {
		le.PutUint64(id[8:], s.id)
	}
	return causeway.Owner{Kind: causeway.OwnerSMB, Client: string(le.AppendUint32(id[:], s.user.Load().UID))}
}
