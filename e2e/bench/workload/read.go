package workload

import (
	"causeway/e2e/bench/load"
	"causeway/e2e/bench/nfs3"
)

// reader reads pieces of one file.
type reader struct {
	record  nfs3.Record
	size    int
	offsets []int64 // per slot: of the call that is outstanding
	next    func() int64
	all     bool
	unit    int64
}

func (r *reader) Next(slot int) (nfs3.Record, []byte, bool) {
	r.offsets[slot] = r.next()
	r.record.PutUint64(12, uint64(r.offsets[slot]))
	return r.record, nil, true
}

func (r *reader) Done(slot int, reply *nfs3.Reply) (int64, error) {
	data, err := reply.ReadResult(r.size)
	if err != nil {
		return 0, err
	}
	return r.unit, check(data, r.offsets[slot], r.all)
}

func (s *Scene) reads(shape Shape, size int, unit int64, offsets func(connection int) func() int64) (Plan, error) {
	handle, err := s.lookup("data")
	if err != nil {
		return Plan{}, err
	}
	return Plan{ReplySize: size + 256, Driver: func(connection int) load.Driver {
		record := s.call(nfs3.Read)
		record.Opaque(handle)
		record.Uint64(0)
		record.Uint32(uint32(size))
		return &reader{
			record: record.Seal(0), size: size, unit: unit, all: s.Verify,
			offsets: make([]int64, shape.Outstanding), next: offsets(connection),
		}
	}}, nil
}

func readRandom(s *Scene, shape Shape) (Plan, error) {
	return s.reads(shape, small, 1, func(connection int) func() int64 { return s.blocks(connection, s.Tree.Sizes.Data) })
}

// blocks returns random offsets of small blocks in a file.
func (s *Scene) blocks(connection int, size int64) func() int64 {
	random := s.random(connection)
	return func() int64 { return int64(random.next(int(size/small))) * small }
}

// readSequence reads the file from end to end, each connection from another place on.
func readSequence(s *Scene, shape Shape) (Plan, error) {
	return s.reads(shape, bulk, bulk, func(connection int) func() int64 {
		blocks := s.Tree.Sizes.Data / bulk
		block := int64(connection) * blocks / int64(shape.Connections)
		return func() int64 {
			block = (block + 1) % blocks
			return block * bulk
		}
	})
}
