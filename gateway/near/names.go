package near

import (
	"context"
	"strings"

	"causeway"
	"causeway/gateway"
)

// GetAttr implements gateway.Namespace.
func (n *Cache) GetAttr(ctx context.Context, c *gateway.Caller, h causeway.Handle) (causeway.Attr, error) {
	if n.cfg.Leased(h.Volume) == nil {
		return n.next.GetAttr(ctx, c, h)
	}
	return n.attr(ctx, c, h)
}

// Access implements gateway.Namespace.
func (n *Cache) Access(ctx context.Context, c *gateway.Caller, h causeway.Handle, want causeway.Rights) (causeway.Rights, causeway.Attr, error) {
	v := n.cfg.Leased(h.Volume)
	if v == nil {
		return n.next.Access(ctx, c, h, want)
	}
	a, err := n.attr(ctx, c, h)
	if err != nil {
		return 0, a, err
	}
	if v.ReadOnly || c.ReadOnly {
		want &^= causeway.MayWrite
	}
	return causeway.Permit(&c.Cred, &a, want), a, nil
}

// plain reports whether a name is one that can be leased; of the others the administrative gateway knows what they mean.
func plain(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= causeway.MaxName && !strings.ContainsAny(name, "/\x00")
}

// Lookup implements gateway.Namespace.
func (n *Cache) Lookup(ctx context.Context, c *gateway.Caller, dir causeway.Handle, name string) (gateway.Entry, causeway.Attr, error) {
	if n.cfg.Leased(dir.Volume) == nil || !plain(name) {
		return n.next.Lookup(ctx, c, dir, name)
	}
	if a, id, ok := n.known.lookup(dir, name, n.recent()); ok && n.cfg.Valid() {
		if err := mayDir(c, &a, causeway.MayExec); err != nil {
			return gateway.Entry{}, a, err
		}
		if id.IsZero() {
			return gateway.Entry{}, a, causeway.ErrNoEnt
		}
		h := causeway.Handle{Volume: dir.Volume, Object: id}
		if found, ok := n.attrNear(ctx, c, h); ok {
			return gateway.Entry{Handle: h, Attr: found}, a, nil
		}
	}
	r, err := n.ask(ctx, c, gateway.GrantSpec{Handle: dir, Leases: causeway.LeaseAttr | causeway.LeaseNames, Name: name})
	if err != nil {
		return gateway.Entry{}, r.Attr, err
	}
	if err := mayDir(c, &r.Attr, causeway.MayExec); err != nil {
		return gateway.Entry{}, r.Attr, err
	}
	if len(r.Entries) == 0 {
		return gateway.Entry{}, r.Attr, causeway.ErrNoEnt
	}
	x := &r.Entries[0]
	return gateway.Entry{Handle: causeway.Handle{Volume: dir.Volume, Object: x.Object}, Attr: x.Attr}, r.Attr, nil
}

func mayDir(c *gateway.Caller, a *causeway.Attr, want causeway.Rights) error {
	switch {
	case a.Type != causeway.TypeDirectory:
		return causeway.ErrNotDir
	case causeway.Permit(&c.Cred, a, want) != want:
		return causeway.ErrAccess
	}
	return nil
}

// ReadLink implements gateway.Namespace. The target of a link never changes; that the link is still there, its attributes say.
func (n *Cache) ReadLink(ctx context.Context, c *gateway.Caller, h causeway.Handle) (string, causeway.Attr, error) {
	if n.cfg.Leased(h.Volume) == nil {
		return n.next.ReadLink(ctx, c, h)
	}
	if target := n.known.target(h); target != "" {
		a, err := n.attr(ctx, c, h)
		return target, a, err
	}
	target, a, err := n.next.ReadLink(ctx, c, h)
	if err == nil {
		n.known.learnTarget(h, target)
	}
	return target, a, err
}

func (k *known) target(h causeway.Handle) string {
	s := k.shard(h)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if o := s.objects[h]; o != nil {
		return o.target
	}
	return ""
}

func (k *known) learnTarget(h causeway.Handle, target string) {
	s := k.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.objects[h]; o != nil { // its attributes are leased, as a rule since it was looked up
		o.target = target
	}
}

// pageEntries is how many entries of a directory are asked for at once.
const pageEntries = 256

// ReadDir implements gateway.Namespace.
func (n *Cache) ReadDir(ctx context.Context, c *gateway.Caller, dir causeway.Handle, cookie uint64, want gateway.ReadDirWant, emit func(*causeway.DirEntry) bool) (causeway.Attr, bool, error) {
	if n.cfg.Leased(dir.Volume) == nil {
		return n.next.ReadDir(ctx, c, dir, cookie, want, emit)
	}
	for {
		a, entries, eof, err := n.pageOf(ctx, c, dir, cookie, want)
		if err == nil {
			err = mayDir(c, &a, causeway.MayRead)
		}
		if err != nil {
			return a, false, err
		}
		attrs := want == gateway.WantAttr && causeway.Permit(&c.Cred, &a, causeway.MayExec) != 0
		for i := range entries {
			x := entries[i]
			if !attrs {
				x.Object, x.Attr = causeway.ObjectID{}, causeway.Attr{}
			}
			if !emit(&x) {
				return a, false, nil
			}
			cookie = x.Cookie
		}
		if eof || len(entries) == 0 {
			return a, eof, nil
		}
	}
}

// pageOf returns the entries behind a cookie, with attributes if they are wanted, and those of the directory.
func (n *Cache) pageOf(ctx context.Context, c *gateway.Caller, dir causeway.Handle, cookie uint64, want gateway.ReadDirWant) (causeway.Attr, []causeway.DirEntry, bool, error) {
	if a, p, ok := n.known.page(dir, cookie, n.recent()); ok && n.cfg.Valid() {
		if want != gateway.WantAttr {
			return a, p.entries, p.eof, nil
		}
		if entries, ok := n.withAttr(ctx, c, dir.Volume, p); ok {
			return a, entries, p.eof, nil
		}
	}
	r, err := n.ask(ctx, c, gateway.GrantSpec{
		Handle: dir, Leases: causeway.LeaseAttr | causeway.LeaseNames, List: pageEntries, Cookie: cookie,
	})
	entries := make([]causeway.DirEntry, len(r.Entries))
	for i := range r.Entries {
		entries[i] = r.Entries[i].DirEntry
	}
	return r.Attr, entries, r.EOF, err
}

// withAttr adds attributes to a page, if all are leased.
func (n *Cache) withAttr(ctx context.Context, c *gateway.Caller, v causeway.VolumeID, p *page) ([]causeway.DirEntry, bool) {
	entries := make([]causeway.DirEntry, len(p.entries))
	for i := range p.entries {
		entries[i] = p.entries[i]
		if entries[i].Object.IsZero() {
			continue
		}
		a, ok := n.attrNear(ctx, c, causeway.Handle{Volume: v, Object: entries[i].Object})
		if !ok {
			return nil, false
		}
		entries[i].Attr = a
	}
	return entries, true
}
