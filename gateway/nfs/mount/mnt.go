package mount

import (
	"context"
	"strings"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/fh"
	"causeway/gateway/nfs/rpc"
)

// mountstat3 (RFC 1813 §5.1.5).
const (
	mntOK          = 0
	mntPerm        = 1
	mntNoEnt       = 2
	mntIO          = 5
	mntAcces       = 13
	mntNotDir      = 20
	mntInval       = 22
	mntNameTooLong = 63
	mntNotSupp     = 10004
	mntServerFault = 10006
)

func statusOf(code causeway.Code) uint32 {
	switch code {
	case causeway.OK:
		return mntOK
	case causeway.ErrPerm:
		return mntPerm
	case causeway.ErrNoEnt, causeway.ErrStale:
		return mntNoEnt
	case causeway.ErrIO, causeway.ErrDelay:
		return mntIO // there is no "try later": clients retry a mount that failed with an I/O error
	case causeway.ErrAccess:
		return mntAcces
	case causeway.ErrNotDir, causeway.ErrLoop:
		return mntNotDir
	case causeway.ErrInval, causeway.ErrBadName:
		return mntInval
	case causeway.ErrNameTooLong:
		return mntNameTooLong
	case causeway.ErrNotSupp:
		return mntNotSupp
	}
	return mntServerFault
}

// mount is MNT (RFC 1813 §5.2.1). Version 1 cannot carry our handles: its 32 bytes have no room for a MAC.
func (s *Server) mount(ctx context.Context, c *rpc.Call) rpc.Verdict {
	path := c.Args.String(maxPath)
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	if c.Vers != Version3 {
		c.Reply.Uint32(mntInval)
		return rpc.Done
	}
	v, entry, err := s.resolve(ctx, c, path)
	if c.NoWait && causeway.CodeOf(err) == causeway.ErrWouldBlock {
		return rpc.Park
	}
	c.Reply.Uint32(statusOf(causeway.CodeOf(err)))
	if err != nil {
		return rpc.Done
	}
	c.Reply.Uint32(fh.Size)
	fh.Append(c.Reply.Reserve(fh.Size)[:0], v, entry.Handle.Object)
	// Clients take the first flavor that they know; some refuse a list with AUTH_NONE alone.
	c.Reply.Uint32(2)
	c.Reply.Uint32(uint32(rpc.AuthSys))
	c.Reply.Uint32(uint32(rpc.AuthNone))
	s.mounts.add(Record{Client: c.Remote.Addr().Unmap(), Path: "/" + strings.Clone(clean(path))})
	return rpc.Done
}

// resolve finds the directory that a path means: "/NAME", or a directory below it, as far as the caller (squashed) may
// search. "/" means the volume if there is exactly one for this client. Links are not followed: they would be the client's
// to resolve.
func (s *Server) resolve(ctx context.Context, c *rpc.Call, path string) (*causeway.Volume, gateway.Entry, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, gateway.Entry{}, causeway.ErrAccess
	}
	name, below, _ := strings.Cut(clean(path), "/")
	v := s.guard.Catalog.ByName(name)
	if name == "" {
		v = s.onlyVolume(c)
	}
	if v == nil {
		return nil, gateway.Entry{}, causeway.ErrAccess
	}
	if _, err := s.guard.AdmitVolume(c, v); err != nil {
		return nil, gateway.Entry{}, err
	}
	entry, err := s.access.Root(ctx, &c.Caller, v.ID)
	for below != "" && err == nil {
		name, below, _ = strings.Cut(below, "/")
		if name != "" && name != "." {
			entry, _, err = s.access.Lookup(ctx, &c.Caller, entry.Handle, name)
		}
	}
	if err == nil && entry.Attr.Type != causeway.TypeDirectory {
		err = causeway.ErrNotDir
	}
	return v, entry, err
}

// clean takes the slashes at both ends away.
func clean(path string) string { return strings.Trim(path, "/") }

// onlyVolume returns the volume that the client may mount if there is exactly one.
func (s *Server) onlyVolume(c *rpc.Call) (only *causeway.Volume) {
	for _, v := range s.guard.Catalog.Volumes() {
		if v.Rule(c.Remote.Addr()) == nil {
			continue
		}
		if only != nil {
			return nil
		}
		only = v
	}
	return only
}
