package posix

import (
	"errors"

	"golang.org/x/sys/unix"
)

// What statfs(2) calls more file systems of which something is to be known.
const (
	magicNFS   = 0x6969
	magicCIFS  = 0xff534d42
	magicSMB2  = 0xfe534d42
	magicAFS   = 0x5346414f
	magicPlan9 = 0x01021997
)

// Coherent reports whether names and attributes that are read here are those that any other machine with the same file system sees at
// this moment. Where it is false a kernel keeps them for a while, or objects are found through an index that only the volume's owner keeps
// up to date: then names are to be read at the owner. A file system of this machine alone is coherent.
func (s *Store) Coherent() bool {
	if s.marker.Identity != IdentityHandle {
		return false
	}
	switch s.mount.magic {
	case magicFUSE, magicNFS, magicCIFS, magicSMB2, magicAFS, magicPlan9:
		return false
	}
	return true
}

// Shareable says why several gateways must not have the volume open at once, nil if they may.
func (s *Store) Shareable() error {
	switch {
	case s.cfg.Exclusive:
		return errors.New("it is served from memory, as the exclusive volume of one gateway")
	case s.marker.Identity == IdentityHandle:
		return nil
	case s.cfg.Holder == "":
		return errors.New("it has an index for one gateway: Holder is not set")
	}
	return s.SafeInCluster()
}

// SafeInCluster says why the volume cannot be one of a cluster, nil if it can: its objects are named by inode numbers alone, on a file
// system that may give the number of an object to another one later. A single gateway sees what it removes itself; one of several does
// not see what others removed. GlusterFS makes its numbers of identifiers that are never used again.
func (s *Store) SafeInCluster() error {
	if s.marker.Identity == IdentityIndex && s.marker.Generation == generationNone && !s.mount.unique {
		return errors.New("the file system tells no time of birth, and may use inode numbers again: one gateway could take a new file for one that another gateway removed")
	}
	return nil
}

// neverReused reports whether the inode numbers of a tree are never used again, which is known of GlusterFS only.
func neverReused(root int) bool {
	var gfid [16]byte
	n, e := fgetxattr(root, newXattrName("glusterfs.gfid"), gfid[:])
	return e == 0 && n == len(gfid) || e == unix.ERANGE
}
