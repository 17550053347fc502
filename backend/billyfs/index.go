package billyfs

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"strings"

	"causeway"
)

// rootPath is what billy filesystems of all kinds take for their root; all other paths are relative to it.
const rootPath = "."

// maxVacated bounds the paths that are remembered as vacated.
const maxVacated = 1 << 20

// node is an object that was seen.
type node struct {
	id     causeway.ObjectID
	fileID uint64
	typ    causeway.FileType
	identity
	name   string
	parent *node // nil: gone
	kids   map[string]*node
	times
}

// path returns where the node is now.
func (n *node) path() string {
	if n.name == "" {
		return rootPath
	}
	parts := []string{n.name}
	for p := n.parent; p.name != ""; p = p.parent {
		parts = append(parts, p.name)
	}
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return strings.Join(parts, "/")
}

// join makes a path of its own memory: names are lent for the call, paths are kept.
func join(dir, name string) string {
	if dir == rootPath {
		return strings.Clone(name)
	}
	return dir + "/" + name
}

// idOf derives an id: the hash of a path and of a generation, which is zero for the first object seen there.
func idOf(path string, gen uint64) causeway.ObjectID {
	var g [8]byte
	binary.BigEndian.PutUint64(g[:], gen)
	h := sha256.New()
	h.Write(g[:])
	h.Write([]byte(path))
	return causeway.ObjectID(h.Sum(nil))
}

// newNode enters an object below parent, which is nil for the root.
func (s *Store) newNode(parent *node, name string, fi os.FileInfo) *node {
	name = strings.Clone(name) // callers lend names for the call
	n := &node{typ: typeOf(fi.Mode()), name: name, parent: parent}
	path := rootPath
	if parent != nil {
		path = join(parent.path(), name)
	}
	if n.identity = identityOf(fi); n.number != 0 && parent != nil {
		n.id = n.identity.id()
	} else {
		if n.id = idOf(path, 0); s.nodes[n.id] != nil || s.wasVacated(path) {
			n.id = idOf(path, s.nextGen)
			s.nextGen++
		}
	}
	n.fileID = binary.BigEndian.Uint64(n.id[:])
	s.start(n, fi)
	s.nodes[n.id] = n
	if parent != nil {
		if parent.kids == nil {
			parent.kids = make(map[string]*node)
		}
		parent.kids[name] = n
	}
	return n
}

// wasVacated reports whether another object stood at this path, or at a directory on the way to it.
func (s *Store) wasVacated(path string) bool {
	if s.forgetful {
		return true
	}
	for i := range len(path) {
		if path[i] == '/' && s.vacated[path[:i]] {
			return true
		}
	}
	return s.vacated[path]
}

// vacate notes that the object of a path is there no more.
func (s *Store) vacate(path string) {
	if s.vacated[path] = true; len(s.vacated) > maxVacated {
		s.vacated, s.forgetful = make(map[string]bool), true
	}
}

// forget takes an object, and what is below it, out of the index.
func (s *Store) forget(n *node) {
	if n == s.root {
		return
	}
	s.vacate(n.path())
	delete(n.parent.kids, n.name)
	s.drop(n)
}

func (s *Store) drop(n *node) {
	for _, kid := range n.kids {
		s.drop(kid)
	}
	delete(s.nodes, n.id)
	n.parent, n.kids = nil, nil
}

// adopt returns the node of what was found below a directory.
func (s *Store) adopt(dir *node, name string, fi os.FileInfo) (*node, error) {
	if n := dir.kids[name]; n != nil {
		if n.same(fi) {
			return n, nil
		}
		s.forget(n) // another program has put something else there
	}
	if n := s.elsewhere(dir, name, fi); n != nil {
		return n, nil
	}
	if len(s.nodes) >= s.cfg.MaxObjects {
		return nil, causeway.ErrNoSpc
	}
	return s.newNode(dir, name, fi), nil
}

// get finds the object of an id, and looks whether it is there still: what is on the way to it must be directories.
func (s *Store) get(ctx context.Context, id causeway.ObjectID) (*node, os.FileInfo, error) {
	if s.closed {
		return nil, nil, causeway.ErrClosed
	}
	n := s.nodes[id]
	if n == nil && !s.walked {
		if err := s.walk(ctx); err != nil {
			return nil, nil, err
		}
		n = s.nodes[id]
	}
	if n == nil {
		return nil, nil, causeway.ErrStale
	}
	fi, err := s.look(n)
	return n, fi, err
}

func (s *Store) look(n *node) (os.FileInfo, error) {
	if n != s.root {
		if _, err := s.look(n.parent); err != nil {
			return nil, err
		}
		if n.parent == nil {
			return nil, causeway.ErrStale // went with a directory
		}
	}
	fi, err := s.fs.Lstat(n.path())
	if err == nil && n.same(fi) {
		return fi, nil
	}
	if err == nil || os.IsNotExist(err) {
		s.forget(n)
		return nil, causeway.ErrStale
	}
	return nil, failed("lstat", err)
}

// getDir finds a directory.
func (s *Store) getDir(ctx context.Context, id causeway.ObjectID) (*node, error) {
	n, _, err := s.get(ctx, id)
	if err == nil && n.typ != causeway.TypeDirectory {
		err = causeway.ErrNotDir
	}
	return n, err
}

// find looks for a name in a directory.
func (s *Store) find(dir *node, name string) (*node, os.FileInfo, error) {
	if err := checkName(name); err != nil {
		return nil, nil, err
	}
	fi, err := s.fs.Lstat(join(dir.path(), name))
	if err != nil {
		if n := dir.kids[name]; n != nil && os.IsNotExist(err) {
			s.forget(n)
		}
		return nil, nil, failed("lookup", err)
	}
	n, err := s.adopt(dir, name, fi)
	return n, fi, err
}

// walk enters everything into the index.
func (s *Store) walk(ctx context.Context) error {
	for queue := []*node{s.root}; len(queue) > 0; queue = queue[1:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		found, err := s.readDir(queue[0])
		if causeway.CodeOf(err) == causeway.ErrStale {
			continue
		}
		if err != nil {
			return err
		}
		for _, fi := range found {
			n, err := s.adopt(queue[0], fi.Name(), fi)
			if err != nil {
				return err
			}
			if n.typ == causeway.TypeDirectory {
				queue = append(queue, n)
			}
		}
	}
	s.walked = true
	return nil
}

// checkName refuses what a path is more than one component of.
func checkName(name string) error {
	if name == "." || name == ".." {
		return causeway.ErrBadName
	}
	if code := causeway.CheckName(name); code != causeway.OK {
		return code
	}
	return nil
}
