package undertaker

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptors of the second process beside the standard ones.
const (
	pidfdNumber = 3
	pipeNumber  = 4
)

// Undertaker is the second process as the gateway sees it. It is safe for concurrent use.
type Undertaker struct {
	cfg Config

	mu      sync.Mutex
	last    letter
	told    bool // last is something
	pipe    *os.File
	leaving bool
	keeper  sync.WaitGroup
	stop    chan struct{}
}

// Start starts the second process, and again whenever it ends before Dismiss.
func Start(cfg Config) (*Undertaker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	u := &Undertaker{cfg: cfg, stop: make(chan struct{})}
	process, err := u.spawn()
	if err != nil {
		return nil, err
	}
	u.keeper.Go(func() { u.keep(process) })
	return u, nil
}

// spawn starts the process and tells it the latest will.
func (u *Undertaker) spawn() (*exec.Cmd, error) {
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return nil, fmt.Errorf("this kernel cannot tell of the end of a process: %w", err)
	}
	self := os.NewFile(uintptr(pidfd), "pidfd")
	defer self.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	process := exec.Command(u.cfg.Program, u.cfg.Arguments...)
	process.Args[0] = processName // whoever kills all of the gateway's name should not kill this one
	process.Env = append(os.Environ(), "NOTIFY_SOCKET=", "GOMAXPROCS=2", "GOGC=25")
	process.Dir = "/"
	process.Stderr = os.Stderr
	process.ExtraFiles = []*os.File{self, r}
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := process.Start(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pipe = w
	u.writeLocked()
	return process, nil
}

// restartAfter is the time between the end of the second process and its next start.
const restartAfter = time.Second

func (u *Undertaker) keep(process *exec.Cmd) {
	for {
		err := process.Wait()
		u.mu.Lock()
		u.pipe.Close()
		u.pipe = nil
		leaving := u.leaving
		u.mu.Unlock()
		if leaving {
			return
		}
		u.cfg.Log.Warn("the undertaker ended; it is started again", "err", err)
		for started := false; !started; {
			select {
			case <-u.stop:
				return
			case <-time.After(restartAfter):
			}
			if process, err = u.spawn(); err != nil {
				u.cfg.Log.Warn("the undertaker cannot be started", "err", err)
			}
			started = err == nil
		}
	}
}

// Tell changes what shall be done if this process dies.
func (u *Undertaker) Tell(edit func(*Will)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	edit(&u.last.Will)
	u.told = true
	u.writeLocked()
}

// writeLocked sends the latest letter. It cannot wait for long: a pipe holds many.
func (u *Undertaker) writeLocked() {
	if u.pipe == nil || !u.told {
		return
	}
	_ = u.pipe.SetWriteDeadline(time.Now().Add(time.Second))
	if err := send(u.pipe, u.last); err != nil {
		u.cfg.Log.Warn("the undertaker does not listen", "err", err)
	}
}

// Dismiss ends the second process. In order, it has nothing to do; otherwise it does what it was told when this process has ended.
func (u *Undertaker) Dismiss(inOrder bool) {
	u.mu.Lock()
	u.leaving = true
	if inOrder {
		u.last, u.told = letter{Farewell: true}, true
		u.writeLocked()
	}
	u.mu.Unlock()
	close(u.stop)
	if inOrder {
		u.keeper.Wait()
	}
}
