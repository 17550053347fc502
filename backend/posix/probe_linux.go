package posix

import (
	"context"

	"golang.org/x/sys/unix"

	"causeway"
)

// Probe reads from the storage itself, not from this machine's memory, and fails as reading does. What the storage answers slowly it
// waits for, whatever ctx says.
func (s *Store) Probe(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := s.Stat(ctx, s.Root()); err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(s.mount.fd, &fs); err != nil {
		return probed(err)
	}
	if !s.marked {
		return nil
	}
	fd, err := unix.Openat2(s.mount.fd, markerDir+"/"+markerFile, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS})
	if err == unix.ENOENT {
		return nil // somebody who owns the directory has removed it: the storage has answered
	}
	if err != nil {
		return probed(err)
	}
	defer unix.Close(fd)
	_ = unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) // else it is read from memory
	_, err = unix.Pread(fd, make([]byte, 512), 0)
	return probed(err)
}

func probed(err error) error {
	if e, ok := err.(unix.Errno); ok {
		if e == unix.ESTALE {
			return &causeway.Error{Op: "posix probe", Code: causeway.ErrStale, Err: e}
		}
		return fail("probe", e)
	}
	return err
}
