package gatewaytest_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/posix"
	"causeway/gateway/gatewaytest"
)

// posixSite is gateways that each have the directory open by themselves, as those of different machines have.
func posixSite(t testing.TB, n int, exclusive bool, lease time.Duration) *site {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return split(t, n, exclusive, lease, func(int) backend.Store {
		s, err := posix.Open(t.Context(), dir, posix.Config{Identity: posix.IdentityHandle, Exclusive: exclusive})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// TestSplitOnPosix runs the conformance suite through gateways at random, whose stores remember what they saw.
func TestSplitOnPosix(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making files for several users needs root")
	}
	privileged := posix.DropPrivileges() != nil
	for _, exclusive := range []bool{false, true} {
		t.Run(fmt.Sprintf("exclusive %v", exclusive), func(t *testing.T) {
			gatewaytest.Run(t, func(t *testing.T) gatewaytest.Fixture {
				x := posixSite(t, 3, exclusive, 3*time.Second)
				return gatewaytest.Fixture{
					Access: &anyAccess{owners: x.gateways[0].access, site: x}, Transfer: anyTransfer{x}, Volume: x.volume.ID, Async: true,
					KeepsSetUID: privileged,
				}
			})
		})
	}
}

// TestCloseToOpenOnPosix is TestCloseToOpen with stores that remember attributes.
func TestCloseToOpenOnPosix(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("opening by handle needs root")
	}
	for _, exclusive := range []bool{false, true} {
		t.Run(fmt.Sprintf("exclusive %v", exclusive), func(t *testing.T) {
			closeToOpen(t, posixSite(t, 4, exclusive, time.Second))
		})
	}
}

// TestRandomWorkloadOnPosix is TestRandomWorkload with stores that remember names and attributes.
func TestRandomWorkloadOnPosix(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("opening by handle needs root")
	}
	for _, exclusive := range []bool{false, true} {
		t.Run(fmt.Sprintf("exclusive %v", exclusive), func(t *testing.T) {
			randomWorkload(t, posixSite(t, 4, exclusive, 150*time.Millisecond))
		})
	}
}

// BenchmarkHeld measures reads and writes under a grant of another gateway's volume against those of one's own. Neither may
// allocate.
func BenchmarkHeld(b *testing.B) {
	for name, i := range map[string]int{"owner": 0, "other": 1} {
		for _, exclusive := range []bool{false, true} {
			x := posixSite(b, 2, exclusive, 3*time.Second)
			m, ctx, c := x.gateways[i], b.Context(), gatewaytest.Root()
			h := m.create("f")
			buf, root := make([]byte, 4096), x.root()
			if _, err := m.moves.Write(ctx, c, h, 0, buf, causeway.Unstable); err != nil {
				b.Fatal(err)
			}
			c.NoWait = true
			for op, call := range map[string]func() error{
				"Read":    func() error { _, err := m.moves.Read(ctx, c, h, 0, buf); return err },
				"Write":   func() error { _, err := m.moves.Write(ctx, c, h, 0, buf, causeway.Unstable); return err },
				"GetAttr": func() error { _, err := m.access.GetAttr(ctx, c, h); return err },
				"Lookup":  func() error { _, _, err := m.access.Lookup(ctx, c, root, "f"); return err },
			} {
				b.Run(fmt.Sprintf("%s/exclusive=%v/%s", op, exclusive, name), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if err := call(); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
