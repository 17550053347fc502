package smb

import (
	"slices"
)

// maxHalfOpen is how many sessions of a connection may be without a user.
const maxHalfOpen = 8

// overdue are the sessions without a user that have to go for another one on c: those whose time is over, the oldest of a connection or an
// address that has many, the oldest of all where there are too many. Who logs on in earnest is done sooner than those that do not come
// to an end could push him out.
func (s *Server) overdueLocked(c *conn) (gone []*session) {
	now, here, near := s.cfg.Now(), 0, 0
	for _, ses := range s.halfOpen {
		if now.Sub(ses.began) > s.cfg.LogonTimeout {
			gone = append(gone, ses)
			continue
		}
		if ses.first == c {
			here++
		}
		if ses.first.remote == c.remote {
			near++
		}
	}
	oldest := func(meant func(*session) bool) {
		if i := slices.IndexFunc(s.halfOpen, func(ses *session) bool { return meant(ses) && !slices.Contains(gone, ses) }); i >= 0 {
			gone = append(gone, s.halfOpen[i])
		}
	}
	switch {
	case here >= maxHalfOpen:
		oldest(func(ses *session) bool { return ses.first == c })
	case near >= max(s.cfg.MaxLogons/4, 1):
		oldest(func(ses *session) bool { return ses.first.remote == c.remote })
	case len(s.halfOpen)-len(gone) >= s.cfg.MaxLogons:
		oldest(func(*session) bool { return true })
	}
	return gone
}
