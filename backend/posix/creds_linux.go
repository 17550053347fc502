package posix

import (
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"causeway"
)

// allThreadsKeepCaps is set when DropPrivileges has set the securebits of all threads.
var allThreadsKeepCaps atomic.Bool

// keepCaps is SECBIT_NO_SETUID_FIXUP: a change of the file system uid leaves the capabilities alone.
const keepCaps = 1 << 2

// ownership is what the process can do about owners of new objects.
type ownership struct {
	any      bool // any owner: setfsuid works, and capabilities stay with it
	uid, gid uint32
	groups   []int
}

// probeOwnership finds out, on a thread of its own, which ends.
func probeOwnership() ownership {
	o := ownership{uid: uint32(unix.Geteuid()), gid: uint32(unix.Getegid())}
	o.groups, _ = unix.Getgroups()
	able := make(chan bool)
	go func() { // the thread ends with the goroutine, because it stays locked
		runtime.LockOSThread()
		able <- threadKeepsCaps() == 0 && wear(causeway.Nobody, causeway.Nobody) && wear(o.uid, o.gid)
	}()
	o.any = <-able && hasCap(unix.CAP_CHOWN) && hasCap(unix.CAP_DAC_OVERRIDE) && hasCap(unix.CAP_FOWNER)
	return o
}

// threadKeepsCaps sets the securebits of this thread.
func threadKeepsCaps() unix.Errno {
	if allThreadsKeepCaps.Load() {
		return 0
	}
	bits, _, e := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_GET_SECUREBITS, 0, 0)
	if e == 0 && bits&keepCaps == 0 {
		_, _, e = unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, bits|keepCaps, 0)
	}
	return e
}

// wear changes the file system uid and gid of this thread, and reports whether that worked.
func wear(uid, gid uint32) bool {
	unix.RawSyscall(unix.SYS_SETFSGID, uintptr(gid), 0, 0)
	unix.RawSyscall(unix.SYS_SETFSUID, uintptr(uid), 0, 0)
	isGID, _, _ := unix.RawSyscall(unix.SYS_SETFSGID, uintptr(^uint32(0)), 0, 0)
	isUID, _, _ := unix.RawSyscall(unix.SYS_SETFSUID, uintptr(^uint32(0)), 0, 0)
	return uint32(isGID) == gid && uint32(isUID) == uid
}

// as runs f on a thread whose file system uid and gid are these, so that what f makes is born with that owner: no moment in
// which it is root's, and the right quota is charged. ErrPerm if the process cannot do that.
func (s *Store) as(uid, gid uint32, f func() unix.Errno) error {
	if uid == s.owner.uid && gid == s.owner.gid {
		return fail("create", f())
	}
	if !s.owner.any {
		if uid == s.owner.uid && slices.Contains(s.owner.groups, int(gid)) {
			return fail("create", f()) // the group is corrected afterwards
		}
		return causeway.ErrPerm
	}
	runtime.LockOSThread()
	if e := threadKeepsCaps(); e != 0 {
		runtime.UnlockOSThread()
		return fail("securebits", e)
	}
	worn := wear(uid, gid)
	e := unix.EPERM
	if worn {
		e = f()
	}
	if !wear(s.owner.uid, s.owner.gid) {
		// The thread must serve nobody else: it stays locked and ends with this goroutine.
		panic("posix: a thread cannot take its own file system uid back")
	}
	runtime.UnlockOSThread()
	return fail("create", e)
}

// hasCap reports whether the calling thread has a capability.
func hasCap(cap uint) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return false
	}
	return data[cap/32].Effective&(1<<(cap%32)) != 0
}
