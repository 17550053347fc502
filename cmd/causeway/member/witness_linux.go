package member

import (
	"os"

	"golang.org/x/sys/unix"
)

// forgetPages makes the next read of a file come from the storage: kernels keep pages of FUSE file systems whatever other machines write.
func forgetPages(f *os.File) { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }
