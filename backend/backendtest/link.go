package backendtest

import "causeway"

var linkTests = []test{
	{"Link/not supported", func(v *volume) {
		if v.caps.HardLinks {
			v.Skip("this store has hard links")
		}
		v.code(v.s.Link(v.ctx, v.file(v.root, "f"), v.root, "g"), causeway.ErrNotSupp)
		v.misses(v.root, "g")
	}},
	{"Link/one object, two names", func(v *volume) {
		v.need(v.caps.HardLinks)
		d := v.mkdir(v.root, "d")
		f := v.file(v.root, "f")
		v.ok(v.s.Link(v.ctx, f, d, "g"))
		a := v.finds(d, "g", f)
		v.check(a.Nlink == 2, "%d links", a.Nlink)
		v.write(f, 0, "shared")
		v.ok(v.s.Remove(v.ctx, v.root, "f", false))
		v.check(v.finds(d, "g", f).Nlink == 1, "%d links", v.stat(f).Nlink)
		v.check(v.read(f, 0, 99) == "shared", "content differs")
		v.ok(v.s.Remove(v.ctx, d, "g", false))
		v.gone(f)
	}},
	{"Link/every type", func(v *volume) {
		v.need(v.caps.HardLinks)
		for _, typ := range allTypes {
			if !v.caps.can(typ) {
				continue
			}
			id := v.create(v.root, "x", typ, 0o700)
			err := v.s.Link(v.ctx, id, v.root, "y")
			if typ == causeway.TypeDirectory {
				v.code(err, causeway.ErrPerm)
				v.misses(v.root, "y")
				v.ok(v.s.Remove(v.ctx, v.root, "x", true))
				continue
			}
			v.ok(err)
			v.finds(v.root, "y", id)
			v.ok(v.s.Remove(v.ctx, v.root, "x", false))
			v.ok(v.s.Remove(v.ctx, v.root, "y", false))
		}
	}},
	{"Link/refused", func(v *volume) {
		v.need(v.caps.HardLinks)
		f, g := v.file(v.root, "f"), v.file(v.root, "g")
		d := v.mkdir(v.root, "d")
		v.code(v.s.Link(v.ctx, f, v.root, "g"), causeway.ErrExist)
		v.code(v.s.Link(v.ctx, f, v.root, "f"), causeway.ErrExist)
		v.code(v.s.Link(v.ctx, f, v.root, "d"), causeway.ErrExist)
		v.code(v.s.Link(v.ctx, f, g, "x"), causeway.ErrNotDir)
		v.ok(v.s.Remove(v.ctx, v.root, "d", true))
		v.code(v.s.Link(v.ctx, f, d, "x"), causeway.ErrStale)
		v.ok(v.s.Remove(v.ctx, v.root, "g", false))
		v.code(v.s.Link(v.ctx, g, v.root, "x"), causeway.ErrStale)
		v.check(v.stat(f).Nlink == 1, "%d links", v.stat(f).Nlink)
	}},
	{"Link/changes object and directory", func(v *volume) {
		v.need(v.caps.HardLinks && v.caps.ChangeTimes)
		d := v.mkdir(v.root, "d")
		f := v.file(v.root, "f")
		beforeD, beforeF := v.stat(d), v.stat(f)
		v.tick()
		v.ok(v.s.Link(v.ctx, f, d, "f"))
		v.changed(d, beforeD, true)
		v.changed(f, beforeF, false)
		beforeF = v.stat(f)
		v.tick()
		v.ok(v.s.Remove(v.ctx, d, "f", false))
		v.changed(f, beforeF, false)
	}},
}
