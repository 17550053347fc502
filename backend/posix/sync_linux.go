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

// failure is the last sync of an object that failed. As with a kernel's file descriptors, whoever has the object open learns of
// it once, by his next sync, also if it was someone else's sync that failed; and if nobody has learned of it yet, the next one
// who opens the object does.
type failure struct {
	count uint64
	err   error
	told  bool
}

// failed notes a failure.
func (n *node) failed(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failure = failure{count: n.failure.count + 1, err: err}
}

// failuresSeen returns what someone who opens the object now has seen of its failures.
func (n *node) failuresSeen() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f := &n.failure; f.err != nil && !f.told {
		return f.count - 1
	}
	return n.failure.count
}

// failedSince returns the last failure if it has not been seen yet.
func (n *node) failedSince(seen *uint64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := &n.failure
	if *seen == f.count {
		return nil
	}
	*seen, f.told = f.count, true
	return f.err
}

type syncCounters struct{ asked, done, failed atomic.Uint64 }

// soil remembers that a file has unsynced writes. It comes before the write, so that one that fails half-way counts, and after it,
// because a sync that began in between has cleaned the file and may have missed the rest.
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
	// EROFS is no excuse where something could be written: it is what an ext4 says that stopped after an I/O error, and what
	// stood in its memory is lost.
	if e == 0 || e == unix.EROFS && s.readOnly || e == unix.EINVAL && n.typ == causeway.TypeDirectory { // some know no fsync of directories
		return nil
	}
	s.syncs.failed.Add(1)
	err := &causeway.Error{Op: "posix sync", Code: codeOf(e), Object: n.id, Err: e}
	n.failed(err)
	if s.cfg.OnSyncError != nil {
		s.cfg.OnSyncError(n.id, err)
	}
	return err
}

// syncCall is fsync or fdatasync, or syncfs for what cannot be opened: devices and links, and what its mode closes to a
// process without privileges.
func (s *Store) syncCall(n *node, full bool) unix.Errno {
	if n == s.journal {
		if e := s.touch(n); e != 0 {
			return e
		}
		return s.fsync(n.fd, true)
	}
	if _, e := s.roomy(func() (int, unix.Errno) { return 0, n.upgradeForSync() }); e == unix.EINVAL || e == unix.EACCES {
		return s.syncfs(s.mount.fd)
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

func syncfs(fd int) unix.Errno { return retry(func() error { return unix.Syncfs(fd) }) }

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
	var buf [4]*node
	nodes, err := s.toPersist(ctx, ids, buf[:0])
	if len(nodes) == 0 {
		return err
	}
	var others sync.WaitGroup
	var mu sync.Mutex
	persist := func(n *node) {
		if e := s.syncNode(n, true); e != nil {
			mu.Lock()
			err = e
			mu.Unlock()
		}
		if n != s.journal {
			n.unpin()
		}
	}
	last := len(nodes) - 1
	for _, n := range nodes[:last] {
		others.Go(func() { persist(n) })
	}
	persist(nodes[last])
	others.Wait()
	return err
}

// toPersist returns, pinned, what has to be synced to make objects stable: the journal where there is one, and what it does
// not hold.
func (s *Store) toPersist(ctx context.Context, ids []causeway.ObjectID, nodes []*node) ([]*node, error) {
	var firstErr error
	some := false
	for i := range ids {
		if ids[i].IsZero() {
			continue
		}
		some = true
		if s.journal != nil {
			if n := s.cache.get(&ids[i]); n == nil {
				continue
			} else if !n.dirty.Load() {
				n.unpin()
			} else {
				nodes = append(nodes, n)
			}
			continue
		}
		n, err := s.get(ctx, &ids[i])
		switch {
		case err == nil:
			nodes = append(nodes, n)
		case err != causeway.ErrStale: // of what is gone nothing is to be stable but its name's absence, which is its directory's
			firstErr = err
		}
	}
	if some && s.journal != nil {
		nodes = append(nodes, s.journal)
	}
	return nodes, firstErr
}

// syncDirty syncs every file with unsynced writes, by one syncfs: a sync of each would be a journal commit of each. It costs
// what other programs have written too, and cannot tell whose data was lost when it fails: then each file is synced by itself,
// and its descriptor, open since before the write, tells.
func (s *Store) syncDirty() error {
	s.syncAll.Lock()
	defer s.syncAll.Unlock()
	var nodes []*node
	s.cache.each(func(n *node) {
		if n.dirty.Load() && n.pin() {
			s.clean(n)
			nodes = append(nodes, n)
		}
	})
	if len(nodes) == 0 {
		return nil
	}
	s.syncing.Store(int64(len(nodes)))
	defer func() {
		for _, n := range nodes {
			n.unpin()
		}
		s.syncing.Store(0)
	}()
	s.syncs.done.Add(1)
	if len(nodes) > 1 && s.syncfs(s.mount.fd) == 0 {
		return nil
	}
	var firstErr error
	for _, n := range nodes {
		if err := s.syncNode(n, false); err != nil && firstErr == nil {
			firstErr = err
		}
	}
	return firstErr
}
