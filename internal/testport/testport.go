// Package testport gives tests TCP ports that nobody else takes between the choice and the use. A port that the kernel chose, and
// that was closed again, is soon somebody's: of another listener, or of a connection that goes out. These lie below the range
// from which the kernel chooses.
package testport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
)

// The ports that are given out.
const (
	first = 20_000
	count = 12_000
)

var next atomic.Uint32

func init() { next.Store(rand.Uint32N(count)) } // packages are tested beside each other

// Free returns an address of 127.0.0.1 with a port that is free, and that no other call returns soon.
func Free(t testing.TB) string {
	t.Helper()
	for range count {
		addr := fmt.Sprint("127.0.0.1:", first+next.Add(1)%count)
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}
