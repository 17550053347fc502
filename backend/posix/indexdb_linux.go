package posix

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// What the index keeps, in the file index.db beside the marker, or index-HOLDER.db where several gateways have the volume open: inode number (8 bytes, big endian) → names of the object,
// the newest first, each as parent's inode number (8), length (1), bytes.
const (
	indexFile   = "index.db"
	holderFile  = "index-%s.db"
	indexFormat = "objects-1"
	maxNames    = 8       // of one object that are remembered
	maxPending  = 1 << 14 // changes that wait to be written
	maxDeleted  = 1 << 16 // deleted objects that are remembered, in memory
)

// place is where an object is found: a name in a directory.
type place struct {
	parent uint64
	name   string
}

// inoGen is what identifies an object.
type inoGen struct{ ino, generation uint64 }

// indexDB maps inode numbers to places. Changes are written behind: what a crash loses, a scan of the tree finds again.
type indexDB struct {
	db   *bolt.DB
	file string

	mu      sync.Mutex
	pending map[uint64][]place // the whole truth about these objects; empty: forget it
	leaving map[uint64][]place // likewise, but for what is pending: it is being written
	deleted map[inoGen]bool    // objects that are known to be gone
	order   []inoGen           // likewise; a ring, once it is full
	oldest  int

	writing sync.Mutex // one flush at a time
}

// openIndexDB opens or makes the index of a holder in a directory. A file system may keep the lock of a machine that died for a
// while: its gateway uses another file then when it comes back, and reads the first as it reads those of others.
func openIndexDB(dir *os.File, holder string) (d *indexDB, err error) {
	if holder == "" {
		return openIndexFile(dir, indexFile)
	}
	for _, suffix := range []string{"", "~2", "~3"} {
		d, err = openIndexFile(dir, fmt.Sprintf(holderFile, holder+suffix))
		if !errors.Is(err, errIndexInUse) {
			break
		}
	}
	return d, err
}

var errIndexInUse = errors.New("the index is in use by another process")

// openIndexFile opens or makes an index. One that cannot be read is made anew: it holds nothing that the tree does not.
func openIndexFile(dir *os.File, indexFile string) (*indexDB, error) {
	at := func(name string, flag int, mode os.FileMode) (*os.File, error) {
		fd, err := unix.Openat(int(dir.Fd()), name, flag|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(mode.Perm()))
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), name), nil
	}
	options := &bolt.Options{Timeout: time.Second, OpenFile: at, FreelistType: bolt.FreelistMapType}
	db, err := bolt.Open(indexFile, 0o600, options)
	if err != nil && !errors.Is(err, bolterrors.ErrTimeout) && !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EROFS) {
		if unix.Unlinkat(int(dir.Fd()), indexFile, 0) == nil {
			db, err = bolt.Open(indexFile, 0o600, options)
		}
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, errIndexInUse
	}
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte(indexFormat))
		return err
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("index: %w", err)
	}
	return &indexDB{db: db, file: indexFile, pending: map[uint64][]place{}, deleted: map[inoGen]bool{}}, nil
}

// places returns where an object may be found.
func (d *indexDB) places(ino uint64) []place {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.placesLocked(ino)
}

func (d *indexDB) placesLocked(ino uint64) []place {
	if places, ok := d.pending[ino]; ok {
		return places
	}
	if places, ok := d.leaving[ino]; ok {
		return places
	}
	return d.stored(ino)
}

// stored reads what is in the file.
func (d *indexDB) stored(ino uint64) (places []place) {
	_ = d.db.View(func(tx *bolt.Tx) error {
		places = parsePlaces(tx.Bucket([]byte(indexFormat)).Get(inoKey(ino)))
		return nil
	})
	return places
}

// add remembers a name of an object as its newest.
func (d *indexDB) add(ino uint64, at place) (full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.placesLocked(ino)
	if len(old) > 0 && old[0] == at {
		return false
	}
	places := make([]place, 1, min(len(old)+1, maxNames))
	places[0] = at
	for _, p := range old {
		if p != at && len(places) < maxNames {
			places = append(places, p)
		}
	}
	d.pending[ino] = places
	return len(d.pending) >= maxPending
}

// remove forgets a name of an object.
func (d *indexDB) remove(ino uint64, at place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending[ino] = slices.DeleteFunc(slices.Clone(d.placesLocked(ino)), func(p place) bool { return p == at })
}

// forget remembers that an object is gone.
func (d *indexDB) forget(ino, generation uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending[ino] = nil
	gone := inoGen{ino, generation}
	switch {
	case d.deleted[gone]:
		return
	case len(d.order) < maxDeleted:
		d.order = append(d.order, gone)
	default:
		delete(d.deleted, d.order[d.oldest])
		d.order[d.oldest] = gone
		d.oldest = (d.oldest + 1) % maxDeleted
	}
	d.deleted[gone] = true
}

// isDeleted reports whether an object is known to be gone.
func (d *indexDB) isDeleted(ino, generation uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.deleted[inoGen{ino, generation}]
}

// flush writes what is pending. What cannot be written waits for the next time, unless there is too much of it.
func (d *indexDB) flush() error {
	d.writing.Lock()
	defer d.writing.Unlock()
	d.mu.Lock()
	batch := d.pending
	d.pending, d.leaving = map[uint64][]place{}, batch
	d.mu.Unlock()
	var err error
	if len(batch) > 0 {
		err = d.db.Update(func(tx *bolt.Tx) error { return writePlaces(tx.Bucket([]byte(indexFormat)), batch) })
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leaving = nil
	for ino, places := range batch {
		if _, newer := d.pending[ino]; err != nil && !newer && len(d.pending) < maxPending/2 {
			d.pending[ino] = places
		}
	}
	return err
}

func writePlaces(bucket *bolt.Bucket, batch map[uint64][]place) error {
	for ino, places := range batch {
		var err error
		if len(places) == 0 {
			err = bucket.Delete(inoKey(ino))
		} else {
			err = bucket.Put(inoKey(ino), formatPlaces(places))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *indexDB) close() error { return errors.Join(d.flush(), d.db.Close()) }

func inoKey(ino uint64) []byte { return binary.BigEndian.AppendUint64(nil, ino) }

func formatPlaces(places []place) []byte {
	var b []byte
	for _, p := range places {
		b = binary.BigEndian.AppendUint64(b, p.parent)
		b = append(append(b, byte(len(p.name))), p.name...)
	}
	return b
}

// parsePlaces decodes a value; what is malformed is left out.
func parsePlaces(b []byte) (places []place) {
	for len(b) >= 9 && len(b) >= 9+int(b[8]) && len(places) < maxNames {
		size := int(b[8])
		places = append(places, place{binary.BigEndian.Uint64(b), string(b[9 : 9+size])})
		b = b[9+size:]
	}
	return places
}
