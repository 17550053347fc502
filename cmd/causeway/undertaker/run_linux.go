package undertaker

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"causeway/cluster"
	"causeway/cluster/address"
)

// Times of what is done after the end.
const (
	lastLetter = 20 * time.Millisecond // to read what the dead process had written, if another one keeps the pipe open
	buryWithin = 5 * time.Second       // longer than a lease lasts
)

// Run is the second process. It returns when the first one has said farewell, or has died and what it left is done.
func Run(log *slog.Logger) error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE) // a service manager sends them to all; this one is needed after the others
	if _, err := unix.FcntlInt(pidfdNumber, unix.F_GETFD, 0); err != nil {
		return errors.New("this command is for a gateway to start")
	}
	_ = os.WriteFile("/proc/self/comm", []byte(processName), 0) // for who kills by name
	letters, ended := make(chan letter), make(chan error, 1)
	go func() {
		defer close(letters)
		receive(os.NewFile(pipeNumber, "pipe"), func(l letter) { letters <- l })
	}()
	go func() { ended <- awaitEnd() }()
	debug.FreeOSMemory()
	last := letter{}
	for {
		select {
		case l, open := <-letters:
			switch {
			case !open:
				letters = nil // the end is near; until it is certain there is nothing to do
			case l.Farewell:
				return nil
			default:
				last = l
			}
		case err := <-ended:
			if err != nil {
				return err
			}
			return execute(latest(letters, last), time.Now(), log)
		}
	}
}

// latest reads what a dead process had still written.
func latest(letters <-chan letter, last letter) letter {
	if letters == nil {
		return last
	}
	bound := time.After(lastLetter)
	for {
		select {
		case l, open := <-letters:
			if !open {
				return last
			}
			last = l
		case <-bound:
			return last
		}
	}
}

// awaitEnd returns when the kernel says that the process has ended: all its threads, and so all that they did.
func awaitEnd() error {
	fds := []unix.PollFd{{Fd: pidfdNumber, Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, -1)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 1 && fds[0].Revents&unix.POLLIN != 0:
			return nil
		case n == 1:
			return errors.New("the end of the gateway's process cannot be watched")
		}
	}
}

// execute does what a dead process left to be done: first its addresses go, since this machine refuses whoever calls there.
func execute(l letter, died time.Time, log *slog.Logger) error {
	if l.Farewell || l.Lease == 0 {
		return nil // it ended in order, or was no member yet
	}
	w := l.Will
	log = log.With("node", w.Node)
	removed, err := address.Remove(w.Addresses, w.Interface, w.Lifetime)
	if err != nil {
		log.Warn("the service addresses of the dead process stay until they expire", "err", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), buryWithin)
	defer cancel()
	if err := cluster.Bury(ctx, w.Remains, log); err != nil {
		log.Warn("the process has died; others notice when its lease ends", "err", err)
		return err
	}
	log.Warn("the process has died; its membership is ended", "addresses", removed, "after", time.Since(died).Round(time.Microsecond))
	return nil
}
