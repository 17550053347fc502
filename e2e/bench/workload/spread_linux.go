package workload

import (
	"os"

	"golang.org/x/sys/unix"
)

const topDir = 0x20000 // FS_TOPDIR_FL

// spread asks ext4 to put every directory that is made in dir far from the others (the T attribute of chattr(1)).
// An ext4 without a journal does not give an inode out again for minutes after it was freed, and tests every one on the way
// to the next that is free: a server that makes files where others have just been removed would pay for that. Other file
// systems refuse, which does no harm.
func spread(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	flags, err := unix.IoctlGetInt(int(file.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		_ = unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, flags|topDir)
	}
	return nil
}
