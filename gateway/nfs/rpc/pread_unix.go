//go:build unix

package rpc

import "syscall"

// preadFD reads from a descriptor that is not ours to close.
func preadFD(fd int, p []byte, off int64) (int, error) {
	for {
		n, err := syscall.Pread(fd, p, off)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}
