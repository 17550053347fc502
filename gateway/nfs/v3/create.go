package v3

import (
	"context"
	"strings"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/rpc"
)

// create is RFC 1813 §3.3.8.
func (s *Server) create(ctx context.Context, c *rpc.Call) rpc.Verdict {
	spec := gateway.CreateSpec{Type: causeway.TypeRegular}
	var bad error
	wire, name := dirOp(&c.Args)
	switch c.Args.Uint32() { // createmode3
	case 0:
		spec.How, bad = gateway.Unchecked, sattr(&c.Args, &spec.Set)
	case 1:
		spec.How, bad = gateway.Guarded, sattr(&c.Args, &spec.Set)
	case 2:
		spec.How = gateway.Exclusive
		copy(spec.Verifier[:], c.Args.Fixed(len(spec.Verifier)))
	default:
		c.Args.Fail()
	}
	return s.makeEntry(ctx, c, wire, name, &spec, bad)
}

// mkdir is RFC 1813 §3.3.9.
func (s *Server) mkdir(ctx context.Context, c *rpc.Call) rpc.Verdict {
	spec := gateway.CreateSpec{Type: causeway.TypeDirectory, How: gateway.Guarded}
	wire, name := dirOp(&c.Args)
	bad := sattr(&c.Args, &spec.Set)
	return s.makeEntry(ctx, c, wire, name, &spec, bad)
}

// symlink is RFC 1813 §3.3.10.
func (s *Server) symlink(ctx context.Context, c *rpc.Call) rpc.Verdict {
	spec := gateway.CreateSpec{Type: causeway.TypeSymlink, How: gateway.Guarded}
	wire, name := dirOp(&c.Args)
	bad := sattr(&c.Args, &spec.Set)
	spec.Target = c.Args.String(maxString)
	switch {
	case len(spec.Target) > causeway.MaxPath:
		bad = causeway.ErrNameTooLong
	case spec.Target == "" || strings.IndexByte(spec.Target, 0) >= 0:
		bad = causeway.ErrInval
	}
	return s.makeEntry(ctx, c, wire, name, &spec, bad)
}

// mknod is RFC 1813 §3.3.11.
func (s *Server) mknod(ctx context.Context, c *rpc.Call) rpc.Verdict {
	spec := gateway.CreateSpec{How: gateway.Guarded}
	var bad error
	wire, name := dirOp(&c.Args)
	switch t := causeway.FileType(min(c.Args.Uint32(), 255)); t { // ftype3
	case causeway.TypeBlock, causeway.TypeChar:
		spec.Type, bad = t, sattr(&c.Args, &spec.Set)
		spec.Major, spec.Minor = c.Args.Uint32(), c.Args.Uint32()
	case causeway.TypeSocket, causeway.TypeFIFO:
		spec.Type, bad = t, sattr(&c.Args, &spec.Set)
	default:
		bad = causeway.ErrBadType
	}
	return s.makeEntry(ctx, c, wire, name, &spec, bad)
}

// makeEntry creates what was decoded. An object is made by exactly what was asked for, so a bad value fails the call before
// anything is made.
func (s *Server) makeEntry(ctx context.Context, c *rpc.Call, wire []byte, name string, spec *gateway.CreateSpec, bad error) rpc.Verdict {
	if !c.Args.OK() {
		return rpc.GarbageArgs
	}
	var made gateway.Entry
	var change causeway.Change
	dir, v, _, err := s.guard.Admit(c, wire)
	if err == nil {
		err = bad
	}
	if err == nil {
		err = checkName(name)
	}
	if err == nil {
		made, change, err = s.access.Create(ctx, &c.Caller, dir, name, spec)
	}
	if parks(c, err) {
		return rpc.Park
	}
	s.status(ctx, c, err)
	if err == nil {
		putEntry(&c.Reply, v, &made)
	}
	putWcc(&c.Reply, dir.Volume, &change)
	return rpc.Done
}
