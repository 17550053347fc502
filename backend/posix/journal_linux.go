package posix

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"causeway"
)

// openJournal finds out whether one sync can make all changes of names and attributes stable that came before it, in whatever
// directory. So it is on ext4 with a journal: each change is part of the transaction that was running when it began, or of an
// earlier one, and transactions are committed in order. The store changes its marker directory, which is then part of the
// running transaction, and syncs that: when it is committed, so are all changes that had ended before.
//
// Contents are not: what has unsynced writes is synced by itself. On other file systems every object is, since what their sync
// of one object does for others is not promised.
func (s *Store) openJournal() {
	if s.readOnly || !s.marked || s.mount.magic != unix.EXT4_SUPER_MAGIC || !hasJournal(s.dev) {
		return
	}
	var name cname
	name.set(markerDir)
	fd, e := openat(s.mount.fd, &name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if e != 0 {
		return
	}
	n := &node{id: s.root.id, typ: causeway.TypeDirectory, fd: fd}
	n.access.Store(fdRead)
	if s.touch(n) != 0 {
		unix.Close(fd)
		return
	}
	s.journal = n
}

// hasJournal reports whether the ext4 file system of a device has a journal: its thread has a process id then.
func hasJournal(dev uint64) bool {
	target, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(dev), unix.Minor(dev)))
	if err != nil {
		return false
	}
	task, err := os.ReadFile(filepath.Join("/sys/fs/ext4", filepath.Base(target), "journal_task"))
	if err != nil {
		return false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(task)))
	return err == nil && pid > 0
}

// touch makes a directory part of the running transaction.
func (s *Store) touch(n *node) unix.Errno {
	return utimes(n, &causeway.SetAttr{Mask: causeway.SetAtimeNow | causeway.SetMtimeNow})
}
