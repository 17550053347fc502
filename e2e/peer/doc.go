// Package peer starts the servers that are compared: causeway itself, Debian's nfs-ganesha with its VFS FSAL, and go-nfs on
// a directory (the program in peer/gonfs). Each runs in a network namespace of its own, in which its usual ports are free
// and which goes away with it, and is read from outside: CPU time, resident memory, descriptors. What is asked of them is
// not decided here.
package peer
