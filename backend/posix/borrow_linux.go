package posix

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"causeway"
)

// Every gateway that has a volume open keeps an index of its own, since a database has one writer. What the others have learned is
// borrowed when it is needed: before the tree is scanned for an object, copies of their indexes are read. So a new owner of a volume
// finds what the last one knew, up to the second in which that died.
//
// A copy is worth as much as any index: what is found by it is verified.
type borrowed struct {
	store *Store
	place *os.File // where the indexes are
	dir   string   // where copies lie, without names

	mu    sync.Mutex
	last  time.Time
	files map[string]*borrowing
}

// borrowing is a copy of another gateway's index.
type borrowing struct {
	db   *bolt.DB
	size int64
	time unix.Timespec // when the other gateway had written it last
}

// Bounds of what is borrowed.
const (
	maxBorrowings  = 16
	maxBorrowBytes = 1 << 30
	borrowRest     = 500 * time.Millisecond
	copyTries      = 4
)

// places returns where other gateways had an object when their indexes were copied.
func (b *borrowed) places(ino uint64) (places []place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, file := range b.files {
		found, err := file.places(ino)
		if err != nil {
			b.store.cfg.Logger.Warn("another gateway's index cannot be read", "volume", b.store.marker.Volume, "index", name, "err", err)
			b.drop(name)
			b.files[name] = &borrowing{size: file.size, time: file.time} // until it is another one
		}
		places = append(places, found...)
	}
	return places
}

func (f *borrowing) places(ino uint64) (places []place, err error) {
	if f.db == nil {
		return nil, nil
	}
	err = guarded(func() error {
		return f.db.View(func(tx *bolt.Tx) error {
			if bucket := tx.Bucket([]byte(indexFormat)); bucket != nil {
				places = parsePlaces(bucket.Get(inoKey(ino)))
			}
			return nil
		})
	})
	return places, err
}

// guarded turns what the database does about a damaged file into an error.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %v", r)
		}
	}()
	return f()
}

// renew copies the indexes that changed since the last time, and reports whether there were any.
func (b *borrowed) renew(own string) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := b.store.now(); now.Sub(b.last) < borrowRest && now.After(b.last) {
		return false
	}
	defer func() { b.last = b.store.now() }()
	for _, name := range othersIndexes(b.place, own) {
		old := b.files[name]
		next, err := b.copy(b.place, name, old)
		if err != nil {
			b.store.cfg.Logger.Info("another gateway's index cannot be borrowed", "volume", b.store.marker.Volume, "index", name, "err", err)
		}
		if next == nil || next == old {
			continue
		}
		b.drop(name)
		b.files[name] = next
		changed = true
	}
	return changed
}

func (b *borrowed) drop(name string) {
	if f := b.files[name]; f != nil && f.db != nil {
		_ = guarded(f.db.Close)
	}
	delete(b.files, name)
}

func (b *borrowed) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.files {
		b.drop(name)
	}
	b.place.Close()
}

// othersIndexes returns the indexes in a directory but one's own, those that were written last first.
func othersIndexes(dir *os.File, own string) (names []string) {
	if _, err := dir.Seek(0, io.SeekStart); err != nil {
		return nil
	}
	all, _ := dir.Readdirnames(-1)
	written := map[string]int64{}
	for _, name := range all {
		var st unix.Stat_t
		if name == own || !strings.HasPrefix(name, "index") || !strings.HasSuffix(name, ".db") {
			continue
		}
		if unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && typeOf(st.Mode) == causeway.TypeRegular {
			names = append(names, name)
			written[name] = st.Mtim.Nano()
		}
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(cmp.Compare(written[y], written[x]), cmp.Compare(x, y)) })
	return names[:min(len(names), maxBorrowings)]
}

// copy copies an index, again if it was written meanwhile. It returns old if nothing changed since.
func (b *borrowed) copy(dir *os.File, name string, old *borrowing) (*borrowing, error) {
	for range copyTries {
		fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		file := os.NewFile(uintptr(fd), name)
		next, err := b.copyFile(file, old)
		file.Close()
		if !errors.Is(err, errChanging) {
			return next, err
		}
	}
	return nil, errChanging
}

var errChanging = errors.New("it is being written")

func (b *borrowed) copyFile(file *os.File, old *borrowing) (*borrowing, error) {
	var before, after unix.Stat_t
	if e := b.store.fstat(int(file.Fd()), &before); e != 0 {
		return nil, e
	}
	if old != nil && old.size == before.Size && old.time == before.Mtim {
		return old, nil
	}
	if before.Size > maxBorrowBytes {
		return nil, fmt.Errorf("it has %d bytes", before.Size)
	}
	temp, err := os.CreateTemp(b.dir, "causeway-index-")
	if err != nil {
		return nil, err
	}
	path := temp.Name()
	defer os.Remove(path)
	if b.store.direct {
		noPages(int(file.Fd()))
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{temp}, io.LimitReader(struct{ io.Reader }{file}, maxBorrowBytes), make([]byte, 1<<18))
	if err = errors.Join(err, temp.Close()); err != nil {
		return nil, err
	}
	if e := b.store.fstat(int(file.Fd()), &after); e != 0 || after.Mtim != before.Mtim || after.Size != before.Size {
		return nil, errChanging
	}
	next := &borrowing{size: before.Size, time: before.Mtim}
	err = guarded(func() (err error) {
		next.db, err = bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second})
		return err
	})
	return next, err
}
