package locks

import (
	"encoding/gob"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// actor is the process at the end of a connection.
type actor struct {
	mu      sync.Mutex
	encoder *gob.Encoder
	fd      int
	threads map[int]int // of calls that are under way, by number
}

// Act does what the connection says until it ends.
func Act(conn io.ReadWriter) error {
	signal.Notify(make(chan os.Signal, 8), unix.SIGUSR1)
	if err := interruptCalls(unix.SIGUSR1); err != nil {
		return err
	}
	a := &actor{encoder: gob.NewEncoder(conn), fd: -1, threads: make(map[int]int)}
	decoder := gob.NewDecoder(conn)
	for {
		var request Request
		if err := decoder.Decode(&request); err != nil {
			return err
		}
		go a.serve(request)
	}
}

// interruptCalls lets a signal interrupt system calls, which the runtime's handlers restart.
func interruptCalls(sig unix.Signal) error {
	const restart = 0x10000000 // SA_RESTART
	var action struct{ handler, flags, restorer, mask uintptr }
	get := func(trap, set, old uintptr) error {
		if _, _, errno := unix.RawSyscall6(trap, uintptr(sig), set, old, unsafe.Sizeof(action.mask), 0, 0); errno != 0 {
			return errno
		}
		return nil
	}
	if err := get(unix.SYS_RT_SIGACTION, 0, uintptr(unsafe.Pointer(&action))); err != nil {
		return err
	}
	action.flags &^= restart
	return get(unix.SYS_RT_SIGACTION, uintptr(unsafe.Pointer(&action)), 0)
}

func (a *actor) serve(request Request) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	a.mu.Lock()
	a.threads[request.Number] = unix.Gettid()
	a.mu.Unlock()
	response := Response{Number: request.Number}
	err := a.do(request, &response)
	var errno unix.Errno
	if errors.As(err, &errno) {
		response.Errno = int(errno)
	} else if err != nil {
		response.Errno = int(unix.EPROTO)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.threads, request.Number)
	a.encoder.Encode(response)
}

func (a *actor) do(request Request, response *Response) (err error) {
	switch request.Verb {
	case Open:
		a.fd, err = unix.Open(request.Path, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o644)
	case Close:
		err = unix.Close(a.fd)
	case SetLock, WaitLock:
		err = a.lock(request)
	case TestLock:
		err = a.test(request, response)
	case Flock:
		err = unix.Flock(a.fd, flockModes[request.Kind])
	case Read:
		response.Data = make([]byte, request.Range.Length)
		var n int
		n, err = unix.Pread(a.fd, response.Data, request.Range.Start)
		response.Data = response.Data[:max(n, 0)]
	case Write:
		_, err = unix.Pwrite(a.fd, request.Data, request.Range.Start)
	case Interrupt:
		err = a.interrupt(request.Target)
	case Leave:
		os.Exit(0)
	}
	return err
}

var flockModes = map[Kind]int{Unlocked: unix.LOCK_UN, Shared: unix.LOCK_SH | unix.LOCK_NB, Exclusive: unix.LOCK_EX | unix.LOCK_NB}

var kindTypes = map[Kind]int16{Unlocked: unix.F_UNLCK, Shared: unix.F_RDLCK, Exclusive: unix.F_WRLCK}

func (r Request) flock() *unix.Flock_t {
	return &unix.Flock_t{Type: kindTypes[r.Kind], Whence: io.SeekStart, Start: r.Range.Start, Len: r.Range.Length}
}

func (a *actor) lock(request Request) error {
	command := unix.F_SETLK
	if request.Verb == WaitLock {
		command = unix.F_SETLKW
	}
	return unix.FcntlFlock(uintptr(a.fd), command, request.flock())
}

func (a *actor) test(request Request, response *Response) error {
	lock := request.flock()
	if err := unix.FcntlFlock(uintptr(a.fd), unix.F_GETLK, lock); err != nil {
		return err
	}
	response.Range = Range{lock.Start, lock.Len}
	switch lock.Type {
	case unix.F_RDLCK:
		response.Kind = Shared
	case unix.F_WRLCK:
		response.Kind = Exclusive
	}
	return nil
}

func (a *actor) interrupt(number int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	thread, ok := a.threads[number]
	if !ok {
		return unix.ESRCH
	}
	return unix.Tgkill(unix.Getpid(), thread, unix.SIGUSR1)
}
