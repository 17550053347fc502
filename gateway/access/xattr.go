package access

import (
	"context"
	"slices"
	"strings"

	"causeway"
	"causeway/backend"
	"causeway/gateway"
)

// xattrs returns the storage's extended attributes, if it has them and a name is one that it can have.
func (v *volume) xattrs(name string) (backend.Xattrs, error) {
	x, ok := v.store.(backend.Xattrs)
	switch {
	case !ok, !strings.HasPrefix(name, causeway.XattrUser):
		return nil, causeway.ErrNotSupp
	case len(name) > causeway.MaxXattrName:
		return nil, causeway.ErrNameTooLong
	case len(name) == len(causeway.XattrUser), strings.IndexByte(name, 0) >= 0:
		return nil, causeway.ErrInval
	}
	return x, nil
}

func own(name string) bool { return strings.HasPrefix(name, causeway.OwnXattr) }

// Xattr implements gateway.Xattrs.
func (e *Engine) Xattr(ctx context.Context, c *gateway.Caller, h causeway.Handle, name string) ([]byte, error) {
	v, err := e.volume(h.Volume)
	if err != nil {
		return nil, err
	}
	x, err := v.xattrs(name)
	if err == nil && !own(name) {
		err = e.mayXattr(ctx, c, h, causeway.MayRead)
	}
	if err != nil {
		return nil, err
	}
	if name == causeway.DescriptorXattr {
		return e.descriptorOf(ctx, c, h)
	}
	return x.Xattr(ctx, h.Object, name)
}

func (e *Engine) mayXattr(ctx context.Context, c *gateway.Caller, h causeway.Handle, right causeway.Rights) error {
	_, attr, err := e.statFor(ctx, c, h)
	if err == nil && causeway.Permit(&c.Cred, &attr, right) == 0 {
		err = causeway.ErrAccess
	}
	return err
}

// ListXattrs implements gateway.Xattrs.
func (e *Engine) ListXattrs(ctx context.Context, c *gateway.Caller, h causeway.Handle) ([]string, error) {
	v, err := e.volume(h.Volume)
	if err != nil {
		return nil, err
	}
	x, ok := v.store.(backend.Xattrs)
	if !ok {
		return nil, causeway.ErrNotSupp
	}
	if err := e.mayXattr(ctx, c, h, causeway.MayRead); err != nil {
		return nil, err
	}
	names, err := x.ListXattrs(ctx, h.Object)
	return slices.DeleteFunc(names, own), err
}

// SetXattr implements gateway.Xattrs.
func (e *Engine) SetXattr(ctx context.Context, c *gateway.Caller, h causeway.Handle, name string, value []byte, how causeway.XattrHow) (causeway.Change, error) {
	if len(value) > causeway.MaxXattrValue {
		return causeway.Change{}, causeway.ErrFBig
	}
	return e.changeXattr(ctx, c, h, name, func(x backend.Xattrs, ch *change) error {
		if name == causeway.DescriptorXattr {
			sealed, err := ch.v.seal(ctx, h.Object, &ch.before, value)
			if err != nil {
				return err
			}
			return x.SetXattr(ctx, h.Object, name, sealed, how)
		}
		return x.SetXattr(ctx, h.Object, name, value, how)
	})
}

// RemoveXattr implements gateway.Xattrs.
func (e *Engine) RemoveXattr(ctx context.Context, c *gateway.Caller, h causeway.Handle, name string) (causeway.Change, error) {
	return e.changeXattr(ctx, c, h, name, func(x backend.Xattrs, _ *change) error { return x.RemoveXattr(ctx, h.Object, name) })
}

func (e *Engine) changeXattr(ctx context.Context, c *gateway.Caller, h causeway.Handle, name string, do func(backend.Xattrs, *change) error) (causeway.Change, error) {
	v, err := e.volume(h.Volume)
	if err == nil {
		err = v.mayChange(c)
	}
	if err != nil {
		return causeway.Change{}, err
	}
	x, err := v.xattrs(name)
	if err != nil {
		return causeway.Change{}, err
	}
	ch, err := e.begin(ctx, c, v, h)
	if err != nil {
		return causeway.Change{}, err
	}
	if causeway.Permit(&c.Cred, &ch.before, causeway.MayWrite) == 0 && !(own(name) && (c.Cred.UID == 0 || c.Cred.UID == ch.before.UID)) {
		err = causeway.ErrAccess
	} else if err = ch.still(); err == nil {
		err = do(x, &ch)
	}
	result := ch.end(ctx)
	if err == nil {
		err = v.persist(ctx, c, h.Object)
	}
	if err == nil && e.notices.Any() {
		e.modified(ctx, h, noticeOf(name))
	}
	return result, err
}

// noticeOf is what watchers hear of an attribute's change: those of the fronts are attributes and times to clients.
func noticeOf(name string) gateway.NoticeFilter {
	if name == causeway.DescriptorXattr {
		return gateway.NoticeSecurity
	}
	if own(name) {
		return gateway.NoticeAttributes | gateway.NoticeCreation
	}
	return gateway.NoticeEA
}
