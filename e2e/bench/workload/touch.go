package workload

import (
	"fmt"
	"sync/atomic"

	"causeway/e2e/bench/load"
	"causeway/e2e/bench/nfs3"
)

// Crowd makes a directory of n empty files in the tree, unless it is there.
func (t *Tree) Crowd(n int) (name string, err error) {
	name = fmt.Sprintf("crowd-%d", n)
	return name, t.files(name, n)
}

// toucher looks every file of a directory up, once, and reads it.
type toucher struct {
	scene *Scene
	dir   []byte
	n     int64
	taken *atomic.Int64
	slots [][]byte // per slot: the handle that is to be read next, empty if a name is to be looked up
}

func (t *toucher) Next(slot int) (nfs3.Record, []byte, bool) {
	if handle := t.slots[slot]; len(handle) > 0 {
		r := t.scene.call(nfs3.Read)
		r.Opaque(handle)
		r.Uint64(0)
		r.Uint32(small)
		return r.Seal(0), nil, true
	}
	i := t.taken.Add(1) - 1
	if i >= t.n {
		return nil, nil, false
	}
	r := t.scene.call(nfs3.Lookup)
	r.Opaque(t.dir)
	r.Opaque([]byte(fileName(0, int(i))))
	return r.Seal(0), nil, true
}

func (t *toucher) Done(slot int, r *nfs3.Reply) (int64, error) {
	if len(t.slots[slot]) > 0 {
		t.slots[slot] = t.slots[slot][:0]
		_, err := r.ReadResult(0)
		return 1, err
	}
	handle, err := r.LookupResult()
	t.slots[slot] = append(t.slots[slot], handle...)
	return 0, err
}

// Touch is the plan of looking up and reading every file of a crowd once.
func Touch(s *Scene, shape Shape, crowd string, n int) (Plan, error) {
	dir, err := s.lookup(crowd)
	if err != nil {
		return Plan{}, err
	}
	taken := new(atomic.Int64)
	return Plan{ReplySize: 1024, Driver: func(int) load.Driver {
		return &toucher{scene: s, dir: dir, n: int64(n), taken: taken, slots: make([][]byte, shape.Outstanding)}
	}}, nil
}

// Walk is the plan of listing a crowd over and over.
func Walk(s *Scene, shape Shape, crowd string, n int) (Plan, error) { return s.lists(shape, crowd, n) }
