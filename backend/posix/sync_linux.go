package posix

import (
	"context"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"causeway"
)

// flushState batches the syncs of one object: those that arrive while one runs share the next one, which begins after they
// came and so covers what they wait for. There is no round over all objects: a small file's sync would wait there for a
// large one's, and file systems with a journal batch what runs at the same time by themselves.
type flushState struct {
	running, next *flush
}

// flush is one sync and who waits for it.
type flush struct {
	done chan struct{}
	full bool // with what is not needed to read the data back
	err  error
}

type syncCounters struct{ asked, done, failed atomic.Uint64 }

// soil remembers that a file has unsynced writes. It comes before the write.
func (s *Store) soil(n *node) {
	if !n.dirty.Load() && !n.dirty.Swap(true) {
		s.cache.dirty.Add(1)
	}
}

// clean is soil's inverse. It comes before the sync, so that writes during it count as unsynced.
func (s *Store) clean(n *node) {
	if n.dirty.Swap(false) {
		s.cache.dirty.Add(-1)
	}
}

// syncNode makes a pinned node's changes stable.
func (s *Store) syncNode(n *node, full bool) error {
	s.syncs.asked.Add(1)
	n.mu.Lock()
	st := &n.flush
	if st.running == nil && st.next == nil {
		f := &flush{done: make(chan struct{}), full: full}
		st.running = f
		n.mu.Unlock()
		return s.lead(n, f)
	}
	if f := st.next; f != nil { // follow
		f.full = f.full || full
		n.mu.Unlock()
		<-f.done
		return f.err
	}
	f := &flush{done: make(chan struct{}), full: full}
	st.next = f
	before := st.running
	n.mu.Unlock()
	<-before.done
	n.mu.Lock()
	st.running, st.next = f, nil
	n.mu.Unlock()
	return s.lead(n, f)
}

// lead runs a sync and tells its followers.
func (s *Store) lead(n *node, f *flush) error {
	f.err = s.syncNow(n, f.full)
	n.mu.Lock()
	n.flush.running = nil
	n.mu.Unlock()
	close(f.done)
	return f.err
}

// syncNow makes the system call, and tells of a failure.
func (s *Store) syncNow(n *node, full bool) error {
	s.syncSlot <- struct{}{}
	defer func() { <-s.syncSlot }()
	s.syncs.done.Add(1)
	e := s.syncCall(n, full)
	if e == 0 || e == unix.EROFS || e == unix.EINVAL && n.typ == causeway.TypeDirectory { // some know no fsync of directories
		return nil
	}
	s.syncs.failed.Add(1)
	err := &causeway.Error{Op: "posix sync", Code: codeOf(e), Object: n.id, Err: e}
	if s.cfg.OnSyncError != nil {
		s.cfg.OnSyncError(n.id, err)
	}
	return err
}

// syncCall is fsync or fdatasync, or syncfs for what cannot be opened: devices and links, and what its mode closes to a
// process without privileges.
func (s *Store) syncCall(n *node, full bool) unix.Errno {
	if _, e := s.roomy(func() (int, unix.Errno) { return 0, n.upgradeForSync() }); e == unix.EINVAL || e == unix.EACCES {
		return retry(func() error { return unix.Syncfs(s.mount.fd) })
	} else if e != 0 {
		return e
	}
	if n.dirty.Load() { // what is written gets its final place, which may change how much storage it uses
		s.memory.begin(n.ino)
		defer s.memory.end(n.ino)
	}
	s.clean(n)
	return s.fsync(n.fd, full)
}

func fsync(fd int, full bool) unix.Errno {
	if full {
		return retry(func() error { return unix.Fsync(fd) })
	}
	return retry(func() error { return unix.Fdatasync(fd) })
}

// upgradeForSync gets a descriptor that can be synced: without privileges, write access may be given where read is not.
func (n *node) upgradeForSync() unix.Errno {
	e := n.upgrade(fdRead)
	if e == unix.EACCES && n.typ == causeway.TypeRegular {
		e = n.upgrade(fdWrite)
	}
	return e
}

// Persist implements backend.Tree.
func (s *Store) Persist(ctx context.Context, ids ...causeway.ObjectID) error {
	if s.cfg.NoPersist || s.readOnly {
		return nil
	}
	var firstErr error
	var others sync.WaitGroup
	var mu sync.Mutex
	for i := range ids {
		if ids[i].IsZero() {
			continue
		}
		n, err := s.get(ctx, &ids[i])
		if err == causeway.ErrStale {
			continue // gone: nothing of it is to be stable but its name's absence, which is its directory's
		}
		if err == nil && i < len(ids)-1 {
			others.Go(func() {
				if err := s.persistNode(n); err != nil {
					mu.Lock()
					firstErr = err
					mu.Unlock()
				}
			})
			continue
		}
		if err == nil {
			err = s.persistNode(n)
		}
		if err != nil {
			mu.Lock()
			firstErr = err
			mu.Unlock()
		}
	}
	others.Wait()
	return firstErr
}

func (s *Store) persistNode(n *node) error {
	defer n.unpin()
	return s.syncNode(n, true)
}

// syncDirty syncs every file with unsynced writes.
func (s *Store) syncDirty() error {
	var mu sync.Mutex
	var firstErr error
	var running sync.WaitGroup
	s.cache.each(func(n *node) {
		if !n.dirty.Load() || !n.pin() {
			return
		}
		running.Go(func() {
			defer n.unpin()
			if err := s.syncNode(n, false); err != nil {
				mu.Lock()
				firstErr = err
				mu.Unlock()
			}
		})
	})
	running.Wait()
	return firstErr
}
