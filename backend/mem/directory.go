package mem

import (
	"sort"

	"causeway"
)

// entry is a name in a directory. Its cookie is the sequence at which the name came to be.
type entry struct {
	name   string
	cookie uint64
	node   *node // nil: removed, kept until the next compaction
}

// directory finds entries by name and lists them in the order of their cookies.
type directory struct {
	names   map[string]*entry
	order   []*entry
	removed int
}

func newDirectory() *directory { return &directory{names: make(map[string]*entry)} }

// add enters a name that is not there yet. Cookies come in rising order, but for loaded images.
func (d *directory) add(name string, cookie uint64, n *node) {
	e := &entry{name, cookie, n}
	d.names[name] = e
	at := len(d.order)
	if at > 0 && d.order[at-1].cookie > cookie {
		at = d.behind(cookie)
	}
	d.order = append(d.order, nil)
	copy(d.order[at+1:], d.order[at:])
	d.order[at] = e
}

// remove takes a name out.
func (d *directory) remove(name string) {
	d.names[name].node = nil
	delete(d.names, name)
	if d.removed++; d.removed > 16 && d.removed > len(d.order)/2 {
		d.compact()
	}
}

func (d *directory) compact() {
	live := make([]*entry, 0, len(d.names))
	for _, e := range d.order {
		if e.node != nil {
			live = append(live, e)
		}
	}
	d.order, d.removed = live, 0
}

// behind returns the index in order of the first entry with a higher cookie.
func (d *directory) behind(cookie uint64) int {
	return sort.Search(len(d.order), func(i int) bool { return d.order[i].cookie > cookie })
}

// The cookies of the two entries that every directory has.
const (
	cookieDot    = 1
	cookieDotDot = 2
)

// listBatch bounds how many entries are copied under one hold of the lock.
const listBatch = 64

// fill copies the entries of n behind cookie into out until it is full.
func (s *Store) fill(n *node, cookie uint64, attrs bool, out []causeway.DirEntry) []causeway.DirEntry {
	put := func(name string, cookie uint64, m *node) {
		e := causeway.DirEntry{Name: name, Cookie: cookie, FileID: m.attr.FileID, Type: m.attr.Type}
		if attrs {
			e.Object, e.Attr = s.id(m.ino), m.stat()
		}
		out = append(out, e)
	}
	if cookie < cookieDot && len(out) < cap(out) {
		put(".", cookieDot, n)
	}
	if cookie < cookieDotDot && len(out) < cap(out) {
		put("..", cookieDotDot, n.parent)
	}
	for i := n.dir.behind(cookie); i < len(n.dir.order) && len(out) < cap(out); i++ {
		if e := n.dir.order[i]; e.node != nil {
			put(e.name, e.cookie, e.node)
		}
	}
	return out
}
