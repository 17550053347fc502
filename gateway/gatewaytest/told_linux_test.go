package gatewaytest_test

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// TestToldOfWritesOnPosix is TestToldOfWrites where the storage tells names, also of files below directories that are watched.
func TestToldOfWritesOnPosix(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("opening by handle needs root")
	}
	for _, exclusive := range []bool{false, true} {
		for _, deep := range []bool{false, true} {
			t.Run(fmt.Sprintf("exclusive %v, deep %v", exclusive, deep), func(t *testing.T) {
				toldOfWrites(t, posixSite(t, 3, exclusive, 300*time.Millisecond), deep)
			})
		}
	}
}
