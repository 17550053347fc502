package workload

import (
	"fmt"
	"os"

	"causeway/e2e/bench/load"
	"causeway/e2e/bench/nfs3"
)

// writeCall is a WRITE whose offset is to be patched; its data is sent behind it.
func (s *Scene) writeCall(handle []byte, size int, stable uint32) nfs3.Record {
	r := s.call(nfs3.Write)
	r.Opaque(handle)
	r.Uint64(0)
	r.Uint32(uint32(size))
	r.Uint32(stable)
	r.Uint32(uint32(size)) // the opaque's length
	return r.Seal(size)
}

const writeOffset = 8 + 4 + 4 + 4 // from the end of writeCall's record

// writer overwrites pieces of existing files with what they hold already, unstable.
type writer struct {
	records []nfs3.Record // per slot: they may go to files of their own
	size    int
	next    func(slot int) int64
	unit    int64
}

func (w *writer) Next(slot int) (nfs3.Record, []byte, bool) {
	offset := w.next(slot)
	w.records[slot].PutUint64(writeOffset, uint64(offset))
	return w.records[slot], at(offset, w.size), true
}

func (w *writer) Done(_ int, r *nfs3.Reply) (int64, error) {
	_, err := r.WriteResult(w.size, nfs3.Unstable)
	return w.unit, err
}

func writeRandom(s *Scene, shape Shape) (Plan, error) {
	handle, err := s.lookup("write")
	if err != nil {
		return Plan{}, err
	}
	return Plan{
		ReplySize: 512,
		Driver: func(connection int) load.Driver {
			blocks := s.blocks(connection, s.Tree.Sizes.Write)
			w := &writer{size: small, unit: 1, next: func(int) int64 { return blocks() }}
			for range shape.Outstanding {
				w.records = append(w.records, s.writeCall(handle, small, nfs3.Unstable))
			}
			return w
		},
		After: func() error { return checkFile(s.Tree.path("write"), s.Tree.Sizes.Write) },
	}, nil
}

// overwrite writes files from end to end, again and again, one file per call outstanding.
func overwrite(s *Scene, shape Shape) (Plan, error) {
	files, size := shape.Connections*shape.Outstanding, s.Tree.Sizes.Over
	if files > overFiles {
		return Plan{}, fmt.Errorf("at most %d calls of this kind can be outstanding", overFiles)
	}
	var handles [][]byte
	for i := range files {
		name := fmt.Sprintf("over-%d", i)
		if err := s.Tree.file(name, size); err != nil {
			return Plan{}, err
		}
		handle, err := s.lookup(name)
		if err != nil {
			return Plan{}, err
		}
		handles = append(handles, handle)
	}
	driver := func(connection int) load.Driver {
		offsets := make([]int64, shape.Outstanding)
		w := &writer{size: bulk, unit: bulk, next: func(slot int) int64 {
			offsets[slot] = (offsets[slot] + bulk) % size
			return offsets[slot]
		}}
		for slot := range shape.Outstanding {
			w.records = append(w.records, s.writeCall(handles[connection*shape.Outstanding+slot], bulk, nfs3.Unstable))
		}
		return w
	}
	return Plan{ReplySize: 512, Driver: driver, After: func() error {
		for i := range files {
			if err := checkFile(s.Tree.path(fmt.Sprintf("over-%d", i)), size); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}

// createCall is a CREATE UNCHECKED with mode 0644.
func (s *Scene) createCall(dir []byte, name string) nfs3.Record {
	r := s.call(nfs3.Create)
	r.Opaque(dir)
	r.Opaque([]byte(name))
	r.Uint32(0) // UNCHECKED
	r.SetAttrs(0o644)
	return r.Seal(0)
}

// remove clears away a directory of the tree, around the server.
func (s *Scene) remove(dir string) error {
	if s.Tree.Keep {
		return nil
	}
	return os.RemoveAll(s.Tree.path(dir))
}
