package posix

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

// Store is a directory as a backend.Store.
type Store struct {
	cfg      Config
	dir      string
	marker   marker
	identity identity
	mount    mount
	root     *node // pinned as long as the store is open
	journal  *node // stands for the journal, nil if there is none that is known of
	cache    *cache
	known    *known
	memory   *memory // of an exclusive volume, else nil
	direct   bool    // bytes go past the page cache, and attributes are always asked for
	births   bool    // times of birth are to be trusted
	byName   bool    // objects can be recognized by a name, without being opened
	streams  streams
	syncs    syncCounters
	syncSlot chan struct{}
	noACL    atomic.Bool // the file system has no ACLs
	readOnly bool
	marked   bool // the marker is in the tree
	owner    ownership
	dev      uint64
	now      func() time.Time
	fsync    func(fd int, full bool) unix.Errno
	syncfs   func(fd int) unix.Errno
	syncAll  sync.Mutex    // held by syncDirty
	syncing  atomic.Int64  // files that it has in hand
	flush    chan struct{} // asks the sweeper for syncDirty

	stop    chan struct{}
	workers sync.WaitGroup
	closed  atomic.Bool
}

var _ backend.Store = (*Store)(nil)

// identity is a way to name objects and to find them again.
type identity interface {
	// compose names the object with an inode number and a time of birth. If byHandle, its file handle is needed too.
	compose(ino uint64, btime causeway.Time, h fileHandle) (causeway.ObjectID, unix.Errno)
	byHandle() bool
	// inoOf returns the inode number of an object, if its id tells it.
	inoOf(id causeway.ObjectID) (uint64, bool)
	// open returns an O_PATH descriptor of the object; ErrStale if it is gone.
	open(ctx context.Context, id causeway.ObjectID) (int, error)
	// learn is told that an object was found or put under a name.
	learn(ino uint64, parent *node, name string)
	// moved is told that a name of the object with an inode number is another one now, or (to == nil) none.
	moved(ino uint64, from *node, name string, to *node, newName string)
	// deleted is told that an object is gone.
	deleted(n *node)
	close() error
}

// Open opens the directory dir as a volume. A directory that is not one yet becomes one: it gets a subdirectory
// ".causeway", which no client sees. The process's umask is set to 0, because modes are exact, and its limit of open files is
// raised to the hard limit.
func Open(_ context.Context, dir string, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, dir: dir, now: time.Now, fsync: fsync, syncfs: syncfs, flush: make(chan struct{}, 1), stop: make(chan struct{}), syncSlot: make(chan struct{}, cfg.SyncWorkers)}
	unix.Umask(0)
	limit := raiseDescriptors()
	if s.cfg.MaxDescriptors == 0 {
		s.cfg.MaxDescriptors = max(MinDescriptors, min(maxAutoDescriptors, limit/4*3))
	}
	s.cache, s.known = newCache(s.cfg.MaxDescriptors), newKnown(knownMax)
	s.cache.leaves = s.remember
	if err := s.openRoot(); err != nil {
		s.mount.close()
		return nil, err
	}
	s.workers.Go(s.sweep)
	return s, nil
}

// openRoot opens the tree, reads or makes the marker, and chooses the identity.
func (s *Store) openRoot() error {
	var err error
	if s.mount, err = openMount(s.dir, !s.cfg.noClone); err != nil {
		return err
	}
	var sx unix.Statx_t
	if e := statxFD(s.mount.fd, &sx); e != 0 {
		return fmt.Errorf("posix: %s: %w", s.dir, e)
	}
	s.dev, s.mount.ino = unix.Mkdev(sx.Dev_major, sx.Dev_minor), sx.Ino
	s.readOnly, s.direct = s.cfg.ReadOnly, s.mount.magic == magicFUSE && !s.cfg.Exclusive
	if err := s.openMarker(); err != nil {
		return err
	}
	s.owner = probeOwnership()
	if err := s.openIdentity(); err != nil {
		return err
	}
	if s.cfg.Exclusive && !s.mount.overlay { // there, inode numbers are not unique
		s.memory = newMemory(memoryMax)
	}
	fd, e := openat(s.mount.fd, &cname{'.'}, unix.O_PATH|unix.O_DIRECTORY, 0)
	if e != 0 {
		s.identity.close()
		return fmt.Errorf("posix: %s: %w", s.dir, e)
	}
	if s.root, err = s.adopt(fd, fdPath, &sx); err != nil {
		s.identity.close()
		return fmt.Errorf("posix: %s: %w", s.dir, err)
	}
	s.openJournal()
	s.describe()
	return nil
}

// describe logs how the volume is served and what that way cannot do.
func (s *Store) describe() {
	log := s.cfg.Logger.With("volume", s.marker.ID.String())
	log.Info("directory opened", "dir", s.dir, "identity", string(s.marker.Identity), "private_mount", s.mount.cloned,
		"descriptors", s.cfg.MaxDescriptors, "read_only", s.readOnly, "journal", s.journal != nil)
	if !s.owner.any {
		log.Warn("without root, objects can be created for the server's own user only", "uid", s.owner.uid)
	}
}

// raiseDescriptors raises the limit of open files to the hard limit and returns it.
func raiseDescriptors() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 1024
	}
	if limit.Cur < limit.Max {
		raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	return int(min(limit.Cur, 1<<30))
}

// VolumeID returns the id that the volume was born with.
func (s *Store) VolumeID() causeway.VolumeID { return s.marker.ID }

// Identity returns the way in which objects are named.
func (s *Store) Identity() Identity { return s.marker.Identity }

// ReadOnly reports whether the directory cannot be written.
func (s *Store) ReadOnly() bool { return s.readOnly }

// Root returns the id of the directory itself.
func (s *Store) Root() causeway.ObjectID { return s.root.id }

// SetMaxDescriptors changes Config.MaxDescriptors. Where there are more open now, they become fewer as others come.
func (s *Store) SetMaxDescriptors(n int) { s.cache.resize(max(n, MinDescriptors)) }

// Stats returns counters since Open and gauges of now.
func (s *Store) Stats() Stats {
	c := s.cache
	st := Stats{
		Descriptors: int(c.count.Load()), Known: s.known.count(), Remembered: s.memory.count(), MaxDescriptors: int(c.max.Load()), Dirty: int(c.dirty.Load()), Hits: c.hits.Load(), Misses: c.misses.Load(),
		Evictions: c.evictions.Load(), Syncs: s.syncs.done.Load(), SyncRequests: s.syncs.asked.Load(), SyncErrors: s.syncs.failed.Load(),
	}
	if scanner, ok := s.identity.(interface{ scanned() uint64 }); ok {
		st.Scans = scanner.scanned()
	}
	return st
}

// Close syncs what was written and closes everything. Calls that still run may fail.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return causeway.ErrClosed
	}
	close(s.stop)
	s.workers.Wait()
	err := s.syncDirty()
	s.streams.close()
	if s.journal != nil {
		unix.Close(s.journal.fd)
	}
	s.root.unpin()
	s.cache.close()
	if e := s.identity.close(); err == nil {
		err = e
	}
	s.mount.close()
	return err
}
