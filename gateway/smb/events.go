package smb

import (
	"context"

	"causeway"
	"causeway/gateway"
)

// events takes what the engines tell SMB's owners.
type events struct{ srv *Server }

var _ gateway.Events = events{}

// Deliver implements gateway.Events.
func (e events) Deliver(_ context.Context, ev gateway.Event) error {
	switch ev.Kind {
	case gateway.LockGranted:
		if o := e.srv.openOf(ev.Lock.Owner); o != nil {
			o.granted(ev.Lock)
		}
	case gateway.Noticed:
		if o := e.srv.openOf(ev.Watch.Owner); o != nil {
			o.noticed(ev.Notices, ev.Missed)
		}
	}
	return nil
}

// openOf finds the open that is a lock owner.
func (s *Server) openOf(owner causeway.Owner) *open {
	if owner.Kind != causeway.OwnerSMB || len(owner.Client) != 8 || len(owner.Opaque) != 16 {
		return nil
	}
	s.mu.Lock()
	ses := s.sessions[le.Uint64([]byte(owner.Client))]
	s.mu.Unlock()
	if ses == nil {
		return nil
	}
	ses.mu.Lock()
	defer ses.mu.Unlock()
	return ses.opens[le.Uint64([]byte(owner.Opaque[8:]))]
}
