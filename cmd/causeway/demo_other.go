//go:build !linux

package main

import "syscall"

// dieWithDemo keeps ^C from a gateway: the demo stops it itself.
func dieWithDemo() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
