package aware

import (
	"context"

	"causeway"
	"causeway/client/clientpb"
	"causeway/gateway"
	"causeway/gateway/nfs/fh"
)

// Bounds of one call.
const (
	maxNames   = 256 // of a walk
	maxEntries = 1024
)

// Hello agrees on a version and says where the gateways are.
func (s *Server) Hello(ctx context.Context, r *clientpb.HelloRequest) (*clientpb.HelloReply, error) {
	from, _ := remote(ctx)
	gateways, _ := s.known(false)
	out := &clientpb.HelloReply{Node: s.cfg.Node, Gateways: s.gateways(from.Addr(), gateways), MaxTransfer: causeway.MaxTransfer}
	if r.MinVersion <= Version && Version <= r.MaxVersion {
		out.Version = Version
	}
	return out, nil
}

// Ping says that this gateway lives, and how busy it is.
func (s *Server) Ping(context.Context, *clientpb.PingRequest) (*clientpb.PingReply, error) {
	u, draining := s.cfg.Load()
	return &clientpb.PingReply{Utilization: uint32(u), Draining: draining || s.life.Err() != nil}, nil
}

// OpenVolume returns a volume's root. A volume that is not exported to the client is ErrAccess, whether it exists or not.
func (s *Server) OpenVolume(ctx context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
	out := &clientpb.Reply{}
	v := s.cfg.Catalog.ByName(string(r.Name))
	if v == nil {
		return failed(out, causeway.ErrAccess), nil
	}
	c, err := s.admitVolume(ctx, r.Caller, v)
	if err != nil {
		return failed(out, err), nil
	}
	e, err := s.cfg.Access.Root(ctx, c, v.ID)
	out.Exclusive, out.ReadOnly = v.Exclusive, c.ReadOnly
	entry(out, v, &e)
	return failed(out, err), nil
}

// entry fills in an object that was found.
func entry(out *clientpb.Reply, v *causeway.Volume, e *gateway.Entry) {
	if !e.Handle.Object.IsZero() {
		out.Handle = fh.Append(nil, v, e.Handle.Object)
	}
	out.Attr = attrOf(&e.Attr)
}

// about answers a call about one object.
func (s *Server) about(ctx context.Context, r *clientpb.Request, do func(c *gateway.Caller, h causeway.Handle, v *causeway.Volume, out *clientpb.Reply) error) (*clientpb.Reply, error) {
	out := &clientpb.Reply{}
	c, h, v, err := s.admit(ctx, r.Caller, r.Handle)
	if err == nil {
		err = do(c, h, v, out)
	}
	return failed(out, err), nil
}

// change is about for what must not be done twice.
func (s *Server) change(ctx context.Context, r *clientpb.Request, do func(c *gateway.Caller, h causeway.Handle, v *causeway.Volume, out *clientpb.Reply) error) (*clientpb.Reply, error) {
	return s.about(ctx, r, func(c *gateway.Caller, h causeway.Handle, v *causeway.Volume, out *clientpb.Reply) error {
		if err := named(c, r.Op); err != nil {
			return err
		}
		s.wrote(ctx, r.Caller, v.Name)
		before := s.cfg.Epoch(v.ID)
		err := do(c, h, v, out)
		out.Doubtful = err != nil && s.cfg.Epoch(v.ID) != before
		return err
	})
}

// Walk looks names up, one in the other. It ends with the object before the first one that is missing, or at what is no directory.
func (s *Server) Walk(ctx context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
	return s.about(ctx, r, func(c *gateway.Caller, h causeway.Handle, v *causeway.Volume, out *clientpb.Reply) error {
		if len(r.Names) > maxNames {
			return causeway.ErrInval
		}
		attr, err := s.cfg.Access.GetAttr(ctx, c, h)
		e := gateway.Entry{Handle: h, Attr: attr}
		for _, name := range r.Names {
			if err != nil || e.Attr.Type != causeway.TypeDirectory {
				break
			}
			var found gateway.Entry
			if found, _, err = s.cfg.Access.Lookup(ctx, c, e.Handle, string(name)); err == nil {
				e, out.Walked = found, out.Walked+1
			}
		}
		entry(out, v, &e)
		return err
	})
}

// GetAttr returns attributes.
func (s *Server) GetAttr(ctx context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
	return s.about(ctx, r, func(c *gateway.Caller, h causeway.Handle, _ *causeway.Volume, out *clientpb.Reply) error {
		a, err := s.cfg.Access.GetAttr(ctx, c, h)
		out.Attr = attrOf(&a)
		return err
	})
}

// SetAttr changes attributes.
func (s *Server) SetAttr(ctx context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
	return s.change(ctx, r, func(c *gateway.Caller, h causeway.Handle, _ *causeway.Volume, out *clientpb.Reply) error {
		set, err := setOf(r.Set)
		if err != nil {
			return err
		}
		changed, err := s.cfg.Access.SetAttr(ctx, c, h, &set, nil)
		out.Attr = attrOf(&changed.After)
		return err
	})
}

// ReadDir lists entries with their attributes, behind the cookie.
func (s *Server) ReadDir(ctx context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
	return s.about(ctx, r, func(c *gateway.Caller, h causeway.Handle, _ *causeway.Volume, out *clientpb.Reply) error {
		most := int(min(max(r.Count, 1), maxEntries))
		_, eof, err := s.cfg.Access.ReadDir(ctx, c, h, r.Cookie, gateway.WantAttr, func(e *causeway.DirEntry) bool {
			if len(out.Entries) == most {
				return false
			}
			out.Entries = append(out.Entries, &clientpb.DirEntry{
				Name: []byte(e.Name), Cookie: e.Cookie, Fileid: e.FileID, Type: uint32(e.Type), Attr: attrOf(&e.Attr),
			})
			return true
		})
		out.Eof = eof
		return err
	})
}

// ReadLink returns the target of a symbolic link.
func (s *Server) ReadLink(ctx context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
	return s.about(ctx, r, func(c *gateway.Caller, h causeway.Handle, _ *causeway.Volume, out *clientpb.Reply) error {
		target, a, err := s.cfg.Access.ReadLink(ctx, c, h)
		out.Target, out.Attr = []byte(target), attrOf(&a)
		return err
	})
}

// Create makes a file, a directory or a symbolic link.
func (s *Server) Create(ctx context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
	return s.change(ctx, r, func(c *gateway.Caller, h causeway.Handle, v *causeway.Volume, out *clientpb.Reply) error {
		set, err := setOf(r.Set)
		if err != nil {
			return err
		}
		spec := &gateway.CreateSpec{Type: causeway.FileType(r.Type), Set: set, Target: string(r.Target)}
		switch spec.Type {
		case causeway.TypeRegular, causeway.TypeDirectory, causeway.TypeSymlink:
		default:
			return causeway.ErrBadType
		}
		if r.Type > uint32(causeway.TypeFIFO) || len(r.Target) > causeway.MaxPath {
			return causeway.ErrInval
		}
		if spec.Type != causeway.TypeRegular {
			spec.How = gateway.Guarded
		} else if r.Exclusive { // the file itself remembers who made it, until the client sets its attributes
			spec.How, spec.Verifier, spec.Set = gateway.Exclusive, causeway.Verifier(c.Op[:8]), causeway.SetAttr{}
		}
		before := s.cfg.Epoch(v.ID)
		e, _, err := s.cfg.Access.Create(ctx, c, h, string(r.Name), spec)
		if spec.How == gateway.Exclusive && causeway.CodeOf(err) == causeway.ErrExist && (r.Doubtful || s.cfg.Epoch(v.ID) != before) {
			e, err = s.claim(ctx, c, h, string(r.Name), r.Set.GetMode())
		}
		entry(out, v, &e)
		return err
	})
}

// claim takes a file that an owner had just made when it died: without rights, empty, and without times that tell whose it is. Of several
// clients that find it, the guard lets one have it.
func (s *Server) claim(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string, mode uint32) (gateway.Entry, error) {
	e, _, err := s.cfg.Access.Lookup(ctx, c, dir, name)
	a := &e.Attr
	if err != nil || a.Type != causeway.TypeRegular || a.Mode != 0 || a.Size != 0 || a.Nlink != 1 || a.Atime != a.Mtime || mode&causeway.ModePerm == 0 {
		return gateway.Entry{}, causeway.ErrExist
	}
	mine, ctime := *c, a.Ctime
	mine.Op[15] ^= 1 // another change, with a name of its own
	change, err := s.cfg.Access.SetAttr(ctx, &mine, e.Handle, &causeway.SetAttr{Mask: causeway.SetMode, Mode: mode & causeway.ModeAll}, &ctime)
	if err != nil {
		return gateway.Entry{}, causeway.ErrExist
	}
	e.Attr = change.After
	return e, nil
}

// Remove removes a name.
func (s *Server) Remove(ctx context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
	return s.change(ctx, r, func(c *gateway.Caller, h causeway.Handle, _ *causeway.Volume, _ *clientpb.Reply) error {
		if r.Kind > uint32(gateway.RemoveAny) {
			return causeway.ErrInval
		}
		_, err := s.cfg.Access.Remove(ctx, c, h, string(r.Name), gateway.RemoveKind(r.Kind))
		return err
	})
}

// two parses the second handle, which must be of the same volume as the first.
func (s *Server) two(r *clientpb.Request, v *causeway.Volume) (causeway.Handle, error) {
	h, v2, err := fh.Parse(r.Handle2, s.cfg.Catalog)
	if err == nil && v2.ID != v.ID {
		err = causeway.ErrXDev
	}
	return h, err
}

// Rename moves a name of the first directory to a name of the second.
func (s *Server) Rename(ctx context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
	return s.change(ctx, r, func(c *gateway.Caller, h causeway.Handle, v *causeway.Volume, _ *clientpb.Reply) error {
		to, err := s.two(r, v)
		if err == nil {
			_, _, err = s.cfg.Access.Rename(ctx, c, h, string(r.Name), to, string(r.Name2))
		}
		return err
	})
}

// Link gives the object of the first handle a name in the directory of the second.
func (s *Server) Link(ctx context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
	return s.change(ctx, r, func(c *gateway.Caller, h causeway.Handle, v *causeway.Volume, out *clientpb.Reply) error {
		dir, err := s.two(r, v)
		if err == nil {
			var a causeway.Attr
			a, _, err = s.cfg.Access.Link(ctx, c, h, dir, string(r.Name2))
			out.Attr = attrOf(&a)
		}
		return err
	})
}

// StatFS says how full the volume's storage is.
func (s *Server) StatFS(ctx context.Context, r *clientpb.Request) (*clientpb.Reply, error) {
	return s.about(ctx, r, func(c *gateway.Caller, h causeway.Handle, _ *causeway.Volume, out *clientpb.Reply) error {
		st, _, err := s.cfg.Access.StatFS(ctx, c, h)
		out.Stat = &clientpb.FSStat{TotalBytes: st.TotalBytes, FreeBytes: st.FreeBytes, AvailBytes: st.AvailBytes,
			TotalFiles: st.TotalFiles, FreeFiles: st.FreeFiles, AvailFiles: st.AvailFiles}
		return err
	})
}
