//go:build !linux

package cluster

import "time"

var started = time.Now()

// boottime is a clock that stands while the machine sleeps: a cluster on such a system must not sleep.
func boottime() time.Duration { return time.Since(started) }
