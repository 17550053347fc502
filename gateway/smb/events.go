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
		if o := e.srv.files.find(ev.Watch.Open); o != nil {
			o.noticed(ev.Notices, ev.Missed)
		}
	case gateway.LeaseBroken:
		if o := e.srv.files.breaking(&ev.Break); o != nil {
			o.broken(&ev.Break)
		}
	case gateway.OpenLost:
		e.srv.files.lost(ev.Break.Open)
	}
	return nil
}

// openOf finds the open that is a lock owner.
func (s *Server) openOf(owner causeway.Owner) *open {
	if owner.Kind != causeway.OwnerSMB || len(owner.Opaque) != len(causeway.OpenID{}) {
		return nil
	}
	return s.files.find(causeway.OpenID([]byte(owner.Opaque)))
}
