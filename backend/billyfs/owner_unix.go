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
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		a.UID, a.GID = st.Uid, st.Gid
	}
}
