// Command demo shows causeway at work: it runs three gateways as one file server on this machine, lets NFS clients write through
// them, kills one, and verifies every record that was acknowledged. Then a single gateway serves a directory, and is killed too. Its
// argument is the binary.
//
// As root, and with the packages of the end-to-end tests, a last act boots a real Linux kernel that mounts a volume of a cluster.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo CAUSEWAY")
		os.Exit(2)
	}
	binary, err := filepath.Abs(os.Args[1])
	if err == nil {
		err = play(binary)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	fmt.Println("\nThat is all. Now serve a directory of your own:\n  bin/causeway serve DIR")
}

// play runs the acts on a directory that is removed at the end.
func play(binary string) error {
	dir, err := os.MkdirTemp("", "causeway-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Setenv("TMPDIR", dir); err != nil { // for what others make
		return err
	}
	if err := cluster(binary); err != nil {
		return err
	}
	if err := user(binary, dir); err != nil {
		return err
	}
	return kernel()
}

// say announces what happens next.
func say(format string, args ...any) { fmt.Printf("\n▸ "+format+"\n", args...) }

// show prints a detail of it.
func show(format string, args ...any) { fmt.Printf("    "+format+"\n", args...) }

// rate is the speed at which n bytes were moved since a moment.
func rate(n int, since time.Time) string {
	return fmt.Sprintf("%.0f MiB/s", float64(n)/(1<<20)/time.Since(since).Seconds())
}
