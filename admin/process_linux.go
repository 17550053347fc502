package admin

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// usage fills in what the kernel knows of this process: resident bytes (proc(5), statm), CPU seconds and descriptors.
func (p *Process) usage() {
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := strings.Fields(string(text)); len(f) > 1 {
			pages, _ := strconv.ParseUint(f[1], 10, 64)
			p.Memory = pages * uint64(os.Getpagesize())
		}
	}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		p.Descriptors = len(fds) - 1 // without the one that lists them
	}
	limit := unix.Rlimit{}
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		p.MaxDescriptors = limit.Cur
	}
	used := unix.Rusage{}
	if unix.Getrusage(unix.RUSAGE_SELF, &used) == nil {
		p.CPU = float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
	}
}
