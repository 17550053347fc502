package smb

import (
	"maps"
	"net/netip"
	"sync/atomic"

	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// counters count since the server was made.
type counters struct {
	in, out, refused, panics, logonFailures atomic.Int64
	commands, failures                      [wire.Commands]atomic.Int64
}

func (c *counters) done(cmd wire.Command, s ntstatus.Status) {
	if cmd >= wire.Commands {
		return
	}
	c.commands[cmd].Add(1)
	if s.IsError() && s != ntstatus.MoreProcessingRequired {
		c.failures[cmd].Add(1)
	}
}

// Stats is the state of a server.
type Stats struct {
	Conns, Sessions, Opens int
	Signed, Encrypted      int // of the sessions: those in which every request must be signed, or encrypted
	Credits                int // requests that clients may send before they hear of us again, of all connections
	BytesIn, BytesOut      int64
	Refused                int64 // connections over a limit
	LogonFailures          int64
	Panics                 int64 // requests that ended in one
	Buffers                int64 // bytes lent
	Commands, Failures     [wire.Commands]int64
}

// Stats returns the state now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	st := Stats{Conns: len(s.conns), Sessions: len(s.sessions)}
	for _, ses := range s.sessions {
		if ses.encrypt {
			st.Encrypted++
		} else if ses.signed {
			st.Signed++
		}
	}
	for c := range s.conns {
		st.Credits += c.window.open()
	}
	s.mu.Unlock()
	st.Opens = s.files.count()
	st.BytesIn, st.BytesOut = s.counts.in.Load(), s.counts.out.Load()
	st.Refused, st.Panics, st.LogonFailures = s.counts.refused.Load(), s.counts.panics.Load(), s.counts.logonFailures.Load()
	st.Buffers = s.pool.Used()
	for i := range st.Commands {
		st.Commands[i], st.Failures[i] = s.counts.commands[i].Load(), s.counts.failures[i].Load()
	}
	return st
}

// Clients returns how many connections each client has.
func (s *Server) Clients() map[netip.Addr]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.perClient)
}
