package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// hidden stops a terminal from showing what is typed, until restore. terminal is false where in is none.
func hidden(in io.Reader) (terminal bool, restore func(), err error) {
	f, ok := in.(*os.File)
	if !ok {
		return false, func() {}, nil
	}
	fd := int(f.Fd())
	was, err := unix.IoctlGetTermios(fd, getTerminal)
	if err != nil {
		return false, func() {}, nil
	}
	quiet := *was
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, setTerminal, &quiet); err != nil {
		return false, nil, err
	}
	return true, func() { _ = unix.IoctlSetTermios(fd, setTerminal, was) }, nil
}
