package main

import "syscall"

// dieWithDemo keeps ^C from a gateway, which the demo stops itself, and kills it if the demo is killed.
func dieWithDemo() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
