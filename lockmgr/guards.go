package lockmgr

import (
	"sync/atomic"

	"causeway"
)

// guards counts objects with leases or mandatory locks by a hash of their handles, so that I/O on all others is let pass at the
// cost of one atomic load.
type guards struct {
	stripes [1 << 12]atomic.Int32
}

func (g *guards) add(h causeway.Handle, n int32) { g.stripes[h.Hash()%uint64(len(g.stripes))].Add(n) }

func (g *guards) any(h causeway.Handle) bool {
	return g.stripes[h.Hash()%uint64(len(g.stripes))].Load() != 0
}
