package mem

import (
	"causeway"
	"causeway/backend"
)

// OpKind says what an Op does.
type OpKind uint8

// The kinds of changes.
const (
	OpCreate OpKind = iota + 1
	OpRemove
	OpRename
	OpLink
	OpSetStat
	OpWrite
	OpPunch
)

// Op is one change of a store. Fields that the kind does not name are zero; names, Spec, Set and Data are borrowed. An
// observer sees Seq, Time, Object and Victim filled.
type Op struct {
	Kind    OpKind
	Seq     uint64        // zero: the next one
	Time    causeway.Time // taken from the clock if Seq is zero
	Dir     causeway.ObjectID
	Name    string // in Dir: create, remove, link, source of rename
	To      causeway.ObjectID
	NewName string            // in To: target of rename
	Object  causeway.ObjectID // the object that is made, removed, moved, linked, set, written
	Victim  causeway.ObjectID // what a rename replaced
	IsDir   bool              // Object is a directory: create, remove, rename
	Gone    bool              // Object (remove) or Victim (rename) has no other name
	Spec    backend.CreateSpec
	Set     causeway.SetAttr
	Span    causeway.Span // punch
	Offset  uint64        // write
	Data    []byte
}

// Apply makes a change: a new one, or one that another store's observer saw.
func (s *Store) Apply(op *Op) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apply(op)
}

func (s *Store) apply(op *Op) error {
	if s.closed {
		return causeway.ErrClosed
	}
	if op.Seq == 0 {
		op.Seq, op.Time = s.seq+1, causeway.TimeOf(s.cfg.Clock())
	}
	done, err := s.dispatch(op)
	if err != nil || !done {
		return err
	}
	s.seq = max(s.seq, op.Seq)
	if s.cfg.Observe != nil {
		s.cfg.Observe(op)
	}
	return nil
}

// dispatch returns whether anything changed.
func (s *Store) dispatch(op *Op) (bool, error) {
	switch op.Kind {
	case OpCreate:
		return true, s.create(op)
	case OpRemove:
		return true, s.remove(op)
	case OpRename:
		return s.rename(op)
	case OpLink:
		return true, s.link(op)
	case OpSetStat:
		return true, s.setStat(op)
	case OpWrite:
		return true, s.write(op)
	case OpPunch:
		return true, s.punch(op)
	}
	return false, causeway.ErrInval
}

// Clone returns a store with the same contents and sequence that shares nothing with s. Nothing is open in it: what has no
// name is not copied.
func (s *Store) Clone(cfg Config) *Store {
	s.mu.RLock()
	defer s.mu.RUnlock()
	cfg.Generation = s.cfg.Generation
	c := New(cfg)
	c.seq, c.used = s.seq, s.used
	for ino, n := range s.nodes {
		if n.attr.Nlink == 0 {
			c.used -= objectCost + n.pages.bytes()
			continue
		}
		c.nodes[ino] = n.clone()
	}
	c.root = c.nodes[rootIno]
	for ino, n := range c.nodes {
		if n.dir == nil {
			continue
		}
		old := s.nodes[ino]
		n.parent = c.nodes[old.parent.ino]
		for _, e := range old.dir.order {
			if e.node != nil {
				n.dir.add(e.name, e.cookie, c.nodes[e.node.ino])
			}
		}
	}
	return c
}

// clone copies a node without its names.
func (n *node) clone() *node {
	m := &node{ino: n.ino, attr: n.attr, defaultACL: n.defaultACL, target: n.target}
	if n.dir != nil {
		m.dir = newDirectory()
	}
	if n.pages != nil {
		m.pages = make(pages, len(n.pages))
		for i, pg := range n.pages {
			c := *pg
			m.pages[i] = &c
		}
	}
	return m
}
