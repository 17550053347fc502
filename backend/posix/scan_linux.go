package posix

import (
	"bytes"
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"causeway"
)

// scanRest is the least time between scans, and scanShare how much longer than the last scan it is at least: who asks for
// objects that are gone must not keep the store scanning.
const (
	scanRest  = time.Second
	scanShare = 10
)

// lookout is for an object that a scan looks for.
type lookout struct {
	done chan struct{} // closed when the scan is done
	seen bool          // a name of it, or of what has its number; to be read when the scan is done
}

// scanFor returns the lookout of a scan that began after the object was asked for. It may be done already: then it tells once.
func (ix *index) scanFor(id causeway.ObjectID) *lookout {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if found, ok := ix.missing[id]; ok {
		select {
		case <-found.done:
			delete(ix.missing, id)
		default:
		}
		return found
	}
	if ix.queued == nil {
		ix.queued = make(chan struct{})
		wake(ix.scanner)
	}
	if len(ix.missing) >= maxMissing {
		return &lookout{done: ix.queued, seen: true} // nobody looks: it may be there
	}
	ix.missing[id] = &lookout{done: ix.queued}
	return ix.missing[id]
}

// wanted returns the lookouts of a scan, by inode number.
func (ix *index) wanted(done chan struct{}) map[uint64][]*lookout {
	all := map[uint64][]*lookout{}
	for id, one := range ix.missing {
		if one.done == done {
			ino, _ := parseIndexID(id)
			all[ino] = append(all[ino], one)
		}
	}
	return all
}

// scanOnDemand scans when somebody waits for it, until the store is closed.
func (ix *index) scanOnDemand() {
	for {
		select {
		case <-ix.store.stop:
			return
		case <-ix.scanner:
		}
		ix.mu.Lock()
		done := ix.queued
		wanted := ix.wanted(done)
		ix.queued = nil
		ix.mu.Unlock()
		began := ix.store.now()
		found := ix.scan(wanted)
		took := ix.store.now().Sub(began)
		ix.store.cfg.Logger.Info("tree scanned for objects that the index did not find", "volume", ix.store.marker.Volume,
			"names", found, "took", took)
		close(done)
		ix.forgetMissing()
		if !ix.sleep(max(scanRest, scanShare*took)) {
			return
		}
	}
}

// forgetMissing forgets answers that nobody came back for, when there are many.
func (ix *index) forgetMissing() {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if len(ix.missing) >= maxMissing/2 {
		clear(ix.missing)
	}
}

// sleep waits, and reports false if the store is closed meanwhile.
func (ix *index) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ix.store.stop:
		return false
	}
}

// treeWalk is a scan that is under way.
type treeWalk struct {
	ix     *index
	buf    []byte
	todo   []uint64         // directories to read, by number: descriptors would be too many
	stamps map[uint64]int64 // ctime of each directory when it was read; 0: too young to tell whether it changes again
	wanted map[uint64][]*lookout
	found  uint64
}

// maxRounds bounds how often directories that changed are read again.
const maxRounds = 8

// scan walks the tree and puts every name into the index. It returns how many there were.
//
// Who renames things meanwhile must not hide them: directories that changed after they were read are read again. When none has, there
// was a moment in which all of them were as they were read, so that nothing that lives was missed. What was seen but is not there any more
// when it is opened may live.
func (ix *index) scan(wanted map[uint64][]*lookout) uint64 {
	ix.scans.Add(1)
	w := &treeWalk{ix: ix, wanted: wanted, buf: make([]byte, streamBytes), todo: []uint64{ix.store.mount.ino}, stamps: map[uint64]int64{ix.store.mount.ino: 0}}
	for range maxRounds {
		if !w.read() || !w.changed() || !ix.sleep(time.Duration(settle)) {
			break
		}
	}
	return w.found
}

// read reads what is to be read, and all directories in it. It reports false if the store was closed.
func (w *treeWalk) read() bool {
	for len(w.todo) > 0 {
		select {
		case <-w.ix.store.stop:
			return false
		default:
		}
		ino := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		dir := w.ix.directory(ino, 0)
		if dir == nil {
			delete(w.stamps, ino) // if it moved, it is found where it went
			continue
		}
		w.stamps[ino] = w.stampOf(dir)
		w.ix.scanDir(dir, w.buf, func(name string, child uint64, isDir bool) {
			w.found++
			for _, one := range w.wanted[child] {
				one.seen = true
			}
			if w.ix.db.add(child, place{dir.ino, name}) {
				_ = w.ix.db.flush()
			}
			if _, ok := w.stamps[child]; isDir && !ok {
				w.stamps[child] = 0
				w.todo = append(w.todo, child)
			}
		})
		dir.unpin()
	}
	return true
}

func (w *treeWalk) stampOf(dir *node) int64 {
	var st unix.Stat_t
	if fstat(dir.fd, &st) != 0 || w.ix.store.now().UnixNano()-int64(stamp(&st)) <= settle {
		return 0
	}
	return int64(stamp(&st))
}

// changed queues the directories that changed since they were read, and reports whether there are any.
func (w *treeWalk) changed() bool {
	for ino, was := range w.stamps {
		dir := w.ix.directory(ino, 0)
		if dir == nil {
			delete(w.stamps, ino)
			continue
		}
		if was == 0 || w.stampOf(dir) != was {
			w.todo = append(w.todo, ino)
		}
		dir.unpin()
	}
	return len(w.todo) > 0
}

// scanDir calls f for every entry of a directory that is not a mount.
func (ix *index) scanDir(dir *node, buf []byte, f func(name string, ino uint64, isDir bool)) {
	s := ix.store
	fd, e := s.roomy(func() (int, unix.Errno) { return openat(dir.fd, &cname{'.'}, unix.O_RDONLY|unix.O_DIRECTORY, 0) })
	if e != 0 {
		return
	}
	defer unix.Close(fd)
	for {
		n, e := getdents(fd, buf)
		if e != 0 || n == 0 {
			return
		}
		for rest := buf[:n]; len(rest) > direntName; {
			size := int(binary.NativeEndian.Uint16(rest[direntReclen:]))
			raw := rest[direntName:size]
			name := string(raw[:max(0, bytes.IndexByte(raw, 0))])
			ino, typ := binary.NativeEndian.Uint64(rest), direntType[rest[direntType8]&15]
			rest = rest[size:]
			if name == "." || name == ".." || s.hides(dir, name) {
				continue
			}
			if !s.mount.trusts(typ) || !s.mount.cloned && typ == causeway.TypeDirectory {
				var c cname
				var st unix.Stat_t
				if c.set(name) != causeway.OK || fstatat(dir.fd, &c, &st) != 0 || uint64(st.Dev) != s.dev && !s.mount.overlay {
					continue
				}
				ino, typ = st.Ino, typeOf(st.Mode)
			}
			f(name, ino, typ == causeway.TypeDirectory)
		}
	}
}
