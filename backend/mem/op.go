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
	OpWritten // contents that lie elsewhere were written: the file is at least Offset long, Set.Mtime is the least of its mtime
)

// Op is one change of a store, as an observer sees it. Fields that the kind does not name are zero; names and Data are
// borrowed.
type Op struct {
	Kind    OpKind
	Seq     uint64
	Time    causeway.Time
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

	// Attributes after the change, of those objects that took part in it.
	DirAttr, ToAttr, ObjectAttr, VictimAttr causeway.Attr
	DefaultACL                              *causeway.ACL // of Object after the change
	Cookie                                  uint64        // of the name that was made
}

// change makes a change.
func (s *Store) change(op *Op) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apply(op)
}

func (s *Store) apply(op *Op) error {
	if s.closed {
		return causeway.ErrClosed
	}
	op.Seq, op.Time = s.seq+1, causeway.TimeOf(s.cfg.Clock())
	return s.applyAs(op)
}

// Replay makes a change that a store with the same state has made, with its number and time, and does not show it to the
// observer. Changes of objects without a name are lost with these: their numbers may be missing.
func (s *Store) Replay(op *Op) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op.Seq <= s.seq {
		return causeway.ErrInval
	}
	done, err := s.dispatch(op)
	if err == nil && done {
		s.seq = op.Seq
	}
	return err
}

func (s *Store) applyAs(op *Op) error {
	done, err := s.dispatch(op)
	if err != nil || !done {
		return err
	}
	s.seq = op.Seq
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
	case OpWritten:
		return true, s.written(op)
	}
	return false, causeway.ErrInval
}
