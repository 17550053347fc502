package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// stage lets the tests' harness be used outside of a test: it is the part of a testing.TB that the harness calls.
type stage struct {
	testing.TB // nil: what is missing here panics

	mu       sync.Mutex
	err      error
	cleanups []func()
	cancel   context.CancelFunc
	ctx      context.Context
}

// skipped says why something was not done.
type skipped string

func (s skipped) Error() string { return string(s) }

// run calls act on a goroutine of its own, which Fatal and Skip end.
func (s *stage) run(act func()) error {
	s.ctx, s.cancel = context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		act()
	}()
	<-done
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// clear undoes what the harness did, latest first.
func (s *stage) clear() {
	s.cancel()
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}

func (s *stage) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errors.Join(s.err, err)
}

// The methods of testing.TB.

func (s *stage) Helper()                   {}
func (s *stage) Name() string              { return "demo" }
func (s *stage) Context() context.Context  { return s.ctx }
func (s *stage) Cleanup(f func())          { s.cleanups = append(s.cleanups, f) }
func (s *stage) Log(...any)                {}
func (s *stage) Logf(string, ...any)       {}
func (s *stage) Error(args ...any)         { s.fail(errors.New(fmt.Sprint(args...))) }
func (s *stage) Errorf(f string, a ...any) { s.fail(fmt.Errorf(f, a...)) }
func (s *stage) Fatal(args ...any)         { s.Error(args...); runtime.Goexit() }
func (s *stage) Fatalf(f string, a ...any) { s.Errorf(f, a...); runtime.Goexit() }
func (s *stage) Skipf(f string, a ...any)  { s.fail(skipped(fmt.Sprintf(f, a...))); runtime.Goexit() }

func (s *stage) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil
}

func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "causeway-demo-")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
