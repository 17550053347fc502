package main

import "golang.org/x/sys/unix"

// Requests of tcgetattr(3) and tcsetattr(3).
const (
	getTerminal = unix.TIOCGETA
	setTerminal = unix.TIOCSETA
)
