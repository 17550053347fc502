package workload

import (
	"fmt"

	"causeway/e2e/bench/load"
	"causeway/e2e/bench/nfs3"
)

// listBytes is the dircount and maxcount of a READDIRPLUS.
const listBytes = 64 << 10

// lister lists a directory from end to end, again and again, each slot for itself.
type lister struct {
	scene   *Scene
	dir     []byte
	entries int
	slots   []listerSlot
}

type listerSlot struct {
	cookie, verifier uint64
	seen             int
}

func (l *lister) Next(slot int) (nfs3.Record, []byte, bool) {
	s := &l.slots[slot]
	r := l.scene.call(nfs3.ReadDirPlus)
	r.Opaque(l.dir)
	r.Uint64(s.cookie)
	r.Uint64(s.verifier)
	r.Uint32(listBytes)
	r.Uint32(listBytes)
	return r.Seal(0), nil, true
}

func (l *lister) Done(slot int, r *nfs3.Reply) (int64, error) {
	s := &l.slots[slot]
	n, cookie, verifier, eof, err := r.DirResult()
	if err != nil {
		return 0, err
	}
	s.cookie, s.verifier, s.seen = cookie, verifier, s.seen+n
	if n == 0 && !eof {
		return 0, fmt.Errorf("READDIRPLUS brought nothing and is not at the end")
	}
	if eof {
		// "." and ".." may be among the entries or not.
		if s.seen != l.entries && s.seen != l.entries+2 {
			return 0, fmt.Errorf("a list of %d entries had %d", l.entries, s.seen)
		}
		*s = listerSlot{}
	}
	return int64(n), nil
}

func list(s *Scene, shape Shape) (Plan, error) { return s.lists(shape, "many", s.Tree.Sizes.Many) }

func (s *Scene) lists(shape Shape, name string, entries int) (Plan, error) {
	dir, err := s.lookup(name)
	if err != nil {
		return Plan{}, err
	}
	return Plan{ReplySize: listBytes + 4096, Driver: func(int) load.Driver {
		return &lister{scene: s, dir: dir, entries: entries, slots: make([]listerSlot, shape.Outstanding)}
	}}, nil
}
