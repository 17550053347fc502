package rpc

import "golang.org/x/sys/unix"

// hasLeft reports whether the other side of a socket will send nothing more. It does not wait.
func hasLeft(fd int) bool {
	for {
		state := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(state[:], 0)
		if err != unix.EINTR {
			return err == nil && n > 0
		}
	}
}
