//go:build unix

package relay

import "syscall"

// pread fills p from a descriptor that is not ours to close. It returns how much there was; an end of the file is no error.
func pread(fd int, p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := syscall.Pread(fd, p[n:], off+int64(n))
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return n, err
		case m == 0:
			return n, nil
		default:
			n += m
		}
	}
	return n, nil
}
