package locks

import (
	"errors"
	"syscall"
)

var waitScenarios = []Scenario{
	{"wait", wait},
	{"wait for readers", waitForReaders},
	{"queue", queue},
	{"interrupt", interrupt},
	{"wait for a dead process", waitForDead},
	{"death of a waiting process", waiterDies},
	{"deadlock", deadlock},
}

func wait(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Lock(Exclusive, 0, 10), "lock")
		call := b.Wait(Exclusive, 5, 10)
		s.waits(call, "lock of what another has")
		s.ok(a.Lock(Unlocked, 0, 5), "unlock of something else")
		s.waits(call, "lock of what another still has")
		s.ok(a.Lock(Unlocked, 5, 5), "unlock")
		s.ok(call.Result(), "lock after waiting")
		s.denied(a.Lock(Shared, 5, 1), "lock of what was granted to the other")
		s.ok(b.Wait(Shared, 5, 10).Result(), "downgrade")
		s.ok(a.Lock(Shared, 5, 1), "shared lock")
	})
}

func waitForReaders(s *Stage) {
	a, b, c := s.actor(0), s.actor(1), s.actor(0)
	s.ok(a.Lock(Shared, 0, 10), "shared lock")
	s.ok(b.Lock(Shared, 0, 10), "shared lock")
	call := c.Wait(Exclusive, 0, 10)
	s.waits(call, "exclusive lock of what two share")
	s.ok(a.Lock(Unlocked, 0, 10), "unlock of one")
	s.waits(call, "exclusive lock of what one still has")
	s.ok(b.Lock(Unlocked, 0, 10), "unlock of the other")
	s.ok(call.Result(), "lock after waiting")
}

// queue lets several wait for the same range: each gets it in some order, and two never at once.
func queue(s *Stage) {
	const waiters = 5
	holder := s.actor(0)
	s.ok(holder.Lock(Exclusive, 0, 1), "lock")
	actors, calls := make([]*Remote, waiters), make([]*Call, waiters)
	for i := range waiters {
		actors[i] = s.actor(i % 2)
		calls[i] = actors[i].Wait(Exclusive, 0, 1)
	}
	s.waits(calls[waiters-1], "lock of what another has")
	s.ok(holder.Lock(Unlocked, 0, 1), "unlock")
	for range waiters {
		i := s.firstDone(calls)
		if i < 0 {
			return
		}
		s.ok(calls[i].Result(), "lock after waiting")
		s.denied(holder.Lock(Exclusive, 0, 1), "lock of what the queue has")
		s.ok(actors[i].Lock(Unlocked, 0, 1), "unlock")
		calls[i] = nil
	}
}

// interrupt: a call that a signal ended holds nothing, and is no longer in the way of others.
func interrupt(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Lock(Exclusive, 0, 10), "lock")
		call := b.Wait(Exclusive, 0, 10)
		s.waits(call, "lock of what another has")
		s.ok(call.Interrupt(), "signal")
		if err := call.Result(); !errors.Is(err, syscall.EINTR) {
			s.fail("an interrupted call: %v", err)
		}
		s.ok(a.Lock(Unlocked, 0, 10), "unlock")
		s.conflict(a, Exclusive, 0, 0, Unlocked, Range{})
		s.ok(a.Lock(Exclusive, 0, 20), "lock again")
		s.ok(a.Lock(Unlocked, 0, 20), "unlock again")
		s.ok(b.Wait(Exclusive, 0, 10).Result(), "lock by the one that was interrupted")
	})
}

func waitForDead(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Lock(Exclusive, 0, 0), "lock")
		call := b.Wait(Shared, 100, 1)
		s.waits(call, "lock of what another has")
		a.Leave()
		s.ok(call.Result(), "lock after the other's end")
	})
}

// waiterDies: the lock goes to the next one.
func waiterDies(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Lock(Exclusive, 0, 10), "lock")
		s.waits(b.Wait(Exclusive, 0, 10), "lock of what another has")
		c := s.actor(1)
		call := c.Wait(Exclusive, 0, 10)
		s.waits(call, "second lock of what another has")
		b.Leave()
		s.ok(a.Lock(Unlocked, 0, 10), "unlock")
		s.ok(call.Result(), "lock after the other waiting one's end")
		c.End()
	})
}

// deadlock: two that wait for each other never end by themselves, so that one of them is refused.
func deadlock(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Lock(Exclusive, 0, 1), "lock")
		s.ok(b.Lock(Exclusive, 1, 1), "lock")
		first := a.Wait(Exclusive, 1, 1)
		s.waits(first, "lock of what another has")
		second := b.Wait(Exclusive, 0, 1)
		if err := second.Result(); !errors.Is(err, syscall.EDEADLK) {
			s.fail("a lock that closes a circle: %v", err)
		}
		s.ok(b.Lock(Unlocked, 1, 1), "unlock")
		s.ok(first.Result(), "lock after the circle was broken")
	})
}
