package smb

import (
	"context"
	"errors"
	"strings"

	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/ntstatus"
	"causeway/internal/sleep"
)

// errGuesses refuses a password unseen: too many wrong ones came from there.
var errGuesses error = ntstatus.RequestNotAccepted

// admit waits for a client's turn to have a password looked at.
func (ch *channel) admit(ctx context.Context, user string) error {
	s := ch.conn.srv
	t, wait, ok := s.guesses.begin(s.cfg.Now(), ch.conn.remote, user)
	if !ok {
		return errGuesses
	}
	ch.try = &t
	if !sleep.For(ctx, wait) {
		return ctx.Err()
	}
	return nil
}

// tried tells how the password was.
func (ch *channel) tried(right bool) {
	if ch.try != nil {
		s := ch.conn.srv
		s.guesses.end(s.cfg.Now(), ch.try, right)
		ch.try = nil
	}
}

// logonFailed ends what a failed logon began: the session, unless there was one before.
func (m *message) logonFailed(ch *channel, err error) error {
	m.conn.srv.counts.logonFailures.Add(1)
	m.logFailure(ch, err)
	ch.exchange = nil
	if ch.valid() {
		ch.session.end() // who failed to prove who he is has nothing to do here any more
	} else {
		ch.session.leave(ch)
	}
	switch {
	case err == auth.ErrLogon:
		return ntstatus.LogonFailure
	case err == auth.ErrMalformed:
		return ntstatus.InvalidParameter
	}
	return err
}

// maxLogged bounds what is logged of a name, in bytes.
const maxLogged = 128

// logFailure tells the operator who failed to log on, from where, and why; not of each one while there are many. Clients try as nobody of their own
// accord, and what breaks the protocol guesses no passwords.
func (m *message) logFailure(ch *channel, err error) {
	s := m.conn.srv
	name, why := ch.exchange.Claimed()
	if name == "" || err == auth.ErrMalformed || errors.Is(err, context.Canceled) {
		s.cfg.Logger.Debug("logon failed", "client", m.conn.remote, "op", "session_setup", "err", err)
		return
	}
	if unlogged, ok := s.guesses.logs(s.cfg.Now()); ok {
		if err == errGuesses {
			why = "too many wrong passwords before"
		} else if err != auth.ErrLogon {
			why = err.Error()
		}
		s.cfg.Logger.Warn("logon failed", "client", m.conn.remote, "op", "session_setup", "user", strings.ToValidUTF8(name[:min(len(name), maxLogged)], ""), "err", why, "unlogged", unlogged)
	}
}
