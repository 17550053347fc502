package check

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// user is whom a check acts as.
type user struct {
	uid, gid int
	groups   []int
}

// Users who own nothing on the machine; carol shares a supplementary group with alice's gid.
var (
	alice = user{uid: 60001, gid: 60001}
	bob   = user{uid: 60002, gid: 60002}
	carol = user{uid: 60003, gid: 60003, groups: []int{60001}}
)

func (u user) String() string { return fmt.Sprintf("%d:%d%v", u.uid, u.gid, u.groups) }

// as runs f with the user's credentials on a thread of its own, which ends with it: the raw calls change one thread only.
func (c *C) as(u user, f func()) {
	done := make(chan any)
	go func() {
		runtime.LockOSThread()
		var reason any
		defer func() { done <- reason }()
		defer func() { reason = recover() }()
		c.must(become(u), "become %v", u)
		f()
	}()
	if reason := <-done; reason != nil {
		panic(reason)
	}
}

func become(u user) error {
	groups := make([]uint32, len(u.groups)+1)
	for i, gid := range u.groups {
		groups[i] = uint32(gid)
	}
	if err := setgroups(groups[:len(u.groups)]); err != nil {
		return err
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(u.gid), uintptr(u.gid), uintptr(u.gid)); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(u.uid), uintptr(u.uid), uintptr(u.uid)); errno != 0 {
		return errno
	}
	return nil
}

// withUmask runs f with a umask of its thread's own.
func (c *C) withUmask(mask int, f func()) {
	done := make(chan any)
	go func() {
		runtime.LockOSThread()
		var reason any
		defer func() { done <- reason }()
		defer func() { reason = recover() }()
		c.must(unix.Unshare(unix.CLONE_FS), "unshare the umask")
		unix.Umask(mask)
		f()
	}()
	if reason := <-done; reason != nil {
		panic(reason)
	}
}
