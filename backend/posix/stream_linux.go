package posix

import (
	"sync"

	"golang.org/x/sys/unix"

	"causeway"
)

// Bounds of what is kept of directories that are being walked: descriptors, and bytes of entries that were read ahead.
const (
	maxStreams  = 64
	streamBytes = 32 << 10
)

// stream is an open directory at a position. One call at a time has it.
type stream struct {
	id     causeway.ObjectID
	fd     int
	cookie uint64 // of the last entry that was taken
	buf    []byte
	off    int // of the entries in buf that were not taken
	rest   int
	ticket uint64 // of the cache, from before they were read
	serial uint64 // ticket of the memory, likewise
	dir    *node  // that change is of
	change uint64 // of the directory, likewise
	stamp  uint64 // the directory's ctime, likewise; 0: it had changed so shortly before that it proves nothing
	entry  causeway.DirEntry
	draft  *listing // of all entries up to here, or nil
	memory *memory  // that the draft is for
}

func (at *stream) close() {
	at.dropDraft()
	unix.Close(at.fd)
}

func (at *stream) dropDraft() {
	if at.draft != nil {
		at.memory.lists.giveUp(at.draft)
		at.draft = nil
	}
}

// note adds what was just read to the draft, and remembers it at the end.
func (at *stream) note(s *Store, dir *node) {
	switch l := at.draft; {
	case l == nil:
	case at.memory != s.memory:
		at.dropDraft()
	case at.rest > 0:
		if !s.addPage(l, dir, at.buf[:at.rest]) {
			at.draft = nil
		}
	case s.memory.current(l):
		s.memory.keep(l)
		at.draft = nil
	default:
		at.dropDraft()
	}
}

// fill reads the next entries.
func (at *stream) fill(s *Store, dir *node) unix.Errno {
	at.ticket, at.serial, at.dir, at.change, at.stamp = s.cache.ticket(), s.memory.ticket(), dir, dir.change.Load(), 0
	var st unix.Stat_t
	if s.memory == nil && fstat(dir.fd, &st) == 0 && s.now().UnixNano()-int64(stamp(&st)) > settle {
		at.stamp = stamp(&st)
	}
	n, e := getdents(at.fd, at.buf)
	at.off, at.rest = 0, n
	if e != 0 {
		at.rest = 0
		return e
	}
	at.note(s, dir)
	return 0
}

// fresh reports whether the entries that were read ahead are what a read would find now.
func (s *Store) fresh(at *stream, dir *node) bool {
	if s.memory != nil {
		return at.dir == dir && at.change == dir.change.Load()
	}
	var st unix.Stat_t
	return at.stamp != 0 && at.change == dir.change.Load() && fstat(dir.fd, &st) == 0 && stamp(&st) == at.stamp
}

// streams keeps the streams that no call has now, the last used at the end.
type streams struct {
	mu   sync.Mutex
	idle []*stream
}

// take returns the stream that stands at a cookie, or nil.
func (ss *streams) take(id *causeway.ObjectID, cookie uint64) *stream {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for i, at := range ss.idle {
		if at.cookie == cookie && at.id == *id {
			ss.idle = append(ss.idle[:i], ss.idle[i+1:]...)
			return at
		}
	}
	return nil
}

// give keeps a stream for whoever continues there.
func (ss *streams) give(at *stream) {
	var old *stream
	ss.mu.Lock()
	if len(ss.idle) >= maxStreams {
		old = ss.idle[0]
		ss.idle = append(ss.idle[:0], ss.idle[1:]...)
	}
	ss.idle = append(ss.idle, at)
	ss.mu.Unlock()
	if old != nil {
		old.close()
	}
}

// dropDraft gives up the draft of the walk that rests for the longest time, if there is any.
func (ss *streams) dropDraft() bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, at := range ss.idle {
		if at.draft != nil {
			at.dropDraft()
			return true
		}
	}
	return false
}

// close closes those that nobody has.
func (ss *streams) close() {
	ss.mu.Lock()
	idle := ss.idle
	ss.idle = nil
	ss.mu.Unlock()
	for _, at := range idle {
		at.close()
	}
}

// openStream returns a stream of dir at a cookie.
func (s *Store) openStream(dir *node, cookie uint64) (*stream, error) {
	if cookie != 0 {
		if at := s.streams.take(&dir.id, cookie); at != nil {
			if at.rest == 0 || s.fresh(at, dir) {
				return at, nil
			}
			return at, s.seek(at)
		}
	}
	dot := cname{'.'}
	fd, e := s.roomy(func() (int, unix.Errno) { return openat(dir.fd, &dot, unix.O_RDONLY|unix.O_DIRECTORY, 0) })
	if e != 0 {
		return nil, s.failIn(dir, "list", e)
	}
	at := &stream{id: dir.id, fd: fd, cookie: cookie, buf: make([]byte, streamBytes)}
	if cookie != 0 {
		return at, s.seek(at)
	}
	at.draft, at.memory = s.memory.draft(dir), s.memory
	return at, nil
}

// seek puts the descriptor where the stream's cookie says.
func (s *Store) seek(at *stream) error {
	at.rest = 0
	at.dropDraft()
	_, e := unix.Seek(at.fd, int64(at.cookie), unix.SEEK_SET)
	if e == nil {
		return nil
	}
	at.close()
	if errnoOf(e) == unix.EINVAL || errnoOf(e) == unix.EOVERFLOW {
		return causeway.ErrBadCookie
	}
	return fail("list", errnoOf(e))
}
