package lockmgr

import (
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"

	"causeway"
)

// idSource makes OpenIDs that are unique in the cluster, for ever, and that nobody guesses: each half of one has 32 random bits
// of the manager's start and 32 bits of a counter, or 64 random bits of its own. SMB uses the halves as persistent and volatile
// FileId: neither is zero or all ones.
type idSource struct {
	start uint32
	count *atomic.Uint32
}

func newIDs() idSource {
	var b [8]byte
	rand.Read(b[:])
	count := new(atomic.Uint32)
	count.Store(binary.LittleEndian.Uint32(b[4:]))
	return idSource{binary.LittleEndian.Uint32(b[:])&^(1<<31) | 1, count}
}

func (s idSource) next() (id causeway.OpenID) {
	rand.Read(id[8:])
	binary.LittleEndian.PutUint32(id[:], s.count.Add(1))
	binary.LittleEndian.PutUint32(id[4:], s.start)
	id[15] = id[15]&^0x80 | 1
	return id
}
