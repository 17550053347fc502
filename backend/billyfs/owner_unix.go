//go:build unix

package billyfs

import (
	"os"
	"syscall"

	"github.com/go-git/go-billy/v5"

	"causeway"
)

// owner takes the owner from the operating system, if the filesystem passes it on and can change it; an owner that cannot
// be changed would keep all others from what they create.
func (s *Store) owner(fi os.FileInfo, a *causeway.Attr) {
	if _, can := s.fs.(billy.Change); !can {
		return
	}
	switch st := fi.Sys().(type) {
	case *syscall.Stat_t:
		a.UID, a.GID = st.Uid, st.Gid
	case *causeway.Attr: // a volume as a filesystem
		a.UID, a.GID = st.UID, st.GID
	}
}
