package smb

import (
	"sync"
	"time"
)

// alarms are moments at which something is done unless it is called off, which it nearly always is: one timer of the runtime goes on for
// all of them, since to set one for each request costs waking the thread that waits for the network.
type alarms struct {
	mu    sync.Mutex
	first *alarm // in no order
	timer *time.Timer
	armed bool
	at    time.Time // the timer's, if it is armed
}

// alarm is one of them.
type alarm struct {
	of         *alarms
	at         time.Time
	do         func() // nil: it was done, or called off
	prev, next *alarm
}

// after has do called in a goroutine of its own after d.
func (s *alarms) after(d time.Duration, do func()) *alarm {
	a := &alarm{of: s, at: time.Now().Add(d), do: do}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.next = s.first; a.next != nil {
		a.next.prev = a
	}
	s.first = a
	if !s.armed || a.at.Before(s.at) {
		s.arm(a.at, d)
	}
	return a
}

// arm sets the timer. The lock is held.
func (s *alarms) arm(at time.Time, d time.Duration) {
	s.armed, s.at = true, at
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.ring)
	} else {
		s.timer.Reset(d)
	}
}

// stop calls an alarm off, if it is not done yet.
func (a *alarm) stop() {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	if a.do != nil {
		a.drop()
	}
}

// drop takes an alarm out of the list. The lock is held.
func (a *alarm) drop() {
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		a.of.first = a.next
	}
	if a.next != nil {
		a.next.prev = a.prev
	}
	a.do, a.prev, a.next = nil, nil, nil
}

// ring does what is due, and waits for the next.
func (s *alarms) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	now := time.Now()
	var soonest time.Time
	for a := s.first; a != nil; {
		next := a.next
		if !a.at.After(now) {
			go a.do()
			a.drop()
		} else if soonest.IsZero() || a.at.Before(soonest) {
			soonest = a.at
		}
		a = next
	}
	if !soonest.IsZero() {
		s.arm(soonest, soonest.Sub(now))
	}
}
