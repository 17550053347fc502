//go:build unix

package main

import "syscall"

// sameDevice reports whether two paths lie on the same file system.
func sameDevice(a, b string) bool {
	var x, y syscall.Stat_t
	return syscall.Stat(a, &x) == nil && syscall.Stat(b, &y) == nil && x.Dev == y.Dev
}
