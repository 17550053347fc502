package route

import (
	"strings"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/fh"
	"causeway/gateway/nfs/rpc"
)

// Longest arguments that are looked at, in bytes (RFC 1813 §2.4, Appendix I; X/Open NLM version 4).
const (
	maxHandle = 64
	maxPath   = 1024
	maxName   = 1024
)

// ByHandle returns the volume of calls that begin with a handle, as all of NFSv3 do but NULL (RFC 1813 §3.3).
func ByHandle(catalog *gateway.Catalog) func(*rpc.Call) (causeway.VolumeID, bool) {
	return func(c *rpc.Call) (causeway.VolumeID, bool) {
		if c.Proc == 0 {
			return 0, false
		}
		args := c.Args
		return known(catalog, args.Opaque(maxHandle))
	}
}

// known returns the volume of a handle if there is one: nobody can make the table grow by inventing others.
func known(catalog *gateway.Catalog, handle []byte) (causeway.VolumeID, bool) {
	id, ok := fh.VolumeID(handle)
	return id, ok && catalog.ByID(id) != nil
}

// ByPath returns the volume of MNT (RFC 1813 §5.2.1). Who mounts "/" means the only volume.
func ByPath(catalog *gateway.Catalog) func(*rpc.Call) (causeway.VolumeID, bool) {
	return func(c *rpc.Call) (causeway.VolumeID, bool) {
		if c.Proc != 1 {
			return 0, false
		}
		args := c.Args
		name, _, _ := strings.Cut(strings.Trim(string(args.Opaque(maxPath)), "/"), "/")
		if all := catalog.Volumes(); name == "" && len(all) == 1 {
			return all[0].ID, true
		}
		v := catalog.ByName(name)
		if v == nil {
			return 0, false
		}
		return v.ID, true
	}
}

// ByLock returns the volume of calls about locks (X/Open CAE, Protocols for Interworking: XNFS 3W, ch. 10 and 14): where the handle
// stands depends on the procedure.
func ByLock(catalog *gateway.Catalog) func(*rpc.Call) (causeway.VolumeID, bool) {
	return func(c *rpc.Call) (causeway.VolumeID, bool) {
		args := c.Args
		words := 0 // between the cookie and the lock
		switch c.Proc {
		case 1, 6: // TEST: exclusive
			words = 1
		case 2, 3, 7, 8, 22: // LOCK, CANCEL, NM_LOCK: block, exclusive
			words = 2
		case 4, 9, 20, 21: // UNLOCK, SHARE, UNSHARE
		default:
			return 0, false
		}
		args.Opaque(maxName)
		for range words {
			args.Uint32()
		}
		args.Opaque(maxName) // caller_name
		return known(catalog, args.Opaque(maxHandle))
	}
}
