//go:build !linux

package boottime

import "time"

// Now returns the time since the process was started.
func Now() time.Duration { return time.Since(started) }

// Thread returns Now: it is not known what a thread has used.
func Thread() time.Duration { return Now() }
