package check

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Calls that the libraries make for the whole process, or only with pointers that are valid.

func setgroups(groups []uint32) error {
	var first unsafe.Pointer
	if len(groups) > 0 {
		first = unsafe.Pointer(&groups[0])
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(first), 0); errno != 0 {
		return errno
	}
	return nil
}

// badPointer is an address that no process has.
const badPointer = ^uintptr(0)

func rawPathCall(trap uintptr, a, b uintptr) error {
	const atCWD = ^uintptr(99) // AT_FDCWD
	if _, _, errno := unix.Syscall6(trap, atCWD, badPointer, a, b, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
