//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: it needs Linux: network namespaces, /proc and epoll")
	os.Exit(1)
}
