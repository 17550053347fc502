package workload

import (
	"causeway/e2e/bench/load"
	"causeway/e2e/bench/nfs3"
)

// Scene is one server, mounted, and the tree that it exports.
type Scene struct {
	Tree   *Tree
	Client *nfs3.Client
	Root   []byte
	Verify bool // compare every byte of every bulk read; small reads are always compared
	Seed   uint64
}

// Plan is a workload made ready for one measurement.
type Plan struct {
	Driver    func(connection int) load.Driver
	ReplySize int
	// After checks and clears away what the workload has left in the tree. It may be nil.
	After func() error
}

func (s *Scene) call(proc uint32) nfs3.Record {
	return nfs3.NewCall(nfs3.ProgNFS, nfs3.VersNFS, proc, s.Client.Cred)
}

// lookup walks from the root.
func (s *Scene) lookup(names ...string) ([]byte, error) {
	handle := s.Root
	for _, name := range names {
		var err error
		if handle, err = s.Client.Lookup(handle, name); err != nil {
			return nil, err
		}
	}
	return handle, nil
}

// random is a small generator (xorshift64*): one per connection, so that nothing is shared.
type random uint64

func (r *random) next(n int) int {
	x := *r
	x ^= x >> 12
	x ^= x << 25
	x ^= x >> 27
	*r = x
	return int((uint64(x*0x2545F4914F6CDD1D) >> 11) % uint64(n))
}

func (s *Scene) random(connection int) random {
	return random(s.Seed*0x9E3779B97F4A7C15 + uint64(connection)*0xBF58476D1CE4E5B9 | 1)
}
