// Package e2e tests the built causeway binary from outside, with real clients: the Linux kernel's in User-mode Linux
// guests, libnfs, and Go clients. It holds tests only; the stage is package e2e/harness, the programs that work in a mount
// are e2e/posix.
//
// The tests need root and the packages of e2e/harness/packages.txt, and are skipped without them. CAUSEWAY_E2E=required
// fails instead of skipping, CAUSEWAY_E2E=long runs the long versions, CAUSEWAY_E2E_SERVER=ganesha runs what it can against
// nfs-ganesha.
package e2e
