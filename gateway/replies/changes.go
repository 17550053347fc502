package replies

import (
	"context"

	"causeway"
	"causeway/gateway"
)

// SetAttr implements gateway.Namespace.
func (m *Memory) SetAttr(ctx context.Context, c *gateway.Caller, h causeway.Handle, set *causeway.SetAttr, guard *causeway.Time) (causeway.Change, error) {
	r, err := m.once(ctx, c, h.Volume, func() (r Result, err error) {
		r.Changes[0], err = m.engine.SetAttr(ctx, c, h, set, guard)
		return r, err
	})
	return r.Changes[0], err
}

// Create implements gateway.Namespace.
func (m *Memory) Create(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, spec *gateway.CreateSpec) (gateway.Entry, causeway.Change, error) {
	r, err := m.once(ctx, c, dir.Volume, func() (r Result, err error) {
		r.Entry, r.Changes[0], err = m.engine.Create(ctx, c, dir, name, spec)
		return r, err
	})
	return r.Entry, r.Changes[0], err
}

// Remove implements gateway.Namespace.
func (m *Memory) Remove(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, kind gateway.RemoveKind) (causeway.Change, error) {
	r, err := m.once(ctx, c, dir.Volume, func() (r Result, err error) {
		r.Changes[0], err = m.engine.Remove(ctx, c, dir, name, kind)
		return r, err
	})
	return r.Changes[0], err
}

// Rename implements gateway.Namespace.
func (m *Memory) Rename(ctx context.Context, c *gateway.Caller, from causeway.Handle, name string, to causeway.Handle, newName string) (causeway.Change, causeway.Change, error) {
	r, err := m.once(ctx, c, from.Volume, func() (r Result, err error) {
		r.Changes[0], r.Changes[1], err = m.engine.Rename(ctx, c, from, name, to, newName)
		return r, err
	})
	return r.Changes[0], r.Changes[1], err
}

// Link implements gateway.Namespace.
func (m *Memory) Link(ctx context.Context, c *gateway.Caller, h, dir causeway.Handle, name string) (causeway.Attr, causeway.Change, error) {
	r, err := m.once(ctx, c, dir.Volume, func() (r Result, err error) {
		r.Entry.Attr, r.Changes[0], err = m.engine.Link(ctx, c, h, dir, name)
		return r, err
	})
	return r.Entry.Attr, r.Changes[0], err
}
