package posix

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

// A locator says where the owner of a volume, which hears of every change of a name, has an object: its name and its directory's
// number, then that directory's, and so on towards the root. With it a gateway that hears of nothing opens the object, and then
// verifies that it is the one: a locator that is false, old or made up leads to an error and never to another object.
//
// Format: version (1), then as places are kept in the index.
const (
	locatorVersion = 1
	maxLocator     = 4 << 10 // what a message between gateways carries; the ends of longer ones are left out
)

// formatLocator returns the locator of these steps, the object's own first.
func formatLocator(steps []place) causeway.Locator {
	loc := causeway.Locator{locatorVersion}
	for _, step := range steps {
		if len(loc)+9+len(step.name) > maxLocator {
			break
		}
		loc = append(loc, formatPlaces([]place{step})...)
	}
	return loc
}

// parseLocator returns the steps of a locator, nil if it is malformed in any way.
func parseLocator(loc causeway.Locator) (steps []place) {
	if len(loc) < 2 || len(loc) > maxLocator || loc[0] != locatorVersion {
		return nil
	}
	for b := loc[1:]; len(b) > 0; {
		if len(b) < 9 || len(b) < 9+int(b[8]) {
			return nil
		}
		step := place{binary.BigEndian.Uint64(b), string(b[9 : 9+int(b[8])])}
		var c cname
		if c.setNew(step.name) != causeway.OK {
			return nil
		}
		steps = append(steps, step)
		b = b[9+len(step.name):]
	}
	return steps
}

// locate returns where an open object is now; nil if that is not known. Every step is looked at, so that a locator is true when
// it is made.
func (ix *index) locate(ino uint64) causeway.Locator {
	var steps []place
	for size := 1; ino != ix.store.mount.ino; {
		at, ok := ix.placeNow(ino)
		if !ok || len(steps) > maxDepth {
			return nil
		}
		if size += 9 + len(at.name); size > maxLocator {
			break // who gets it may know a directory on the way
		}
		steps = append(steps, at)
		ino = at.parent
	}
	if len(steps) == 0 {
		return nil
	}
	return formatLocator(steps)
}

// placeNow returns a name that the object with an inode number has now, as far as the index knows one.
func (ix *index) placeNow(ino uint64) (place, bool) {
	for _, at := range ix.places(ino) {
		var c cname
		var st unix.Stat_t
		parent := ix.directory(at.parent, 0)
		if parent == nil {
			continue
		}
		found := c.setNew(at.name) == causeway.OK && !ix.store.hides(parent, at.name) &&
			steady(func() unix.Errno { return fstatat(parent.fd, &c, &st) }) == 0 && st.Ino == ino
		parent.unpin()
		if found {
			return at, true
		}
	}
	return place{}, false
}

// openAt opens what a locator leads to if that is the object, as O_PATH; ErrNoEnt if it is not.
func (ix *index) openAt(loc causeway.Locator, id causeway.ObjectID) (int, error) {
	steps := parseLocator(loc)
	from, dir := ix.nearest(steps)
	if dir == nil {
		return -1, causeway.ErrNoEnt
	}
	for ; from > 0; from-- {
		next := ix.childDirectory(dir, steps[from].name, steps[from-1].parent)
		dir.unpin()
		if next == nil {
			return -1, causeway.ErrNoEnt
		}
		dir = next
	}
	defer dir.unpin()
	ino, _ := parseIndexID(id)
	fd, e := ix.openPlace(dir, steps[0].name)
	if e != 0 {
		return -1, causeway.ErrNoEnt
	}
	if same, _ := ix.isObject(fd, ino, id); !same {
		unix.Close(fd)
		return -1, causeway.ErrNoEnt
	}
	ix.learn(ino, dir, steps[0].name)
	return fd, nil
}

// complete reports whether a locator leads from the root.
func (ix *index) complete(loc causeway.Locator) bool {
	steps := parseLocator(loc)
	return len(steps) > 0 && steps[len(steps)-1].parent == ix.store.mount.ino
}

// nearest returns the first directory of some steps that is open, pinned, and the step that leads from it.
func (ix *index) nearest(steps []place) (int, *node) {
	s := ix.store
	for i, step := range steps {
		if step.parent == s.mount.ino {
			s.root.pin()
			return i, s.root
		}
		if n := s.cache.getIno(step.parent, math.MaxUint64); n != nil {
			if n.typ == causeway.TypeDirectory {
				return i, n
			}
			n.unpin()
		}
	}
	if len(steps) > 0 { // it was cut off
		last := len(steps) - 1
		return last, ix.directory(steps[last].parent, 0)
	}
	return 0, nil
}

// childDirectory returns the pinned node of a directory that has this name and this number, or nil.
func (ix *index) childDirectory(parent *node, name string, ino uint64) *node {
	fd, e := ix.openPlace(parent, name)
	if e != 0 {
		return nil
	}
	n, err := ix.store.adopt(fd, fdPath, nil)
	if err != nil {
		return nil
	}
	if n.ino != ino || n.typ != causeway.TypeDirectory {
		n.unpin()
		return nil
	}
	ix.learn(ino, parent, name)
	return n
}

// getAt is get of an object that the owner of the volume knows to be where the locator says. If it is not there any more, and this
// store does not know it, it is not looked for: the owner is asked again.
func (s *Store) getAt(ctx context.Context, id *causeway.ObjectID, loc causeway.Locator) (*node, error) {
	ix, ok := s.identity.(*index)
	if len(loc) == 0 || !ok {
		return s.get(ctx, id)
	}
	if n := s.cache.get(id); n != nil {
		return n, nil
	}
	if s.closed.Load() {
		return nil, causeway.ErrClosed
	}
	if id[0] != kindIndex {
		return nil, causeway.ErrBadHandle
	}
	fd, err := ix.openAt(loc, *id)
	if err == causeway.ErrNoEnt {
		fd, err = ix.find(*id)
	}
	if err == causeway.ErrNoEnt && !ix.complete(loc) {
		return s.get(ctx, id)
	}
	if err == causeway.ErrNoEnt {
		return nil, backend.ErrMoved
	}
	if err != nil {
		return nil, err
	}
	return s.adoptAs(fd, id)
}

// adoptAs is adopt of what was opened as the object with an id.
func (s *Store) adoptAs(fd int, id *causeway.ObjectID) (*node, error) {
	n, err := s.adopt(fd, fdPath, nil)
	if err != nil {
		return nil, err
	}
	if n.id != *id {
		n.unpin()
		return nil, causeway.ErrStale
	}
	return n, nil
}

// steady calls what works by names, again while it says ESTALE: where other machines change names too, the kernel answers so for
// what it finds in motion, although the directory lives.
func steady(f func() unix.Errno) (e unix.Errno) {
	for try := range 8 {
		if e = f(); e != unix.ESTALE {
			return e
		}
		time.Sleep(time.Duration(try) * 250 * time.Microsecond)
	}
	return e
}
