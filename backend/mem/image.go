package mem

import (
	"fmt"

	"causeway"
	"causeway/internal/sparse"
)

// Image is the state of a volume, to load a store from.
type Image struct {
	Seq     uint64 // nothing made from now on is numbered lower
	Objects []ImageObject
}

// ImageObject is an object of an Image. Its number is Attr.FileID; the root's is 1. Link counts are not taken from Attr but
// counted.
type ImageObject struct {
	Attr       causeway.Attr
	Target     string // of a symbolic link
	DefaultACL *causeway.ACL
	Entries    []ImageEntry // of a directory
	Pages      sparse.Pages // of a file; becomes the store's
}

// ImageEntry is a name in a directory.
type ImageEntry struct {
	Name   string
	Cookie uint64
	FileID uint64
}

// Load returns a store with the contents of an image. With the generation of the store that the image comes from, its
// objects have the ids that they had there. An image in which something is missing, stands twice or is a directory with
// two names is refused.
func Load(cfg Config, img Image) (*Store, error) {
	s := New(cfg)
	s.seq = max(s.seq, img.Seq)
	delete(s.nodes, rootIno)
	for i := range img.Objects {
		n := img.Objects[i].node()
		n.used = s.cfg.Used
		if s.nodes[n.ino] != nil || n.ino > s.seq {
			return nil, fmt.Errorf("object %d stands twice or is newer than %d", n.ino, s.seq)
		}
		s.nodes[n.ino] = n
		s.used += objectCost + uint64(len(n.target)) + n.pages.Bytes()
	}
	if s.root = s.nodes[rootIno]; s.root == nil || s.root.dir == nil {
		return nil, fmt.Errorf("no root directory")
	}
	s.root.parent = s.root
	for i := range img.Objects {
		if err := s.loadEntries(&img.Objects[i]); err != nil {
			return nil, err
		}
	}
	for ino, n := range s.nodes {
		if n.attr.Nlink == 0 || n.dir != nil && n.parent == nil {
			return nil, fmt.Errorf("object %d has no name", ino)
		}
	}
	return s, nil
}

func (o *ImageObject) node() *node {
	n := &node{ino: o.Attr.FileID, attr: o.Attr, target: o.Target, defaultACL: o.DefaultACL}
	n.attr.Nlink = 0
	switch o.Attr.Type {
	case causeway.TypeDirectory:
		n.dir, n.attr.Nlink = newDirectory(), 2
	case causeway.TypeRegular:
		if n.pages = o.Pages; n.pages == nil {
			n.pages = make(sparse.Pages)
		}
	}
	return n
}

func (s *Store) loadEntries(o *ImageObject) error {
	d := s.nodes[o.Attr.FileID]
	for _, e := range o.Entries {
		n := s.nodes[e.FileID]
		if d.dir == nil || n == nil || d.dir.names[e.Name] != nil || checkName(e.Name) != nil {
			return fmt.Errorf("entry %q of object %d is not valid", e.Name, o.Attr.FileID)
		}
		if n.dir != nil {
			if n.parent != nil {
				return fmt.Errorf("directory %d has two names", n.ino)
			}
			n.parent = d
			d.attr.Nlink++
		} else {
			n.attr.Nlink++
		}
		d.dir.add(e.Name, e.Cookie, n)
		s.used += entryCost + uint64(len(e.Name))
	}
	return nil
}

// Image returns the state of the store, but for objects without a name. The pages of files are not copied: they are valid as
// long as nothing is written.
func (s *Store) Image() Image {
	s.mu.RLock()
	defer s.mu.RUnlock()
	img := Image{Seq: s.seq}
	for _, n := range s.nodes {
		if n.attr.Nlink == 0 {
			continue
		}
		o := ImageObject{Attr: n.attr, Target: n.target, DefaultACL: n.defaultACL, Pages: n.pages}
		if n.dir != nil {
			for _, e := range n.dir.names {
				o.Entries = append(o.Entries, ImageEntry{Name: e.name, Cookie: e.cookie, FileID: e.node.ino})
			}
		}
		img.Objects = append(img.Objects, o)
	}
	return img
}
