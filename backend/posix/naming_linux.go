package posix

import (
	"context"
	"os"
	"path"
	"strings"

	"causeway"
	"causeway/backend"
)

var _ backend.Namer = (*Store)(nil)

// Name implements backend.Namer: by the index, or by the path that the kernel knows of the object's descriptor. The kernel knows none of a
// file that nobody has found by name since the system forgot it.
func (s *Store) Name(ctx context.Context, id causeway.ObjectID) (causeway.ObjectID, string, error) {
	if ix, ok := s.identity.(*index); ok {
		return s.nameByIndex(ctx, ix, id)
	}
	n, err := s.get(ctx, &id)
	if err != nil {
		return causeway.ObjectID{}, "", err
	}
	dir, name, err := s.nameByPath(ctx, n.fd, id)
	n.unpin()
	if err == nil || n.typ == causeway.TypeDirectory {
		return dir, name, err
	}
	fd, err := s.identity.open(ctx, id) // the node's descriptor may be older than the name that is known now
	if err != nil {
		return causeway.ObjectID{}, "", err
	}
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	return s.nameByPath(ctx, fd, id)
}

func (s *Store) nameByIndex(ctx context.Context, ix *index, id causeway.ObjectID) (causeway.ObjectID, string, error) {
	ino, ok := ix.inoOf(id)
	if !ok {
		return causeway.ObjectID{}, "", causeway.ErrBadHandle
	}
	for _, at := range ix.places(ino) {
		if parent := ix.directory(at.parent, 0); parent != nil {
			dir := parent.id
			parent.unpin()
			if s.isNamed(ctx, dir, at.name, id) {
				return dir, at.name, nil
			}
		}
	}
	return causeway.ObjectID{}, "", causeway.ErrNoEnt
}

// isNamed reports whether a name stands for an object.
func (s *Store) isNamed(ctx context.Context, dir causeway.ObjectID, name string, id causeway.ObjectID) bool {
	found, _, err := s.Lookup(ctx, dir, name)
	return err == nil && found == id
}

// nameByPath walks the path that the kernel tells of a descriptor, as seen from the root.
func (s *Store) nameByPath(ctx context.Context, fd int, id causeway.ObjectID) (dir causeway.ObjectID, name string, err error) {
	var p procPath
	root, err := os.Readlink(p.set(s.mount.fd).String())
	if err != nil {
		return dir, "", causeway.ErrNoEnt
	}
	p = procPath{}
	at, err := os.Readlink(p.set(fd).String())
	if err != nil {
		return dir, "", causeway.ErrNoEnt
	}
	below, ok := strings.CutPrefix(at, strings.TrimSuffix(root, "/")+"/")
	if !ok || below == "" {
		return dir, "", causeway.ErrNoEnt
	}
	up, name := path.Split(below)
	dir = s.Root()
	for step := range strings.SplitSeq(strings.TrimSuffix(up, "/"), "/") {
		if step == "" {
			continue
		}
		if dir, _, err = s.Lookup(ctx, dir, step); err != nil {
			return dir, "", causeway.ErrNoEnt
		}
	}
	if !s.isNamed(ctx, dir, name, id) {
		return dir, "", causeway.ErrNoEnt
	}
	return dir, name, nil
}
