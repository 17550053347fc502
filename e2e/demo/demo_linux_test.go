package main

import (
	"net"
	"testing"

	"causeway/e2e/harness"
)

// TestCluster plays the first act: it fails if a client is told of an error, if it waits for a minute, or if a record that was
// acknowledged is not there.
func TestCluster(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Skip("this system has no other loopback addresses: ", err)
	}
	l.Close()
	t.Setenv("TMPDIR", t.TempDir())
	if err := cluster(harness.Build(t, "cmd/causeway")); err != nil {
		t.Fatal(err)
	}
}
