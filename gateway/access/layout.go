package access

import (
	"context"

	"causeway"
	"causeway/gateway"
)

// Grant implements gateway.Layouts. A grant to this very gateway has no lease: it lives as long as the process.
func (e *Engine) Grant(ctx context.Context, s *gateway.GrantSpec) (gateway.GrantReply, error) {
	h, mode, span := s.Handle, s.Mode, s.Span
	v, attr, err := e.stat(ctx, h)
	if err != nil {
		return gateway.GrantReply{}, err
	}
	switch {
	case attr.Type == causeway.TypeDirectory:
		return gateway.GrantReply{}, causeway.ErrIsDir
	case attr.Type != causeway.TypeRegular:
		return gateway.GrantReply{}, causeway.ErrInval
	case mode == causeway.IOReadWrite && v.ReadOnly:
		mode = causeway.IORead
	}
	if attr.Extended { // its holder decides the rights of any caller by it
		if attr.ACL, err = v.store.ACL(ctx, h.Object); err != nil {
			return gateway.GrantReply{}, err
		}
		attr.Extended = false
	}
	extents, locator, err := v.store.Extents(ctx, h.Object, mode, span)
	if err != nil {
		return gateway.GrantReply{}, err
	}
	seq := e.seq.Add(1) // before the question: whoever sets a guard afterwards recalls this grant
	deny, guarded := e.locks.Deny(h, mode == causeway.IOReadWrite)
	return gateway.GrantReply{Grant: causeway.Grant{
		Handle: h, Locator: locator, Mode: mode, Span: span, Extents: extents, Attr: attr, Deny: deny, Guarded: guarded, Seq: seq,
	}}, nil
}

// Renew implements gateway.Layouts.
func (e *Engine) Renew(context.Context, string, causeway.Epoch, []gateway.Held) ([]gateway.Held, error) {
	return nil, nil
}

// Commit implements gateway.Layouts.
func (e *Engine) Commit(context.Context, string, causeway.Epoch, gateway.Held, *gateway.Commit) error {
	return nil
}

// Return implements gateway.Layouts.
func (e *Engine) Return(context.Context, string, causeway.Epoch, gateway.Held, *gateway.Commit) error {
	return nil
}
