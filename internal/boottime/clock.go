// Package boottime tells the time that has passed for the machine: it goes on while the process is stopped or the machine
// suspended, and nobody sets it.
package boottime

import (
	"sync/atomic"
	"time"
)

var (
	started   = time.Now()
	offset    atomic.Int64 // of Now from the process's own clock, which stands while the machine is suspended
	refreshed atomic.Int64 // by the process's own clock
)

// refresh is how often Recent asks for the offset.
const refresh = 10 * time.Millisecond

// Recent is Now for a fifth of the price. It goes on while the process is stopped, but learns that the machine was suspended
// only after up to 10 ms of running.
func Recent() time.Duration {
	now := time.Since(started)
	if last := refreshed.Load(); last == 0 || now-time.Duration(last) > refresh {
		offset.Store(int64(Now() - now))
		refreshed.Store(int64(now))
	}
	return now + time.Duration(offset.Load())
}
