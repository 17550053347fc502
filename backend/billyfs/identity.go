package billyfs

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"strings"
	"time"

	"causeway"
)

// Identified is an optional power of what FileInfo.Sys returns: a number that an object keeps for life, whatever its name, and when it
// was made. 0: unknown. Such an object keeps its id when others rename it, and over restarts.
type Identified interface {
	Identity() (number uint64, born time.Time)
}

// identity is what the filesystem tells of an object beside its path.
type identity struct {
	number uint64 // 0: nothing
	born   time.Time
}

func identityOf(fi os.FileInfo) (i identity) {
	if of, ok := fi.Sys().(Identified); ok {
		i.number, i.born = of.Identity()
	}
	return i
}

// id derives the id of an object. Filesystems use the numbers of removed objects again, but not with the same birth.
func (i identity) id() causeway.ObjectID {
	var key [17]byte
	key[0] = 1
	binary.BigEndian.PutUint64(key[1:], i.number)
	binary.BigEndian.PutUint64(key[9:], uint64(i.born.UnixNano()))
	return causeway.ObjectID(sha256.Sum256(key[:]))
}

// same reports whether what was found where a node stands can be the node's object.
func (n *node) same(fi os.FileInfo) bool {
	i := identityOf(fi)
	return typeOf(fi.Mode()) == n.typ && (i.number == 0 || n.number == 0 || i.number == n.number)
}

// elsewhere returns the node of an object that was seen by another name: another spelling, if the filesystem takes these for the same,
// or the name that it had before, or has too.
func (s *Store) elsewhere(dir *node, name string, fi os.FileInfo) *node {
	i := identityOf(fi)
	if i.number == 0 {
		return nil
	}
	n := s.nodes[i.id()]
	switch {
	case n == nil:
		return nil
	case n.parent == dir && strings.EqualFold(n.name, name) && n.typ == typeOf(fi.Mode()):
		return n
	case n == s.root || contains(n, dir):
		return n // it is being moved about
	case n.typ != typeOf(fi.Mode()):
		s.forget(n)
		return nil
	}
	name = strings.Clone(name)
	delete(n.parent.kids, n.name)
	n.name, n.parent = name, dir
	if dir.kids == nil {
		dir.kids = make(map[string]*node)
	}
	dir.kids[name] = n
	return n
}

// contains reports whether a directory stands in another one, or is it.
func contains(top, d *node) bool {
	for d.parent != d && d != top {
		d = d.parent
	}
	return d == top
}
