// Package testport gives tests TCP ports that nobody else takes between the choice and the use. A port that the kernel chose, and
// that was closed again, is soon somebody's: of another listener, or of a connection that goes out. These lie below the range
// from which the kernel chooses.
package testport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
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
	return fmt.Sprint("127.0.0.1:", At(t, "127.0.0.1"))
}

// At returns a port that is free at all of these addresses, and that no other call returns soon.
func At(t testing.TB, addrs ...string) uint16 {
	t.Helper()
	for range count {
		if port := uint16(first + next.Add(1)%count); free(port, addrs) {
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// Loopback returns an address of 127.0.0.0/8 where a port is free that programs insist on.
func Loopback(t testing.TB, port uint16) netip.AddrPort {
	t.Helper()
	for range count {
		a := netip.AddrFrom4([4]byte{127, byte(64 + rand.Uint32N(64)), byte(rand.Uint32()), byte(1 + rand.Uint32N(254))})
		if free(port, []string{a.String()}) {
			return netip.AddrPortFrom(a, port)
		}
	}
	t.Fatalf("port %d is free nowhere", port)
	return netip.AddrPort{}
}

func free(port uint16, addrs []string) bool {
	for _, a := range addrs {
		l, err := net.Listen("tcp", net.JoinHostPort(a, fmt.Sprint(port)))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
