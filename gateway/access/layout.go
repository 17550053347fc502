package access

import (
	"context"

	"causeway"
)

// Grant implements gateway.Layouts. A grant to this very gateway has no lease: it lives as long as the process.
func (e *Engine) Grant(ctx context.Context, _ bool, h causeway.Handle, mode causeway.IOMode, span causeway.Span) (causeway.Grant, error) {
	v, attr, err := e.stat(ctx, h)
	if err != nil {
		return causeway.Grant{}, err
	}
	switch {
	case attr.Type == causeway.TypeDirectory:
		return causeway.Grant{}, causeway.ErrIsDir
	case attr.Type != causeway.TypeRegular:
		return causeway.Grant{}, causeway.ErrInval
	case mode == causeway.IOReadWrite && v.ReadOnly:
		mode = causeway.IORead
	}
	if attr.Extended { // its holder decides the rights of any caller by it
		if attr.ACL, err = v.store.ACL(ctx, h.Object); err != nil {
			return causeway.Grant{}, err
		}
		attr.Extended = false
	}
	extents, locator, err := v.store.Extents(ctx, h.Object, mode, span)
	if err != nil {
		return causeway.Grant{}, err
	}
	return causeway.Grant{
		Handle: h, Locator: locator, Mode: mode, Span: span, Extents: extents, Attr: attr, Seq: e.seq.Add(1),
	}, nil
}

// Return implements gateway.Layouts.
func (e *Engine) Return(context.Context, *causeway.Grant) error { return nil }
