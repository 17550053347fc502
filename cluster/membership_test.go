package cluster

import (
	"testing"
	"time"

	"causeway/internal/boottime"
)

// TestLease holds the arithmetic of self-fencing: an end that was given up is never extended, and none is moved back.
func TestLease(t *testing.T) {
	now := time.Duration(100)
	l := lease{clock: func() time.Duration { return now }}
	if l.extend(500); l.valid() {
		t.Error("a lease that does not exist was extended")
	}
	l.deadline.Store(150)
	if l.extend(120); !l.valid() || l.deadline.Load() != 150 {
		t.Error("the end was moved back")
	}
	if now = 150; l.valid() {
		t.Error("valid at its end")
	}
	if l.extend(200); !l.valid() {
		t.Error("not extended")
	}
	l.deadline.Store(0)
	if l.extend(900); l.valid() {
		t.Error("a lease that was given up was extended")
	}
}

// BenchmarkValid is what each I/O pays.
func BenchmarkValid(b *testing.B) {
	l := lease{clock: boottime.Now}
	l.deadline.Store(1 << 62)
	for b.Loop() {
		l.valid()
	}
}
