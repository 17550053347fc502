package locks

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Stage is what a scenario plays on: a fresh file, and actors on two machines, which may be the same.
type Stage struct {
	path   string
	dial   func(machine int) (*Remote, error)
	actors []*Remote

	failures []string
}

// Scenario is a named sequence of calls and the answers that they must have.
type Scenario struct {
	Name string
	Run  func(s *Stage)
}

// Scenarios returns all of them.
func Scenarios() []Scenario {
	return append(append([]Scenario{}, rangeScenarios...), waitScenarios...)
}

// stop ends a scenario that cannot go on.
type stop struct{}

// Play runs a scenario on a file of its own in dir, which has the same name on both machines, and returns what went wrong.
func Play(scenario Scenario, dir string, number int, dial func(machine int) (*Remote, error)) (failures []string) {
	s := &Stage{path: filepath.Join(dir, fmt.Sprint("locked-", number)), dial: dial}
	defer func() {
		for _, actor := range s.actors {
			actor.End()
		}
		if reason := recover(); reason != nil {
			if _, ok := reason.(stop); !ok {
				panic(reason)
			}
		}
		failures = s.failures
	}()
	scenario.Run(s)
	return s.failures
}

// actor starts a process on a machine that has the file open.
func (s *Stage) actor(machine int) *Remote {
	actor, err := s.dial(machine)
	if err != nil {
		s.fail("start an actor: %v", err)
		panic(stop{})
	}
	actor.Name = fmt.Sprintf("%c%d", 'a'+machine, len(s.actors)+1)
	s.actors = append(s.actors, actor)
	if err := actor.Open(s.path); err != nil {
		s.fail("open: %v", err)
		panic(stop{})
	}
	return actor
}

// pairs runs f with two actors on one machine, and with two on two.
func (s *Stage) pairs(f func(a, b *Remote)) {
	for machine := range 2 {
		a, b := s.actor(0), s.actor(machine)
		f(a, b)
		a.End()
		b.End()
		s.free()
	}
}

// free waits until no lock is left of those who have ended.
func (s *Stage) free() {
	c := s.actor(1)
	defer c.End()
	deadline := time.Now().Add(patience)
	for {
		kind, where, err := c.Test(Exclusive, 0, 0)
		if err == nil && kind == Unlocked {
			return
		}
		if time.Now().After(deadline) {
			s.fail("a lock of %v at %v is left, %v", kind, where, err)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *Stage) fail(format string, args ...any) {
	_, file, line, _ := runtime.Caller(2)
	s.failures = append(s.failures, fmt.Sprintf("%s [%s:%d]", fmt.Sprintf(format, args...), filepath.Base(file), line))
}

// ok checks that a call succeeded.
func (s *Stage) ok(err error, what string) {
	if err != nil {
		s.fail("%s: %v", what, err)
	}
}

// denied checks that a lock was refused because of another.
func (s *Stage) denied(err error, what string) {
	if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EACCES) {
		s.fail("%s: got %v, want EAGAIN", what, err)
	}
}

// conflict checks what is in the way of a lock.
func (s *Stage) conflict(r *Remote, kind Kind, start, length int64, wantKind Kind, want Range) {
	gotKind, got, err := r.Test(kind, start, length)
	if err != nil || gotKind != wantKind || wantKind != Unlocked && got != want {
		s.fail("test of %d at %d+%d: %d at %v, %v, want %d at %v", kind, start, length, gotKind, got, err, wantKind, want)
	}
}

// waits checks that a call has not ended. It gives the call time to reach the server first.
func (s *Stage) waits(c *Call, what string) {
	time.Sleep(300 * time.Millisecond)
	if !c.Pending() {
		s.fail("%s: ended with %v, should wait", what, c.Result())
	}
}

// firstDone waits until one of the calls has ended and returns its place, or -1 after a failure. Calls that are nil have
// been dealt with.
func (s *Stage) firstDone(calls []*Call) int {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for i, call := range calls {
			if call != nil && !call.Pending() {
				return i
			}
		}
	}
	s.fail("none of the waiting calls ends")
	return -1
}
