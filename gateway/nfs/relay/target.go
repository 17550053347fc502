package relay

import (
	"net/netip"
	"slices"
	"strings"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/fh"
	"causeway/gateway/nfs/rpc"
)

// The programs that are relayed, and the procedures of theirs that matter here (RFC 1813; XNFS version 3W, chapters 10 and 11).
const (
	nfs   = 100003
	mount = 100005
	nlm   = 100021
	nsm   = 100024

	mountMnt, mountUmnt, mountUmntAll = 1, 3, 4

	nlmTest, nlmLock, nlmCancel, nlmUnlock             = 1, 2, 3, 4
	nlmTestMsg, nlmLockMsg, nlmCancelMsg, nlmUnlockMsg = 6, 7, 8, 9
	nlmGrantedRes, nlmShare, nlmUnshare, nlmNMLock     = 15, 20, 21, 22
	nlmFreeAll                                         = 23

	nsmNotify = 6

	maxHandle = 64   // NFS3_FHSIZE; more is not ours, and so for the program to refuse
	maxNetobj = 1024 // cookies
	maxPath   = 1024 // MNTPATHLEN
)

// reach says who answers a call.
type reach uint8

const (
	here     reach = iota // this gateway, whatever it owns
	owner                 // the owner of a volume
	everyone              // this gateway, and all others are told
)

// target finds out who answers a call. Nothing is verified: what does not look like one of ours is answered here, and so refused.
func target(c *rpc.Call, cat *gateway.Catalog) (causeway.VolumeID, reach) {
	switch c.Prog {
	case nfs:
		if c.Proc == 0 {
			return 0, here
		}
		args := c.Args
		return ofHandle(args.Opaque(maxHandle))
	case nlm:
		return nlmTarget(c)
	case mount:
		return mountTarget(c, cat)
	case nsm:
		if c.Proc == nsmNotify {
			return 0, everyone
		}
	}
	return 0, here
}

func ofHandle(wire []byte) (causeway.VolumeID, reach) {
	id, ok := fh.VolumeID(wire)
	if !ok {
		return 0, here
	}
	return id, owner
}

// nlmTarget looks behind cookie, flags and the caller's name.
func nlmTarget(c *rpc.Call) (causeway.VolumeID, reach) {
	args := c.Args
	flags := 0
	switch c.Proc {
	case nlmGrantedRes, nlmFreeAll:
		return 0, everyone // they name a call of ours, or a client
	case nlmLock, nlmCancel, nlmNMLock, nlmLockMsg, nlmCancelMsg:
		flags = 2
	case nlmTest, nlmTestMsg:
		flags = 1
	case nlmUnlock, nlmUnlockMsg, nlmShare, nlmUnshare:
	default:
		return 0, here
	}
	args.Opaque(maxNetobj)
	for range flags {
		args.Bool()
	}
	args.Opaque(maxNetobj)
	return ofHandle(args.Opaque(maxHandle))
}

// mountTarget goes by the first name in the path; "/" is the volume that the client may mount if there is exactly one.
func mountTarget(c *rpc.Call, cat *gateway.Catalog) (causeway.VolumeID, reach) {
	switch c.Proc {
	case mountUmntAll:
		return 0, everyone
	case mountMnt, mountUmnt:
	default:
		return 0, here
	}
	args := c.Args
	name, _, _ := strings.Cut(strings.Trim(args.String(maxPath), "/"), "/")
	v := cat.ByName(name)
	if name == "" {
		v = only(cat, c.Remote.Addr())
	}
	if !args.OK() || v == nil {
		return 0, here
	}
	return v.ID, owner
}

// isClient reports whether a host may use any volume.
func isClient(cat *gateway.Catalog, host netip.Addr) bool {
	return slices.ContainsFunc(cat.Volumes(), func(v *causeway.Volume) bool { return v.Rule(host) != nil })
}

func only(cat *gateway.Catalog, client netip.Addr) (found *causeway.Volume) {
	for _, v := range cat.Volumes() {
		if v.Rule(client) == nil {
			continue
		}
		if found != nil {
			return nil
		}
		found = v
	}
	return found
}

// harmless reports whether a call may be given up half done: it changes nothing, or it does no harm to do it again.
func harmless(c *rpc.Call) bool {
	switch c.Prog {
	case nfs:
		return int(c.Proc) < len(failures) && !failures[c.Proc].changes
	case mount:
		return true
	}
	return false
}
