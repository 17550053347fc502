package posix

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"causeway"
)

// generation is what an id holds besides the inode number, so that an object is not taken for another one that had its
// number before.
type generation string

// The generations, the surest first.
const (
	generationHandle generation = "handle" // a hash of the kernel's file handle, whose bytes everybody may ask for
	generationBirth  generation = "birth"  // the time of birth
	generationNone   generation = "none"   // nothing: right only where inode numbers are never used again
)

// index names objects by inode number and generation, and finds them through a persistent index of names. An index that is
// wrong costs time and not correctness: what is found is verified, and what is not found where the index says is looked
// for in the whole tree.
type index struct {
	store      *Store
	db         *indexDB
	others     *borrowed // indexes of other gateways
	generation generation

	mu      sync.Mutex
	queued  chan struct{}                  // closed when the next scan is done; nil: nobody waits for one
	missing map[causeway.ObjectID]*lookout // what was not found, and the scan that looks for it
	scans   atomic.Uint64
	scanner chan struct{} // wakes the scanner
	flusher chan struct{} // wakes the flusher before its time
}

// How long a call waits for a scan before it says "try later", and how often changes are written.
const (
	scanPatience = 3 * time.Second
	flushEvery   = time.Second
	maxMissing   = 1 << 14
)

// chooseGeneration decides what the ids of a new volume hold.
func chooseGeneration(root int) generation {
	var fs unix.Statfs_t
	var h fileHandle
	if unix.Fstatfs(root, &fs) == nil && fs.Type != magicFUSE && handleOf(root, &h) == 0 {
		return generationHandle
	}
	if (birth(root) != causeway.Time{}) {
		return generationBirth
	}
	return generationNone
}

// checkGeneration says whether what an older volume's ids hold can be had here.
func checkGeneration(root int, g generation) error {
	var h fileHandle
	switch g {
	case generationHandle:
		if e := handleOf(root, &h); e != 0 {
			return fmt.Errorf("its ids hold a hash of file handles, which cannot be had here: %w", e)
		}
	case generationBirth:
		if (birth(root) == causeway.Time{}) {
			return fmt.Errorf("its ids hold times of birth, which the file system does not tell here")
		}
	case generationNone:
	default:
		return fmt.Errorf("its ids hold %q, which is not known to this version", g)
	}
	return nil
}

// openIndex opens the index and starts what writes it behind.
func (s *Store) openIndex() error {
	dir, err := s.markerPlace()
	if err != nil {
		return err
	}
	db, err := openIndexDB(dir, s.cfg.Holder)
	if err != nil {
		dir.Close()
		return fmt.Errorf("posix: %s: %w", s.dir, err)
	}
	ix := &index{store: s, db: db, others: &borrowed{store: s, place: dir, dir: s.cfg.StateDir, files: map[string]*borrowing{}},
		generation: s.marker.Generation, missing: map[causeway.ObjectID]*lookout{},
		flusher: make(chan struct{}, 1), scanner: make(chan struct{}, 1)}
	s.identity = ix
	s.workers.Go(ix.flushBehind)
	s.workers.Go(ix.scanOnDemand)
	return nil
}

// flushBehind writes changes until the store is closed.
func (ix *index) flushBehind() {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ix.store.stop:
			return
		case <-tick.C:
		case <-ix.flusher:
		}
		if err := ix.db.flush(); err != nil {
			ix.store.cfg.Logger.Warn("index not written", "volume", ix.store.marker.Volume, "err", err)
		}
	}
}

func (ix *index) byHandle() bool { return ix.generation == generationHandle }

func (ix *index) inoOf(id causeway.ObjectID) (uint64, bool) {
	ino, _ := parseIndexID(id)
	return ino, id[0] == kindIndex
}

func (ix *index) compose(ino uint64, btime causeway.Time, h fileHandle) (id causeway.ObjectID, e unix.Errno) {
	var gen uint64
	switch ix.generation {
	case generationHandle:
		gen = hash(h.data[:h.size])
	case generationBirth:
		gen = uint64(btime.Sec*1e9 + int64(btime.Nsec))
	}
	return indexID(ino, gen), 0
}

func indexID(ino, gen uint64) (id causeway.ObjectID) {
	id[0] = kindIndex
	binary.LittleEndian.PutUint64(id[1:], ino)
	binary.LittleEndian.PutUint64(id[9:], gen)
	return id
}

func parseIndexID(id causeway.ObjectID) (ino, gen uint64) {
	return binary.LittleEndian.Uint64(id[1:]), binary.LittleEndian.Uint64(id[9:])
}

// open implements identity: by the index, and if that does not find the object by a scan of the tree, for which it waits a
// while.
func (ix *index) open(ctx context.Context, id causeway.ObjectID) (int, error) {
	if id[0] != kindIndex {
		return -1, causeway.ErrBadHandle
	}
	patience := time.NewTimer(scanPatience)
	defer patience.Stop()
	var waited *lookout
	for {
		fd, err := ix.find(id)
		if err == causeway.ErrNoEnt && ix.others.renew(ix.db.file) {
			fd, err = ix.find(id)
		}
		if err != causeway.ErrNoEnt {
			return fd, err
		}
		if waited != nil && !waited.seen {
			return -1, causeway.ErrStale
		} // else somebody moved it, or removed it, after it was seen: that shows when one looks again
		waited = ix.scanFor(id)
		select {
		case <-waited.done:
		case <-patience.C:
			return -1, causeway.ErrDelay
		case <-ctx.Done():
			return -1, causeway.ErrDelay
		case <-ix.store.stop:
			return -1, causeway.ErrClosed
		}
	}
}

// find looks where the index says, and verifies what is there. ErrStale if the object is surely gone, ErrNoEnt if it may be
// elsewhere.
func (ix *index) find(id causeway.ObjectID) (int, error) {
	ino, gen := parseIndexID(id)
	if ix.db.isDeleted(ino, gen) {
		return -1, causeway.ErrStale
	}
	if ino == ix.store.mount.ino {
		fd, e := openat(ix.store.mount.fd, &cname{'.'}, unix.O_PATH|unix.O_DIRECTORY, 0)
		return fd, fail("open", e)
	}
	for _, at := range ix.places(ino) {
		parent := ix.directory(at.parent, 0)
		if parent == nil {
			continue
		}
		fd, e := ix.openPlace(parent, at.name)
		if e != 0 {
			parent.unpin()
			continue
		}
		same, other := ix.isObject(fd, ino, id)
		if same {
			ix.learn(ino, parent, at.name)
		}
		parent.unpin()
		if same {
			return fd, nil
		}
		unix.Close(fd)
		if other {
			return -1, causeway.ErrStale
		}
	}
	return -1, causeway.ErrNoEnt
}

// isObject reports whether what was opened is the object, and whether it is another one that has its number now.
func (ix *index) isObject(fd int, ino uint64, id causeway.ObjectID) (same, other bool) {
	var st unix.Stat_t
	if fstat(fd, &st) != 0 || st.Ino != ino {
		return false, false
	}
	got, e := idOf(ix, fd, ino, birth(fd))
	return e == 0 && got == id, e == 0 && got != id
}

// places returns where an object may be found: as this gateway knows, then as others knew.
func (ix *index) places(ino uint64) []place {
	own := ix.db.places(ino)
	others := ix.others.places(ino)
	if len(others) == 0 {
		return own
	}
	all := slices.Clone(own)
	for _, at := range others {
		if !slices.Contains(all, at) {
			all = append(all, at)
		}
	}
	return all
}

func (ix *index) openPlace(parent *node, name string) (int, unix.Errno) {
	var c cname
	if c.setNew(name) != causeway.OK || ix.store.hides(parent, name) {
		return -1, unix.ENOENT
	}
	fd, e := -1, unix.Errno(0)
	e = steady(func() (e unix.Errno) {
		fd, e = ix.store.roomy(func() (int, unix.Errno) { return ix.store.mount.open(parent.fd, &c, unix.O_PATH) })
		return e
	})
	return fd, e
}

// directory returns the pinned node of the directory with an inode number, nil if it is not where the index says.
func (ix *index) directory(ino uint64, depth int) *node {
	s := ix.store
	if ino == s.mount.ino {
		s.root.pin()
		return s.root
	}
	if n := s.cache.getIno(ino, math.MaxUint64); n != nil {
		return n
	}
	if depth > maxDepth {
		return nil
	}
	for _, at := range ix.places(ino) {
		parent := ix.directory(at.parent, depth+1)
		if parent == nil {
			continue
		}
		n := ix.childDirectory(parent, at.name, ino)
		parent.unpin()
		if n != nil {
			return n
		}
	}
	return nil
}

func (ix *index) learn(ino uint64, parent *node, name string) {
	if ino != ix.store.mount.ino && ix.db.add(ino, place{parent.ino, name}) {
		ix.wakeFlusher()
	}
}

func (ix *index) wakeFlusher() { wake(ix.flusher) }

// wake sends unless there is something to be received already.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (ix *index) moved(ino uint64, from *node, name string, to *node, newName string) {
	if ino == 0 {
		return
	}
	ix.db.remove(ino, place{from.ino, name})
	if to != nil && ix.db.add(ino, place{to.ino, newName}) {
		ix.wakeFlusher()
	}
}

func (ix *index) deleted(n *node) {
	ino, gen := parseIndexID(n.id)
	ix.db.forget(ino, gen)
}

func (ix *index) scanned() uint64 { return ix.scans.Load() }

func (ix *index) close() error {
	ix.others.close()
	return ix.db.close()
}
