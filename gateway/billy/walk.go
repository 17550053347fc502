package billy

import (
	"errors"
	"path"
	"strings"

	"causeway"
	"causeway/gateway"
)

// maxLinks is how many symbolic links one path may lead through, as in Linux.
const maxLinks = 40

// place is where a path leads: a name in a directory, and the object there if it exists. The name of the root, and of what
// a path reaches by "..", is empty.
type place struct {
	gateway.Entry
	exists bool
	dir    causeway.Handle
	name   string
}

// walker goes down a path. The directories that it came through are on a stack, so that ".." needs no question and cannot
// lead above the first.
type walker struct {
	fs     *Filesystem
	stack  []gateway.Entry
	rest   []string
	links  int
	follow bool // the last name too, if it is a link
}

// walk finds where a path leads. A last name that does not exist is no error.
func (fs *Filesystem) walk(p string, follow bool) (place, error) {
	if strings.IndexByte(p, 0) >= 0 {
		return place{}, causeway.ErrBadName
	}
	top, err := fs.top()
	if err != nil {
		return place{}, err
	}
	w := &walker{fs: fs, stack: []gateway.Entry{top}, rest: strings.Split(p, "/"), follow: follow}
	for len(w.rest) > 0 {
		name := w.rest[0]
		w.rest = w.rest[1:]
		switch name {
		case "", ".":
		case "..":
			if len(w.stack) > 1 {
				w.stack = w.stack[:len(w.stack)-1]
			}
		default:
			if p, done, err := w.step(name); done || err != nil {
				return p, err
			}
		}
	}
	return place{Entry: w.here(), exists: true}, nil
}

func (w *walker) here() gateway.Entry { return w.stack[len(w.stack)-1] }

// last reports whether nothing but slashes and dots follows.
func (w *walker) last() bool {
	for _, name := range w.rest {
		if name != "" && name != "." {
			return false
		}
	}
	return true
}

// step goes through one name; done, if the path ends there.
func (w *walker) step(name string) (p place, done bool, err error) {
	dir := w.here().Handle
	found, _, err := w.fs.access.Lookup(w.fs.ctx, w.fs.as(), dir, name)
	switch {
	case errors.Is(err, causeway.ErrNoEnt) && w.last():
		return place{dir: dir, name: name}, true, nil
	case err != nil:
		return place{}, true, err
	case found.Attr.Type == causeway.TypeSymlink && (w.follow || !w.last()):
		return place{}, false, w.link(found.Handle)
	case w.last():
		return place{Entry: found, exists: true, dir: dir, name: name}, true, nil
	case found.Attr.Type != causeway.TypeDirectory:
		return place{}, true, causeway.ErrNotDir
	}
	w.stack = append(w.stack, found)
	return place{}, false, nil
}

// link puts the target of a link before the rest of the path.
func (w *walker) link(h causeway.Handle) error {
	if w.links++; w.links > maxLinks {
		return causeway.ErrLoop
	}
	target, _, err := w.fs.access.ReadLink(w.fs.ctx, w.fs.as(), h)
	if err != nil {
		return err
	}
	if target == "" {
		return causeway.ErrNoEnt
	}
	if target[0] == '/' {
		w.stack = w.stack[:1]
	}
	w.rest = append(strings.Split(target, "/"), w.rest...)
	return nil
}

// find is walk to something that exists.
func (fs *Filesystem) find(p string, follow bool) (place, error) {
	at, err := fs.walk(p, follow)
	if err == nil && !at.exists {
		err = causeway.ErrNoEnt
	}
	return at, err
}

// toMake is walk to a name that may be made, with the directories on the way to it.
func (fs *Filesystem) toMake(p string, follow bool) (place, error) {
	at, err := fs.walk(p, follow)
	if errors.Is(err, causeway.ErrNoEnt) {
		if err = fs.mkdirs(path.Dir(path.Clean("/"+p)), 0o755); err == nil {
			at, err = fs.walk(p, follow)
		}
	}
	return at, err
}

// mkdirs makes a directory and those on the way to it.
func (fs *Filesystem) mkdirs(p string, mode uint32) error {
	if fs.parent != nil {
		if err := fs.parent.mkdirs(fs.base, mode); err != nil {
			return err
		}
	}
	made := "/"
	for _, name := range strings.Split(p, "/") {
		made += "/" + name
		at, err := fs.walk(made, true)
		if err != nil {
			return err
		}
		if at.exists {
			if at.Attr.Type != causeway.TypeDirectory {
				return causeway.ErrNotDir
			}
			continue
		}
		spec := &gateway.CreateSpec{Type: causeway.TypeDirectory, How: gateway.Guarded, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: mode}}
		_, _, err = fs.access.Create(fs.ctx, fs.as(), at.dir, at.name, spec)
		if err != nil && !errors.Is(err, causeway.ErrExist) { // another one may have made it meanwhile
			return err
		}
	}
	return nil
}
