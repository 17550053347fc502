// Package mem is the reference implementation of backend.Store: a volume in memory, correct and simple, with the semantics
// of POSIX. What another backend does is compared with what mem does.
//
// Nothing survives the process, and nothing here injects faults (see faulty). Reading does not change access times, as on a
// file system mounted with noatime.
//
// One counter, the sequence, orders everything: it rises with every change, and an object's number, a directory entry's
// cookie and an object's change attribute are the sequence at which they came to be. So none of them is ever used twice.
// Every change is an Op that an observer can see, and a store can be loaded from an Image: faulty is made from these.
package mem

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/internal/sparse"
)

// Config configures a Store. The zero Config is valid.
type Config struct {
	MaxBytes   uint64           // bound of the memory used, 1 GiB if zero: contents, and a fixed price per object and name
	Generation uint64           // part of every object id, so that ids of another store are stale here; random if zero
	Clock      func() time.Time // time.Now if nil
	UID, GID   uint32           // owner of the root directory
	Mode       uint32           // of the root directory, 0755 if zero
	Observe    func(*Op)        // called for every change, in order, under the store's lock; it must not call the store
	// For a store whose contents lie elsewhere, which are called under the lock too: the bytes that a file uses, by its number,
	// and that an object is forgotten, with its last name and opener.
	Used   func(ino uint64) uint64
	Forgot func(ino uint64)
}

// Validate sets defaults.
func (c *Config) Validate() error {
	if c.MaxBytes == 0 {
		c.MaxBytes = 1 << 30
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Mode == 0 {
		c.Mode = 0o755
	}
	for c.Generation == 0 {
		var b [8]byte
		rand.Read(b[:]) // never fails
		c.Generation = binary.BigEndian.Uint64(b[:])
	}
	return nil
}

// Store is a volume in memory.
type Store struct {
	cfg Config

	mu     sync.RWMutex
	seq    uint64
	used   uint64 // bytes, see charge
	nodes  map[uint64]*node
	root   *node
	closed bool
}

var _ backend.Store = (*Store)(nil)

const (
	rootIno    = 1
	firstSeq   = 2       // "." and ".." of every directory have the cookies 1 and 2
	objectCost = 512     // bytes charged for an object
	entryCost  = 128     // bytes charged for a name, beside its length
	maxLinks   = 1 << 16 // names of one object
	maxSize    = 1<<63 - 1
)

// New returns an empty volume.
func New(cfg Config) *Store {
	_ = cfg.Validate() // sets defaults only
	s := &Store{cfg: cfg, seq: firstSeq, nodes: make(map[uint64]*node)}
	now := causeway.TimeOf(cfg.Clock())
	s.root = &node{ino: rootIno, attr: causeway.Attr{Type: causeway.TypeDirectory, Mode: cfg.Mode & causeway.ModeAll, Nlink: 2,
		UID: cfg.UID, GID: cfg.GID, FileID: rootIno, Atime: now, Mtime: now, Ctime: now, Btime: now, Change: firstSeq}}
	s.root.parent = s.root
	s.root.dir = newDirectory()
	s.nodes[rootIno] = s.root
	return s
}

// Close forgets everything; all later calls fail.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.nodes = true, nil
	return nil
}

// Root returns the id of the root directory.
func (s *Store) Root() causeway.ObjectID { return s.id(rootIno) }

// StatFS reports MaxBytes and what is left of it.
func (s *Store) StatFS(ctx context.Context) (causeway.FSStat, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return causeway.FSStat{}, causeway.ErrClosed
	}
	free := s.cfg.MaxBytes - min(s.used, s.cfg.MaxBytes)
	files := uint64(len(s.nodes)) + free/objectCost
	return causeway.FSStat{TotalBytes: s.cfg.MaxBytes, FreeBytes: free, AvailBytes: free, BlockSize: sparse.PageSize,
		TotalFiles: files, FreeFiles: free / objectCost, AvailFiles: free / objectCost}, nil
}

// Persist has nothing to do: memory is as stable as it gets here.
func (s *Store) Persist(ctx context.Context, ids ...causeway.ObjectID) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return causeway.ErrClosed
	}
	return nil
}

// charge takes n bytes of the bound, or fails and takes nothing.
func (s *Store) charge(n uint64) error {
	if n > s.cfg.MaxBytes || s.used > s.cfg.MaxBytes-n {
		return causeway.ErrNoSpc
	}
	s.used += n
	return nil
}
