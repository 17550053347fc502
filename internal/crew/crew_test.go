package crew

import (
	"sync"
	"testing"
	"testing/synctest"
)

// TestCrew: all is done at the same time, as many as are allowed wait for more, and none does after the end.
func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		c := New(2, ended)
		var owner, running sync.WaitGroup
		hold := make(chan struct{})
		for range 5 {
			running.Add(1)
			c.Do(&owner, func() { running.Done(); <-hold })
		}
		running.Wait()
		close(hold)
		synctest.Wait()
		if n := len(c.spare); n != 2 {
			t.Errorf("%d goroutines wait", n)
		}
		done := make(chan struct{})
		c.Do(&owner, func() { close(done) })
		<-done
		synctest.Wait()
		if n := len(c.spare); n != 2 {
			t.Errorf("%d goroutines wait after one of them has worked", n)
		}
		close(ended)
		owner.Wait()
	})
}
