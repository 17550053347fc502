package main

import (
	"context"

	"causeway"
	"causeway/backend"
	"causeway/backend/posix"
)

// namesStore is a volume's storage for names and attributes: while it is in doubt whether the storage is in reach, what fails is to be tried
// later, when another gateway that reaches it may have the volume.
type namesStore struct {
	*posix.Store
	id    causeway.VolumeID
	doubt func(causeway.VolumeID, error) error // what the client is told of an error; does not block
}

var _ backend.Store = (*namesStore)(nil)

func (s *namesStore) told(err error) error {
	if err == nil || s.doubt == nil {
		return err
	}
	return s.doubt(s.id, err)
}

// Lookup implements backend.Tree, as do the others.
func (s *namesStore) Lookup(ctx context.Context, dir causeway.ObjectID, name string) (causeway.ObjectID, causeway.Attr, error) {
	id, a, err := s.Store.Lookup(ctx, dir, name)
	return id, a, s.told(err)
}

// Stat is asked most.
func (s *namesStore) Stat(ctx context.Context, id causeway.ObjectID) (causeway.Attr, error) {
	a, err := s.Store.Stat(ctx, id)
	return a, s.told(err)
}

// SetStat changes attributes.
func (s *namesStore) SetStat(ctx context.Context, id causeway.ObjectID, set *causeway.SetAttr) error {
	return s.told(s.Store.SetStat(ctx, id, set))
}

// List lists a directory.
func (s *namesStore) List(ctx context.Context, dir causeway.ObjectID, cookie uint64, attrs bool, emit func(*causeway.DirEntry) bool) (bool, error) {
	eof, err := s.Store.List(ctx, dir, cookie, attrs, emit)
	return eof, s.told(err)
}

// ReadLink returns the target of a symbolic link.
func (s *namesStore) ReadLink(ctx context.Context, id causeway.ObjectID) (string, error) {
	target, err := s.Store.ReadLink(ctx, id)
	return target, s.told(err)
}

// Create makes an object.
func (s *namesStore) Create(ctx context.Context, dir causeway.ObjectID, name string, spec *backend.CreateSpec) (causeway.ObjectID, causeway.Attr, error) {
	id, a, err := s.Store.Create(ctx, dir, name, spec)
	return id, a, s.told(err)
}

// Remove removes a name.
func (s *namesStore) Remove(ctx context.Context, parent causeway.ObjectID, name string, dir bool) error {
	return s.told(s.Store.Remove(ctx, parent, name, dir))
}

// Rename moves a name.
func (s *namesStore) Rename(ctx context.Context, from causeway.ObjectID, name string, to causeway.ObjectID, newName string) error {
	return s.told(s.Store.Rename(ctx, from, name, to, newName))
}

// Link makes another name.
func (s *namesStore) Link(ctx context.Context, id, dir causeway.ObjectID, name string) error {
	return s.told(s.Store.Link(ctx, id, dir, name))
}

// StatFS tells of the file system.
func (s *namesStore) StatFS(ctx context.Context) (causeway.FSStat, error) {
	fs, err := s.Store.StatFS(ctx)
	return fs, s.told(err)
}

// Persist makes changes stable.
func (s *namesStore) Persist(ctx context.Context, ids ...causeway.ObjectID) error {
	return s.told(s.Store.Persist(ctx, ids...))
}
