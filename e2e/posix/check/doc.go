// Package check is a POSIX conformance suite for a mounted file system: errors, effects, times and permissions of the
// calls on names and files, run as several users in one process. It knows nothing of servers; what a protocol cannot do is
// listed, with the reason, in known.go and not in the checks.
//
// A check states what Linux does on a local file system: all of them hold on ext4.
package check
