package gatewaytest_test

import (
	"os"
	"testing"

	"causeway/backend/posix"
	"causeway/gateway/gatewaytest"
)

func TestEnginesOnPosix(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("making files for several users needs root")
	}
	privileged := posix.DropPrivileges() != nil // a build with cgo cannot
	for name, cfg := range map[string]posix.Config{
		"handle": {Identity: posix.IdentityHandle}, "index": {Identity: posix.IdentityIndex}, "exclusive": {Exclusive: true},
	} {
		t.Run(name, func(t *testing.T) {
			gatewaytest.Run(t, func(t *testing.T) gatewaytest.Fixture {
				dir := t.TempDir()
				if err := os.Chmod(dir, 0o777); err != nil {
					t.Fatal(err)
				}
				s, err := posix.Open(t.Context(), dir, cfg)
				if err != nil {
					t.Fatal(err)
				}
				f := engines(t, s, false)
				f.KeepsSetUID = privileged
				return f
			})
		})
	}
}
