package workload

import (
	"fmt"
	"os"
	"sync/atomic"

	"causeway/e2e/bench/load"
	"causeway/e2e/bench/nfs3"
)

// remover removes files, each once.
type remover struct {
	scene *Scene
	dir   []byte
	left  *atomic.Int64 // index of the file that was taken last, counting down
}

func (r *remover) Next(int) (nfs3.Record, []byte, bool) {
	i := r.left.Add(-1)
	if i < 0 {
		return nil, nil, false
	}
	call := r.scene.call(nfs3.Remove)
	call.Opaque(r.dir)
	call.Opaque([]byte(fileName(0, int(i))))
	return call.Seal(0), nil, true
}

func (r *remover) Done(_ int, reply *nfs3.Reply) (int64, error) { return 1, reply.RemoveResult() }

func unlink(s *Scene, shape Shape) (Plan, error) {
	name, err := s.Tree.fresh()
	if err != nil {
		return Plan{}, err
	}
	for i := range shape.Count {
		if err := s.Tree.empty(s.Tree.path(name, fileName(0, i))); err != nil {
			return Plan{}, err
		}
	}
	dir, err := s.lookup(name)
	if err != nil {
		return Plan{}, err
	}
	left := new(atomic.Int64)
	left.Store(int64(shape.Count))
	return Plan{
		ReplySize: 512,
		Driver:    func(int) load.Driver { return &remover{scene: s, dir: dir, left: left} },
		After: func() error {
			entries, err := os.ReadDir(s.Tree.path(name))
			if err == nil && len(entries) != 0 {
				err = fmt.Errorf("%d files were not removed", len(entries))
			}
			if err != nil {
				return err
			}
			return s.remove(name)
		},
	}, nil
}
