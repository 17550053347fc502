// Package load keeps a fixed number of NFS calls outstanding on a fixed number of connections and counts what comes back.
// It is built to cost less than any server that it drives: one thread serves several sockets, everything that a read
// brought is answered with one write, calls are copied from templates, replies are judged where they lie.
// What is called is decided by Drivers; starting servers and reading their clocks belongs to package peer.
package load
