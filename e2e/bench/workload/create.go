package workload

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"causeway/e2e/bench/load"
	"causeway/e2e/bench/nfs3"
)

// maker makes files and fills them: CREATE, then WRITEs, then COMMIT where they are unstable and commit is wanted.
type maker struct {
	scene      *Scene
	connection int
	dir        []byte
	budget     *atomic.Int64 // files that may still be begun, by all connections
	made       int
	size       int // of one WRITE
	writes     int // per file
	stable     uint32
	commit     bool
	perFile    bool // a unit is a file, not a byte
	slots      []makerSlot
}

type makerSlot struct {
	handle   []byte
	write    nfs3.Record
	step     int // 0: CREATE is next; 1…writes: that WRITE; writes+1: COMMIT
	verifier uint64
}

func (m *maker) Next(slot int) (nfs3.Record, []byte, bool) {
	s := &m.slots[slot]
	switch {
	case s.step == 0:
		if m.budget.Add(-1) < 0 {
			return nil, nil, false
		}
		m.made++
		return m.scene.createCall(m.dir, fileName(m.connection, m.made)), nil, true
	case s.step <= m.writes:
		offset := int64(s.step-1) * int64(m.size)
		s.write.PutUint64(writeOffset, uint64(offset))
		return s.write, at(offset, m.size), true
	}
	r := m.scene.call(nfs3.Commit)
	r.Opaque(s.handle)
	r.Uint64(0)
	r.Uint32(0)
	return r.Seal(0), nil, true
}

func (m *maker) Done(slot int, r *nfs3.Reply) (units int64, err error) {
	s := &m.slots[slot]
	switch {
	case s.step == 0:
		handle, err := r.CreateResult()
		if err != nil {
			return 0, err
		}
		s.handle = append(s.handle[:0], handle...)
		s.write = m.scene.writeCall(s.handle, m.size, m.stable)
	case s.step <= m.writes:
		verifier, err := r.WriteResult(m.size, m.stable)
		if err != nil {
			return 0, err
		}
		if s.step > 1 && verifier != s.verifier {
			return 0, errors.New("the write verifier has changed")
		}
		s.verifier = verifier
		if units = int64(m.size); m.perFile {
			units = 0
		}
	default:
		verifier, err := r.CommitResult()
		if err == nil && verifier != s.verifier {
			err = errors.New("COMMIT has another verifier than WRITE")
		}
		if err != nil {
			return 0, err
		}
	}
	return units + m.advance(s), nil
}

// advance goes to the next step and returns the unit that a finished file is.
func (m *maker) advance(s *makerSlot) int64 {
	last := m.writes
	if m.commit {
		last++
	}
	if s.step++; s.step <= last {
		return 0
	}
	s.step = 0
	if m.perFile {
		return 1
	}
	return 0
}

// makes is the plan of making files in a fresh directory. what is the maker without its connection.
func (s *Scene) makes(shape Shape, files int, what maker) (Plan, error) {
	dir, err := s.Tree.fresh()
	if err != nil {
		return Plan{}, err
	}
	if what.dir, err = s.lookup(dir); err != nil {
		return Plan{}, err
	}
	budget := new(atomic.Int64)
	budget.Store(int64(files))
	what.scene, what.budget = s, budget
	return Plan{
		ReplySize: 512,
		Driver: func(connection int) load.Driver {
			m := what
			m.connection, m.slots = connection, make([]makerSlot, shape.Outstanding)
			return &m
		},
		After: func() error { return errors.Join(s.checkMade(dir, files, int64(what.size*what.writes)), s.remove(dir)) },
	}, nil
}

// checkMade compares what is in a directory with what was asked for; of the contents the first files'.
func (s *Scene) checkMade(dir string, files int, size int64) error {
	entries, err := os.ReadDir(s.Tree.path(dir))
	if err != nil {
		return err
	}
	if len(entries) != files {
		return fmt.Errorf("%d files were made, %d are there", files, len(entries))
	}
	for _, entry := range entries[:min(len(entries), 100)] {
		if err := checkFile(s.Tree.path(dir, entry.Name()), size); err != nil {
			return err
		}
	}
	return nil
}

func createEmpty(s *Scene, shape Shape) (Plan, error) {
	return s.makes(shape, shape.Count, maker{perFile: true})
}

func createUnstable(s *Scene, shape Shape) (Plan, error) {
	return s.makes(shape, shape.Count, maker{size: small, writes: 1, stable: nfs3.Unstable, perFile: true})
}

func createFileSync(s *Scene, shape Shape) (Plan, error) {
	return s.makes(shape, shape.Count, maker{size: small, writes: 1, stable: nfs3.FileSync, perFile: true})
}

func writeNew(s *Scene, shape Shape) (Plan, error) {
	files := shape.Connections * shape.Outstanding
	return s.makes(shape, files, maker{size: bulk, writes: int(s.Tree.Sizes.New / bulk), stable: nfs3.Unstable, commit: true})
}
