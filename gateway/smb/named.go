package smb

import (
	"context"
	"crypto/rand"

	"causeway"
	"causeway/gateway"
)

// Named gives each change of names and attributes a name of its own ([gateway.Caller].Op), so that it can be asked for again, and is done
// once, when the gateway that administers the volume is lost before it has answered. SMB clients do not repeat such requests: they would
// be told that the file is not available.
func Named(a Access) Access { return &named{a} }

type named struct{ unnamed }

type unnamed = Access // by another name than that of a method

// name returns the caller with a name for one call. One that must not wait could not be told to be the same when it comes again.
func name(c *gateway.Caller) (*gateway.Caller, error) {
	if c.NoWait {
		return nil, causeway.ErrWouldBlock
	}
	by := *c
	rand.Read(by.Op[:]) // never fails
	return &by, nil
}

// SetAttr implements gateway.Namespace.
func (n *named) SetAttr(ctx context.Context, c *gateway.Caller, h causeway.Handle, set *causeway.SetAttr, guard *causeway.Time) (causeway.Change, error) {
	by, err := name(c)
	if err != nil {
		return causeway.Change{}, err
	}
	return n.unnamed.SetAttr(ctx, by, h, set, guard)
}

// Create implements gateway.Namespace.
func (n *named) Create(ctx context.Context, c *gateway.Caller, dir causeway.Handle, of string, spec *gateway.CreateSpec) (gateway.Entry, causeway.Change, error) {
	by, err := name(c)
	if err != nil {
		return gateway.Entry{}, causeway.Change{}, err
	}
	return n.unnamed.Create(ctx, by, dir, of, spec)
}

// Remove implements gateway.Namespace.
func (n *named) Remove(ctx context.Context, c *gateway.Caller, dir causeway.Handle, of string, kind gateway.RemoveKind) (causeway.Change, error) {
	by, err := name(c)
	if err != nil {
		return causeway.Change{}, err
	}
	return n.unnamed.Remove(ctx, by, dir, of, kind)
}

// Rename implements gateway.Namespace.
func (n *named) Rename(ctx context.Context, c *gateway.Caller, from causeway.Handle, of string, to causeway.Handle, newName string) (causeway.Change, causeway.Change, error) {
	by, err := name(c)
	if err != nil {
		return causeway.Change{}, causeway.Change{}, err
	}
	return n.unnamed.Rename(ctx, by, from, of, to, newName)
}

// Link implements gateway.Namespace.
func (n *named) Link(ctx context.Context, c *gateway.Caller, h, dir causeway.Handle, of string) (causeway.Attr, causeway.Change, error) {
	by, err := name(c)
	if err != nil {
		return causeway.Attr{}, causeway.Change{}, err
	}
	return n.unnamed.Link(ctx, by, h, dir, of)
}

// Open implements gateway.Opener. What only opens, or makes what is not there, may be asked for again without a name.
func (n *named) Open(ctx context.Context, c *gateway.Caller, h causeway.Handle, spec *gateway.OpenSpec) (gateway.Opened, error) {
	if spec.Disposition != gateway.CreateNew {
		return n.unnamed.Open(ctx, c, h, spec)
	}
	by, err := name(c)
	if err != nil {
		return gateway.Opened{}, err
	}
	return n.unnamed.Open(ctx, by, h, spec)
}

// SetXattr implements gateway.Xattrs.
func (n *named) SetXattr(ctx context.Context, c *gateway.Caller, h causeway.Handle, of string, value []byte, how causeway.XattrHow) (causeway.Change, error) {
	by, err := name(c)
	if err != nil {
		return causeway.Change{}, err
	}
	return n.unnamed.SetXattr(ctx, by, h, of, value, how)
}

// RemoveXattr implements gateway.Xattrs.
func (n *named) RemoveXattr(ctx context.Context, c *gateway.Caller, h causeway.Handle, of string) (causeway.Change, error) {
	by, err := name(c)
	if err != nil {
		return causeway.Change{}, err
	}
	return n.unnamed.RemoveXattr(ctx, by, h, of)
}
