package address

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Guard lets a process that is killed die without a word to its clients. The kernel would tell each of them that its connection has
// ended, and refuse the next one while the address is still there, for which a Linux NFS client punishes itself with three seconds
// of waiting; a client that hears nothing until the next holder wakes it is back within milliseconds.
//
// The guard is a process that shares the table of open files, so that nothing is closed when this one dies. It takes the addresses
// away first, and ends the connections silently then. It is a copy of this process that runs no Go code but the loop below: no
// other process can share the table, for exec ends that. Whoever kills both at once gets what there is without a guard.
type Guard struct {
	mu   sync.Mutex
	page *guardPage
}

// maxGap is how many numbers without a file mean that there are no more: the kernel gives the lowest.
const maxGap = 1 << 16

// maxGuarded bounds the addresses of a Guard.
const maxGuarded = 512

// guardPage is memory that both processes have.
type guardPage struct {
	slots [maxGuarded]guardSlot

	// The guard's own.
	poll   unix.PollFd
	name   [32]byte // of a socket
	size   uint32
	repair int32
	title  [16]byte
}

// guardSlot is an address to be taken away.
type guardSlot struct {
	active  uint32 // set last and cleared first
	family  uint32
	length  uint32
	addr    [16]byte
	message [96]byte // RTM_DELADDR
}

// NewGuard starts the guard. It costs the least when little memory is in use yet. It ends with this process.
func NewGuard() (*Guard, error) {
	memory, err := unix.Mmap(-1, 0, int(unsafe.Sizeof(guardPage{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	page := (*guardPage)(unsafe.Pointer(&memory[0]))
	copy(page.title[:], "causeway-guard")
	page.repair = 1
	pid, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("pidfd_open", err), unix.Munmap(memory))
	}
	routes, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("socket(AF_NETLINK)", err), unix.Close(pid), unix.Munmap(memory))
	}
	files := unix.Rlimit{}
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil || files.Cur > 1<<20 {
		files.Cur = 1 << 20
	}
	page.poll = unix.PollFd{Fd: int32(pid), Events: unix.POLLIN}
	if err := fork(page, uintptr(routes), uintptr(files.Cur)); err != nil {
		return nil, errors.Join(err, unix.Close(routes), unix.Close(pid), unix.Munmap(memory))
	}
	return &Guard{page: page}, nil
}

// fork starts the guard with all signals blocked: the handlers are Go's.
func fork(page *guardPage, routes, files uintptr) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	all, old := unix.Sigset_t{}, unix.Sigset_t{}
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &old); err != nil {
		return err
	}
	errno := cloneGuard(page, routes, files)
	err := unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	if errno != 0 {
		err = errors.Join(fmt.Errorf("clone: %w", errno), err)
	}
	return err
}

// cloneGuard returns in this process only.
//
//go:nosplit
//go:norace
//go:noinline
func cloneGuard(page *guardPage, routes, files uintptr) syscall.Errno {
	id, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, unix.CLONE_FILES, 0, 0, 0, 0, 0)
	if errno != 0 || id != 0 {
		return errno
	}
	guard(page, routes, files)
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// guard waits for the end of the other process, and clears up after it. It has one thread, a copy of a stack that cannot grow, and no
// runtime: it calls nothing but the kernel and allocates nothing.
//
//go:nosplit
//go:norace
//go:noinline
func guard(page *guardPage, routes, files uintptr) {
	syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&page.title)), 0)
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&page.poll)), 1, 0, 0, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 || n != 1 {
			return
		}
		break
	}
	any := false
	for i := range page.slots {
		if s := &page.slots[i]; s.active != 0 {
			any = true
			syscall.RawSyscall6(unix.SYS_SENDTO, routes, uintptr(unsafe.Pointer(&s.message)), uintptr(s.length), 0, 0, 0)
		}
	}
	gap := 0
	for fd := uintptr(0); any && fd < files && gap < maxGap; fd++ {
		gap++
		page.size = uint32(len(page.name))
		_, _, errno := syscall.RawSyscall(unix.SYS_GETSOCKNAME, fd, uintptr(unsafe.Pointer(&page.name)), uintptr(unsafe.Pointer(&page.size)))
		if errno != unix.EBADF {
			gap = 0
		}
		if errno != 0 {
			continue
		}
		for i := range page.slots {
			if s := &page.slots[i]; s.active != 0 && isAt(&page.name, s) {
				syscall.RawSyscall6(unix.SYS_SETSOCKOPT, fd, unix.SOL_TCP, unix.TCP_REPAIR, uintptr(unsafe.Pointer(&page.repair)), unsafe.Sizeof(page.repair), 0)
			}
		}
	}
}

// isAt reports whether a socket's name has the address of the slot.
//
//go:nosplit
//go:norace
func isAt(name *[32]byte, s *guardSlot) bool {
	at, size := 4, 4
	if s.family == unix.AF_INET6 {
		at, size = 8, 16
	}
	if uint32(name[0])|uint32(name[1])<<8 != s.family { // both architectures are little-endian
		return false
	}
	for i := range 16 {
		if i < size && name[(at+i)&31] != s.addr[i] {
			return false
		}
	}
	return true
}

// add has an address of an interface guarded. A nil Guard guards nothing.
func (g *Guard) add(index int, addr netip.Addr) error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	slot := g.find(addr)
	for i := range g.page.slots {
		if s := &g.page.slots[i]; slot == nil && s.active == 0 {
			slot = s
		}
	}
	if slot == nil {
		return fmt.Errorf("more than %d addresses", maxGuarded)
	}
	atomic.StoreUint32(&slot.active, 0)
	body := addressMessage(index, addr)
	message := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	binary.NativeEndian.PutUint32(message[0:], uint32(unix.SizeofNlMsghdr+len(body)))
	binary.NativeEndian.PutUint16(message[4:], unix.RTM_DELADDR)
	binary.NativeEndian.PutUint16(message[6:], unix.NLM_F_REQUEST)
	slot.length = uint32(copy(slot.message[:], append(message, body...)))
	slot.family = uint32(family(addr))
	slot.addr = [16]byte{}
	copy(slot.addr[:], addr.AsSlice())
	atomic.StoreUint32(&slot.active, 1)
	return nil
}

// drop ends that.
func (g *Guard) drop(addr netip.Addr) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.find(addr); s != nil {
		atomic.StoreUint32(&s.active, 0)
	}
}

func (g *Guard) find(addr netip.Addr) *guardSlot {
	for i := range g.page.slots {
		s := &g.page.slots[i]
		if s.active != 0 && s.family == uint32(family(addr)) && [16]byte(s.addr) == padded(addr) {
			return s
		}
	}
	return nil
}

func padded(addr netip.Addr) (b [16]byte) {
	copy(b[:], addr.AsSlice())
	return b
}
