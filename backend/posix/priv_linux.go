package posix

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DropPrivileges takes from all threads of the process what would let the server do for its callers what they may not:
// CAP_SYS_RESOURCE, with which quotas and reserved blocks do not count, and CAP_FSETID, with which a write keeps set-user-id
// bits. It also sets the securebits that keep the other capabilities when a thread changes its file system uid. Call it once,
// early; it cannot be undone, and child processes are born without these capabilities too. It needs a binary built without
// cgo, else it fails with an error that says so. Without root there is nothing to drop.
func DropPrivileges() error {
	if !hasCap(unix.CAP_SETPCAP) {
		if hasCap(unix.CAP_FSETID) || hasCap(unix.CAP_SYS_RESOURCE) {
			return dropCaps()
		}
		return nil
	}
	for _, capability := range []uintptr{unix.CAP_FSETID, unix.CAP_SYS_RESOURCE} {
		if err := onAllThreads(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, capability, 0); err != nil {
			return fmt.Errorf("posix: bounding set: %w", err)
		}
	}
	bits, err := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0)
	if err == nil {
		err = onAllThreads(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, uintptr(bits|keepCaps), 0)
	}
	if err != nil {
		return fmt.Errorf("posix: securebits: %w", err)
	}
	allThreadsKeepCaps.Store(true)
	return dropCaps()
}

// dropCaps takes the two capabilities out of the effective, permitted and inheritable sets.
func dropCaps() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("posix: capget: %w", err)
	}
	for _, capability := range []uint{unix.CAP_FSETID, unix.CAP_SYS_RESOURCE} {
		d, bit := &data[capability/32], uint32(1)<<(capability%32)
		d.Effective, d.Permitted, d.Inheritable = d.Effective&^bit, d.Permitted&^bit, d.Inheritable&^bit
	}
	header.Pid = 0
	if err := onAllThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0); err != nil {
		return fmt.Errorf("posix: capset: %w", err)
	}
	return nil
}

func onAllThreads(trap, a, b, c uintptr) error {
	_, _, e := syscall.AllThreadsSyscall(trap, a, b, c)
	if e == syscall.ENOTSUP {
		return errors.New("privileges of all threads can be changed only in a binary built without cgo")
	}
	if e != 0 {
		return e
	}
	return nil
}
