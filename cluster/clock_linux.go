package cluster

import (
	"time"

	"golang.org/x/sys/unix"
)

// boottime is a clock that goes on while the machine sleeps, so that a lease ends for a gateway that slept.
func boottime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err) // cannot happen since Linux 2.6.39
	}
	return time.Duration(ts.Nano())
}
