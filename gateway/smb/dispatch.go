package smb

import (
	"fmt"
	"runtime/debug"

	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

func (c *conn) panicked(p any) error {
	c.srv.counts.panics.Add(1)
	c.srv.cfg.Logger.Error("request panicked", "client", c.remote, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
	return errProtocol
}

// handle answers the element at hand: its body stands in m.b behind the header's place when it returns.
func (m *message) handle() error {
	m.startElement()
	c := m.conn
	m.inherit()
	switch {
	case m.h.Command == wire.Negotiate:
		return m.negotiate()
	case !c.negotiated.done:
		return errProtocol
	case m.h.Command == wire.SessionSetup:
		return m.sessionSetup()
	case m.h.Command == wire.Cancel:
		return m.cancel()
	}
	err := m.authenticate()
	if m.h.Flags&wire.FlagRelated != 0 && (!m.related.any || m.related.broken) && (err == nil || err == ntstatus.UserSessionDeleted) {
		m.related.broken = true // there is nothing that it could take over, nor have those behind it
		return ntstatus.InvalidParameter
	}
	if err != nil {
		return err
	}
	if err := m.findTree(); err != nil {
		return err
	}
	if len(m.b)-prefix > maxReply && m.h.Command != wire.Close {
		return ntstatus.InsufficientResources
	}
	m.caller = m.newCaller()
	inside := c.srv.cfg.Enter()
	defer inside.Leave()
	return m.command()
}

// inherit takes the session and the tree from the element before.
func (m *message) inherit() {
	if m.h.Flags&wire.FlagRelated != 0 && m.related.any {
		m.h.SessionID, m.h.TreeID = m.related.sessionID, m.related.treeID
	}
}

// authenticate finds the session, and checks that the element is signed or encrypted as it must be ([MS-SMB2] 3.3.5.2.4, 3.3.5.2.9).
func (m *message) authenticate() error {
	if m.h.SessionID == 0 && m.h.Command == wire.Echo {
		return nil
	}
	m.ch = m.conn.channel(m.h.SessionID)
	if m.ch == nil || !m.ch.valid() {
		m.ch = nil
		m.signAs(m.h.SessionID)
		return ntstatus.UserSessionDeleted
	}
	s := m.ch.session
	if m.sealed != nil {
		if m.sealed != s {
			return ntstatus.AccessDenied
		}
		return m.alive()
	}
	signed := m.h.Flags&wire.FlagSigned != 0
	switch {
	case s.encrypt:
		m.signer = m.ch.signer
		return ntstatus.AccessDenied
	case signed && m.genuine != m.ch && m.reader && len(m.m) > inlineAtMost:
		return errLarge // much to verify
	case signed && m.genuine != m.ch && !m.ch.signer.Verify(m.m), !signed && s.signed:
		m.signer = m.ch.signer
		return ntstatus.AccessDenied
	case signed || s.signed:
		m.signer = m.ch.signer
	}
	if signed && m.genuine != m.ch {
		if m.ch.signer == s.signer && !s.fresh(&m.h, false) {
			return errProtocol
		}
		m.genuine = m.ch
	}
	return m.alive()
}

// alive refuses all but leaving once the session has expired.
func (m *message) alive() error {
	if m.ch.session.expired.Load() && m.h.Command != wire.Logoff && m.h.Command != wire.Close && m.h.Command != wire.Lock && m.h.Command != wire.TreeDisconnect {
		return ntstatus.NetworkSessionExpired
	}
	return nil
}

// findTree finds the tree connect of commands that belong to one.
func (m *message) findTree() error {
	switch m.h.Command {
	case wire.Logoff, wire.TreeConnect, wire.Echo, wire.OplockBreak:
		return nil
	}
	if m.tree = m.ch.session.tree(m.h.TreeID); m.tree == nil {
		return networkNameDeleted
	}
	if m.tree.share.Encrypt && m.sealed == nil {
		return ntstatus.AccessDenied
	}
	return nil
}

// command is the table of commands.
func (m *message) command() error {
	switch m.h.Command {
	case wire.Logoff:
		return m.logoff()
	case wire.TreeConnect:
		if err := m.named(); err != nil {
			return err
		}
		return m.treeConnect()
	case wire.TreeDisconnect:
		return m.treeDisconnect()
	case wire.Create:
		if err := m.named(); err != nil {
			return err
		}
		return m.create()
	case wire.Close:
		return m.close()
	case wire.Flush:
		return m.flush()
	case wire.Read:
		return m.read()
	case wire.Write:
		return m.write()
	case wire.Lock:
		return m.lock()
	case wire.IOCtl:
		return m.ioctl()
	case wire.Echo:
		return m.echo()
	case wire.QueryDirectory:
		return m.queryDirectory()
	case wire.ChangeNotify:
		return m.changeNotify()
	case wire.QueryInfo:
		return m.queryInfo()
	case wire.SetInfo:
		return m.setInfo()
	case wire.OplockBreak:
		return m.oplockBreak()
	}
	return ntstatus.InvalidParameter
}

// named refuses what needs a user, in a session whose client has logged on again as nobody. Rights on what is open were decided when it
// was opened; by name, nothing can be reached any more.
func (m *message) named() error {
	if m.ch.session.nameless.Load() {
		return ntstatus.AccessDenied
	}
	return nil
}

func (m *message) echo() error {
	if err := wire.Empty(m.m); err != nil {
		return err
	}
	m.b = wire.AppendEmpty(m.b)
	return nil
}

// mayWait parks the message if it is still on the reader's goroutine.
func (m *message) mayWait() error {
	if m.reader {
		return errPark
	}
	return nil
}

// mayRename is mayWait of what makes or removes names: where that is not made stable first, and nothing else of this client has come
// yet, it is done sooner than another goroutine would have begun.
func (m *message) mayRename() error {
	if m.reader && m.tree.volume.Async && m.conn.in.Buffered() == 0 {
		return errLarge
	}
	return m.mayWait()
}
