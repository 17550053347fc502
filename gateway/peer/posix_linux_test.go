package peer

import (
	"os"
	"testing"

	"causeway/backend"
	"causeway/backend/posix"
	"causeway/gateway/gatewaytest"
)

// TestConformanceOnPosix: two gateways, each with its own open store on the same directory.
func TestConformanceOnPosix(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making files for several users needs root")
	}
	privileged := posix.DropPrivileges() != nil // a build with cgo cannot
	for name, near := range map[string]bool{"away": false, "near": true} {
		t.Run(name, func(t *testing.T) {
			gatewaytest.Run(t, func(t *testing.T) gatewaytest.Fixture {
				dir := t.TempDir()
				must(t, os.Chmod(dir, 0o777))
				s := newSite(t, options{near: near, store: func() backend.Store {
					store, err := posix.Open(t.Context(), dir, posix.Config{Identity: posix.IdentityHandle})
					must(t, err)
					return store
				}})
				t.Cleanup(func() {
					for _, g := range s.g {
						must(t, g.store.Close())
					}
				})
				return gatewaytest.Fixture{Access: front{s.g[1].router, s}, Transfer: s.g[1].data, Volume: vol, KeepsSetUID: privileged}
			})
		})
	}
}
