package replies

import (
	"context"

	"causeway"
	"causeway/gateway"
)

// stateful is what has state, with those of its changes remembered that cannot be made twice: opens of names that must be new, and
// extended attributes.
type stateful struct {
	gateway.Stateful
	memory *Memory
}

// Stateful returns s with its changes remembered like those of names.
func (m *Memory) Stateful(s gateway.Stateful) gateway.Stateful { return &stateful{s, m} }

// Open implements gateway.Opener. Any other disposition may be asked for again: it opens what the first call has made.
func (s *stateful) Open(ctx context.Context, c *gateway.Caller, h causeway.Handle, spec *gateway.OpenSpec) (gateway.Opened, error) {
	if c.Op == (causeway.OpID{}) || spec.Disposition != gateway.CreateNew || spec.Name == "" {
		return s.Stateful.Open(ctx, c, h, spec)
	}
	var opened gateway.Opened
	first := false
	r, err := s.memory.once(ctx, c, h.Volume, func() (Result, error) {
		var err error
		first = true
		opened, err = s.Stateful.Open(ctx, c, h, spec)
		return Result{Entry: opened.Entry, Changes: [2]causeway.Change{opened.Dir}, opened: opened}, err
	})
	switch {
	case err != nil:
		if opened.ID != (causeway.OpenID{}) { // it is not known to be kept
			_, _ = s.Stateful.Close(ctx, c, opened.Handle, opened.ID)
		}
		return gateway.Opened{Entry: r.Entry, Dir: r.Changes[0]}, err
	case first:
		return opened, nil
	case r.opened.ID != (causeway.OpenID{}):
		return r.opened, nil
	}
	return s.openMade(ctx, c, h, spec, r.Entry.Handle)
}

// openMade opens what an earlier owner of the volume has made for the same call.
func (s *stateful) openMade(ctx context.Context, c *gateway.Caller, h causeway.Handle, spec *gateway.OpenSpec, made causeway.Handle) (gateway.Opened, error) {
	there := *spec
	there.Disposition = gateway.OpenExisting
	opened, err := s.Stateful.Open(ctx, c, h, &there)
	switch {
	case causeway.CodeOf(err) == causeway.ErrSharing: // the open that it made as well may have been kept
		return gateway.Opened{}, causeway.ErrDelay
	case err != nil:
		return opened, err
	case opened.Handle != made:
		_, _ = s.Stateful.Close(ctx, c, opened.Handle, opened.ID)
		return gateway.Opened{Entry: opened.Entry}, causeway.ErrExist
	}
	opened.Action = gateway.DidCreate
	return opened, nil
}

// SetXattr implements gateway.Xattrs.
func (s *stateful) SetXattr(ctx context.Context, c *gateway.Caller, h causeway.Handle, name string, value []byte, how causeway.XattrHow) (causeway.Change, error) {
	r, err := s.memory.once(ctx, c, h.Volume, func() (r Result, err error) {
		r.Changes[0], err = s.Stateful.SetXattr(ctx, c, h, name, value, how)
		return r, err
	})
	return r.Changes[0], err
}

// RemoveXattr implements gateway.Xattrs.
func (s *stateful) RemoveXattr(ctx context.Context, c *gateway.Caller, h causeway.Handle, name string) (causeway.Change, error) {
	r, err := s.memory.once(ctx, c, h.Volume, func() (r Result, err error) {
		r.Changes[0], err = s.Stateful.RemoveXattr(ctx, c, h, name)
		return r, err
	})
	return r.Changes[0], err
}
