//go:build unix

package main

import (
	"syscall"

	"causeway/backend/posix"
)

// descriptors is how many descriptors each of so many volumes may keep open: together half of what the process may have.
func descriptors(volumes int) int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return posix.MinDescriptors
	}
	return max(posix.MinDescriptors, int(min(limit.Max/2/uint64(max(volumes, 1)), 1<<16)))
}

// connections is how many connections the gateway may have: so many that enough descriptors are left for the volumes, whose
// caches give up what they do not use.
func connections() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 512
	}
	return int(min(max(limit.Max/5*3, 64), 20_000))
}
