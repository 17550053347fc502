// Package billyfs makes any go-billy filesystem a volume: what a Go program has in memory, in a Git tree or anywhere else,
// its clients can mount.
//
// billy speaks of paths, a Store of objects, so the package keeps an index of the objects that clients have seen. What
// billy cannot do, a volume here cannot do, or only as long as the process lives:
//
//   - Ids come from the path at which an object was first seen. They are the same after a restart, unless the object was
//     renamed, or stands where another one was removed in this process: then its old handles are stale after a restart.
//     Names that other programs exchange are not noticed, if the type of the object stays.
//   - The first unknown id after a restart costs a walk through the tree.
//   - No hard links, devices, FIFOs, sockets or ACLs. The owner is the one in Config unless the filesystem implements
//     billy.Change. Times that are set, where it does not, are forgotten at the end of the process; so are all times of
//     a filesystem that has none (memfs).
//   - What is stable is the filesystem's affair: a file that has a method Sync is synced, names are not.
//   - A directory is read as a whole for every List.
//
// Every call looks at each directory on the way first and refuses symbolic links there, so that none leads out. The
// filesystem must treat the last name itself of Lstat, Readlink, Remove and Rename without following it, as memfs and
// osfs do, though not osfs with WithBoundOS. Nothing here needs it to be safe for use by many goroutines; if it has a method
// ConcurrentWrites that returns true, files that implement io.WriterAt are written and read at the same time.
package billyfs

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-git/go-billy/v5"

	"causeway"
	"causeway/backend"
)

// Config configures a Store. The zero Config is valid.
type Config struct {
	UID, GID   uint32           // owner of everything, where the filesystem cannot tell
	MaxFile    uint64           // largest file in bytes; 1 GiB if zero, because memfs takes memory up to the last byte
	MaxObjects int              // bound of the index; 4,000,000 if zero
	Capacity   uint64           // bytes that StatFS reports, since billy knows none; 1 TiB if zero
	Clock      func() time.Time // time.Now if nil
}

// Validate sets defaults.
func (c *Config) Validate() error {
	if c.MaxFile == 0 {
		c.MaxFile = 1 << 30
	}
	if c.MaxFile > 1<<63-1 {
		return fmt.Errorf("MaxFile: %d is more than 2^63-1", c.MaxFile)
	}
	if c.MaxObjects == 0 {
		c.MaxObjects = 4_000_000
	}
	if c.MaxObjects < 1 {
		return fmt.Errorf("MaxObjects: %d is not positive", c.MaxObjects)
	}
	if c.Capacity == 0 {
		c.Capacity = 1 << 40
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return nil
}

// Store is a billy filesystem as a volume.
type Store struct {
	cfg     Config
	fs      billy.Filesystem
	writes  bool // files may be written by many goroutines
	noTimes bool // the filesystem answers the present as every object's time

	mu        sync.RWMutex // exclusive for everything but reading and syncing open files
	root      *node
	nodes     map[causeway.ObjectID]*node
	vacated   map[string]bool // paths whose first object is gone from there
	forgetful bool            // there were too many of these: any path may be vacated
	walked    bool            // everything that stood here at the start is in the index
	nextGen   uint64
	closed    bool
}

var _ backend.Store = (*Store)(nil)

// New makes fs a volume. Its root must exist.
func New(fs billy.Filesystem, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, fs: fs, nodes: make(map[causeway.ObjectID]*node), vacated: make(map[string]bool)}
	if c, can := fs.(interface{ ConcurrentWrites() bool }); can {
		s.writes = c.ConcurrentWrites()
	}
	var b [8]byte
	rand.Read(b[:]) // never fails
	s.nextGen = binary.BigEndian.Uint64(b[:]) | 1
	first, err := fs.Lstat(rootPath)
	if err != nil {
		return nil, failed("open", err)
	}
	if !first.IsDir() {
		return nil, causeway.ErrNotDir
	}
	second, err := fs.Lstat(rootPath)
	if err != nil {
		return nil, failed("open", err)
	}
	s.noTimes = !first.ModTime().Equal(second.ModTime())
	s.root = s.newNode(nil, "", first)
	s.root.parent = s.root
	return s, nil
}

// Close forgets the index; the filesystem itself is its owner's.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.nodes = true, nil
	return nil
}

// Root returns the id of the root directory.
func (s *Store) Root() causeway.ObjectID { return s.root.id }

// StatFS reports what the filesystem tells, if it has a method StatFS, or else Config.Capacity, all of it free.
func (s *Store) StatFS(ctx context.Context) (causeway.FSStat, error) {
	if f, can := s.fs.(interface {
		StatFS() (causeway.FSStat, error)
	}); can {
		return f.StatFS()
	}
	n := s.cfg.Capacity
	files := uint64(s.cfg.MaxObjects)
	return causeway.FSStat{TotalBytes: n, FreeBytes: n, AvailBytes: n, TotalFiles: files, FreeFiles: files, AvailFiles: files, BlockSize: 4096}, nil
}

// Persist has nothing to do: billy has no way to make a name stable.
func (s *Store) Persist(ctx context.Context, ids ...causeway.ObjectID) error { return nil }

// now is the time of a change.
func (s *Store) now() causeway.Time { return causeway.TimeOf(s.cfg.Clock()) }

// chmod changes a mode. Some filesystems take the type from the mode too.
func (s *Store) chmod(path string, mode os.FileMode) error {
	c, can := s.fs.(billy.Chmod)
	if !can {
		return causeway.ErrNotSupp
	}
	if err := c.Chmod(path, mode); err != nil {
		return failed("chmod", err)
	}
	return nil
}
