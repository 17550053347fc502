package billyfs

import (
	"context"
	"os"
	"strings"

	"causeway"
	"causeway/backend"
)

// Lookup finds name in dir.
func (s *Store) Lookup(ctx context.Context, dir causeway.ObjectID, name string) (causeway.ObjectID, causeway.Attr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.getDir(ctx, dir)
	if err != nil {
		return causeway.ObjectID{}, causeway.Attr{}, err
	}
	var n *node
	var fi os.FileInfo
	switch name {
	case ".":
		n = d
		fi, err = s.look(n)
	case "..":
		n = d.parent
		fi, err = s.look(n)
	default:
		n, fi, err = s.find(d, name)
	}
	if err != nil {
		return causeway.ObjectID{}, causeway.Attr{}, err
	}
	return n.id, s.attr(n, fi), nil
}

// ReadLink returns the target of a symbolic link, as the filesystem tells it.
func (s *Store) ReadLink(ctx context.Context, id causeway.ObjectID) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, _, err := s.get(ctx, id)
	if err != nil {
		return "", err
	}
	if n.typ != causeway.TypeSymlink {
		return "", causeway.ErrInval
	}
	target, err := s.fs.Readlink(n.path())
	if err != nil {
		return "", failed("readlink", err)
	}
	return target, nil
}

// Link is not what billy can do.
func (s *Store) Link(ctx context.Context, id, dir causeway.ObjectID, name string) error {
	return causeway.ErrNotSupp
}

// Create makes a file, a directory or a symbolic link. The owner is what spec says only if the
// filesystem implements billy.Change.
func (s *Store) Create(ctx context.Context, dir causeway.ObjectID, name string, spec *backend.CreateSpec) (causeway.ObjectID, causeway.Attr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, fi, err := s.create(ctx, dir, name, spec)
	if err != nil {
		return causeway.ObjectID{}, causeway.Attr{}, err
	}
	return n.id, s.attr(n, fi), nil
}

func (s *Store) create(ctx context.Context, dir causeway.ObjectID, name string, spec *backend.CreateSpec) (*node, os.FileInfo, error) {
	d, err := s.getDir(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	_, _, err = s.find(d, name)
	switch {
	case err == nil:
		return nil, nil, causeway.ErrExist
	case causeway.CodeOf(err) != causeway.ErrNoEnt:
		return nil, nil, err
	case len(s.nodes) >= s.cfg.MaxObjects:
		return nil, nil, causeway.ErrNoSpc
	}
	path := join(d.path(), name)
	if err := s.make(path, spec); err != nil {
		return nil, nil, err
	}
	n, _, err := s.find(d, name)
	if err == nil {
		err = s.finish(n, spec)
	}
	if err != nil {
		_ = s.fs.Remove(path) // made by halves is not made; the first error is the one to tell
		return nil, nil, err
	}
	s.touch(d, true)
	fi, err := s.look(n)
	return n, fi, err
}

// make makes the object itself.
func (s *Store) make(path string, spec *backend.CreateSpec) error {
	var err error
	switch spec.Type {
	case causeway.TypeRegular:
		f, openErr := s.fs.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, osMode(spec.Type, spec.Mode))
		if openErr != nil {
			return failed("create", openErr)
		}
		err = f.Close()
	case causeway.TypeDirectory:
		mode := osMode(spec.Type, spec.Mode).Perm()
		if s.noTimes {
			err = s.mkdirClean(path, mode)
		} else {
			err = s.fs.MkdirAll(path, mode)
		}
	case causeway.TypeSymlink:
		err = s.fs.Symlink(spec.Target, path)
	case causeway.TypeBlock, causeway.TypeChar, causeway.TypeSocket, causeway.TypeFIFO:
		return causeway.ErrNotSupp
	default:
		return causeway.ErrBadType
	}
	if err != nil {
		return failed("create", err)
	}
	return nil
}

// finish gives a new object its exact mode and its times.
func (s *Store) finish(n *node, spec *backend.CreateSpec) error {
	set := causeway.SetAttr{Mask: causeway.SetAtimeNow | causeway.SetMtimeNow}
	if spec.Atime != nil {
		set.Mask, set.Atime = set.Mask&^causeway.SetAtimeNow|causeway.SetAtime, *spec.Atime
	}
	if spec.Mtime != nil {
		set.Mask, set.Mtime = set.Mask&^causeway.SetMtimeNow|causeway.SetMtime, *spec.Mtime
	}
	fi, err := s.look(n)
	if err != nil {
		return err
	}
	a := s.attr(n, fi)
	if owner := (&causeway.SetAttr{Mask: causeway.SetUID | causeway.SetGID, UID: spec.UID, GID: spec.GID}); a.UID != spec.UID || a.GID != spec.GID {
		if err := s.setOwner(n, &a, owner); err != nil {
			return err
		}
	}
	if n.typ != causeway.TypeSymlink {
		if fi, err = s.look(n); err != nil {
			return err
		}
		if modeOf(fi.Mode()) != spec.Mode&causeway.ModeAll {
			if err := s.chmod(n.path(), osMode(n.typ, spec.Mode)); err != nil && causeway.CodeOf(err) != causeway.ErrNotSupp {
				return err
			}
		}
	}
	s.touch(n, true)
	return s.setTimes(n, &set)
}

// Remove removes a name.
func (s *Store) Remove(ctx context.Context, parent causeway.ObjectID, name string, dir bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.getDir(ctx, parent)
	if err != nil {
		return err
	}
	n, _, err := s.find(d, name)
	if err != nil {
		return err
	}
	isDir := n.typ == causeway.TypeDirectory
	switch {
	case dir && !isDir:
		return causeway.ErrNotDir
	case !dir && isDir:
		return causeway.ErrIsDir
	}
	return s.remove(d, n)
}

// remove removes an object; a directory must be empty, whatever the filesystem thinks of it.
func (s *Store) remove(d, n *node) error {
	if n.typ == causeway.TypeDirectory {
		found, err := s.readDir(n)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return causeway.ErrNotEmpty
		}
	}
	if err := s.fs.Remove(n.path()); err != nil {
		return failed("remove", err)
	}
	s.forget(n)
	s.touch(d, true)
	return nil
}

// Rename moves a name. A directory at the target is removed first: for a moment neither is there.
func (s *Store) Rename(ctx context.Context, from causeway.ObjectID, name string, to causeway.ObjectID, newName string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.getDir(ctx, from)
	if err != nil {
		return err
	}
	t, err := s.getDir(ctx, to)
	if err != nil {
		return err
	}
	n, _, err := s.find(f, name)
	if err != nil {
		return err
	}
	target, _, err := s.find(t, newName)
	if err != nil && causeway.CodeOf(err) != causeway.ErrNoEnt {
		return err
	}
	if n == target {
		if f != t || name == newName || !strings.EqualFold(name, newName) || t.kids[newName] == n {
			return nil
		}
		target = nil // another spelling of the name, where spellings are the same
	}
	if err := s.clear(n, t, target); err != nil {
		return err
	}
	return s.move(n, f, t, newName)
}

// clear refuses what rename(2) refuses, and makes room at the target.
func (s *Store) clear(n, to, target *node) error {
	for d := to; n.typ == causeway.TypeDirectory; d = d.parent {
		if d == n {
			return causeway.ErrInval
		}
		if d == s.root {
			break
		}
	}
	if target == nil {
		return nil
	}
	isDir, wasDir := n.typ == causeway.TypeDirectory, target.typ == causeway.TypeDirectory
	switch {
	case isDir && !wasDir:
		return causeway.ErrNotDir
	case !isDir && wasDir:
		if found, err := s.readDir(target); err == nil && len(found) > 0 {
			return causeway.ErrNotEmpty
		}
		return causeway.ErrIsDir
	case wasDir:
		return s.remove(to, target)
	}
	return nil
}

func (s *Store) move(n, from, to *node, newName string) error {
	newName = strings.Clone(newName)
	old, path := n.path(), join(to.path(), newName)
	rename := func() error { return s.fs.Rename(old, path) }
	if s.noTimes {
		rename = func() error { return s.renameAround(from.path(), n.name, path) }
	}
	if err := rename(); err != nil {
		return failed("rename", err)
	}
	if target := to.kids[newName]; target != nil {
		s.forget(target)
	}
	s.vacate(old)
	delete(from.kids, n.name)
	n.name, n.parent = newName, to
	if to.kids == nil {
		to.kids = make(map[string]*node)
	}
	to.kids[newName] = n
	s.touch(from, true)
	s.touch(to, true)
	s.touch(n, false)
	return nil
}
