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

// numbers tells apart objects that had one number after another: most filesystems use the numbers of removed objects again. What it
// knows ends with the process.
type numbers struct {
	used map[uint64]*uses // of numbers whose object was removed, or not found where it was
	base uint32           // where counting starts
}

type uses struct {
	count   uint32 // of objects that are gone for good
	missing identity
}

// id derives the id of the object that has a number now.
func (n *numbers) id(i identity) causeway.ObjectID {
	count := n.base
	if u := n.used[i.number]; u != nil {
		if u.missing.number != 0 && !u.missing.born.Equal(i.born) {
			u.count++ // not the object that was not found
		}
		u.missing = identity{}
		count = u.count
	}
	var key [17]byte
	key[0] = 1
	binary.BigEndian.PutUint64(key[1:], i.number)
	binary.BigEndian.PutUint32(key[9:], count)
	return causeway.ObjectID(sha256.Sum256(key[:]))
}

// missing notes that an object was not found where it was: removed or renamed.
func (n *numbers) missing(i identity) { n.of(i.number).missing = i }

// removed notes that an object is gone for good.
func (n *numbers) removed(i identity) {
	u := n.of(i.number)
	u.count++
	u.missing = identity{}
}

func (n *numbers) of(number uint64) *uses {
	if len(n.used) > maxVacated {
		for _, u := range n.used {
			n.base = max(n.base, u.count)
		}
		n.base++ // ids change, but none comes back
		n.used = nil
	}
	if n.used == nil {
		n.used = make(map[uint64]*uses)
	}
	u := n.used[number]
	if u == nil {
		u = &uses{count: n.base}
		n.used[number] = u
	}
	return u
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
	n := s.nodes[s.numbers.id(i)]
	switch {
	case n == nil:
		return nil
	case n.parent == dir && strings.EqualFold(n.name, name) && n.typ == typeOf(fi.Mode()):
		return n
	case n == s.root || contains(n, dir):
		return n // it is being moved about
	case n.typ != typeOf(fi.Mode()) || !n.born.Equal(i.born):
		s.forget(n)
		s.numbers.removed(n.identity)
		return nil
	}
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
