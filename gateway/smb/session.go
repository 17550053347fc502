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
	pipes    int               // of the opens
	seen     map[[16]byte]bool // signatures, see fresh
	lastTree uint32
}

// channel is a session on one connection ([MS-SMB2] 3.3.1.14).
type channel struct {
	conn    *conn
	session *session

	mu       sync.Mutex // taken for the length of a SESSION_SETUP
	exchange *auth.Exchange
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
