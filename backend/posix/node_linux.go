package posix

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"causeway"
)

// How a node's descriptor is open. It only ever grows.
const (
	fdPath  int32 = iota // O_PATH
	fdRead               // O_RDONLY
	fdWrite              // O_RDWR
)

// dead marks a node in refs whose descriptor is closed or about to be.
const dead = -1 << 30

// node is an object of the file system that is open: its descriptor pins the inode, so that while the node lives no other
// object can have its inode number. Who uses a node has pinned it, and unpins it.
type node struct {
	id    causeway.ObjectID
	ino   uint64
	typ   causeway.FileType
	btime causeway.Time
	fd    int    // the same number for the node's whole life: a better descriptor is put under it by dup3
	born  uint64 // cache.seq when the node came into the cache

	refs   atomic.Int32
	used   atomic.Bool // since the hand of the cache's clock came by
	gone   atomic.Bool // dropped from the cache: closed with the last pin
	access atomic.Int32
	dirty  atomic.Bool   // data was written and not synced: the descriptor must stay, it alone surely sees a writeback error
	change atomic.Uint64 // names in this directory that this store changed
	direct bool          // its bytes go past the page cache
	slot   int           // in the ring of its shard, guarded by the shard

	acl   aclCache
	names sync.RWMutex // of a directory: held to make what is opened after it was made, else shared to change names, see lockNames
	mu    sync.Mutex   // guards upgrades of fd and what follows
	flush flushState

	failure failure
}

// pin takes a reference unless the node is dead.
func (n *node) pin() bool {
	for {
		refs := n.refs.Load()
		if refs < 0 {
			return false
		}
		if n.refs.CompareAndSwap(refs, refs+1) {
			if !n.used.Load() {
				n.used.Store(true)
			}
			return true
		}
	}
}

// unpin gives a reference back, and closes a node that was dropped.
func (n *node) unpin() {
	if n.refs.Add(-1) == 0 && n.gone.Load() {
		n.kill()
	}
}

// kill closes the descriptor if nobody uses the node, and reports whether it did.
func (n *node) kill() bool {
	if !n.refs.CompareAndSwap(0, dead) {
		return false
	}
	unix.Close(n.fd)
	return true
}

// upgrade makes the descriptor at least as able as want. The better one takes the old one's number, so that nobody who uses
// it meanwhile is disturbed.
func (n *node) upgrade(want int32) unix.Errno {
	if n.access.Load() >= want {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.access.Load() >= want {
		return 0
	}
	var fd int
	var e unix.Errno
	switch {
	case n.typ == causeway.TypeDirectory:
		dot := cname{'.'}
		fd, e = openat(n.fd, &dot, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	case n.typ != causeway.TypeRegular:
		return unix.EINVAL // opening a FIFO or a device does things
	case want == fdWrite:
		fd, e = reopen(n.fd, unix.O_RDWR)
	default:
		fd, e = reopen(n.fd, unix.O_RDONLY)
	}
	if e != 0 {
		return e
	}
	if n.direct {
		noPages(fd)
	}
	e = retry(func() error { return unix.Dup3(fd, n.fd, unix.O_CLOEXEC) })
	unix.Close(fd)
	if e == 0 {
		n.access.Store(want)
	}
	return e
}
