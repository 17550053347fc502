// Package posix serves a directory of the host as a backend.Store.
//
// It works with descriptors and never with paths: an object is a descriptor in a bounded cache, found again after a restart
// by the kernel's file handle ([IdentityHandle]) or by a persistent index of inode numbers ([IdentityIndex]). No symbolic
// link is followed, no mount inside the directory is crossed, and no name leads out of it. What other programs change in the
// directory is seen as on any local file system: every answer asks the kernel, by one system call per object, for which
// nothing needs to be open (known_linux.go). Only a volume that was promised to be exclusive is served from memory
// (memory_linux.go).
//
// What belongs here: everything that knows of errno, descriptors, inode numbers and the process's privileges. What does not:
// rights of callers (they are decided before a call comes here), protocols, locks and grants.
//
// The store is for Linux; elsewhere [Open] fails with ErrNotSupp.
package posix
