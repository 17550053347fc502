package backendtest

import (
	"unsafe"

	"causeway"
)

var renameTests = []test{
	{"Rename/names are lent", func(v *volume) {
		d, lent := v.mkdir(v.root, "d"), []byte("one")
		name := unsafe.String(&lent[0], len(lent))
		f := v.file(d, name)
		copy(lent, "xxx")
		v.finds(d, "one", f)
		copy(lent, "two")
		v.ok(v.s.Rename(v.ctx, d, "one", v.root, name))
		copy(lent, "xxx")
		v.stat(f)
		v.finds(v.root, "two", f)
		v.misses(v.root, "xxx")
	}},
	{"Rename/moves", func(v *volume) {
		d, e := v.mkdir(v.root, "d"), v.mkdir(v.root, "e")
		for _, typ := range allTypes {
			if !v.caps.can(typ) {
				continue
			}
			id := v.create(d, "x", typ, 0o700)
			v.ok(v.s.Rename(v.ctx, d, "x", d, "y"))
			v.misses(d, "x")
			v.finds(d, "y", id)
			v.ok(v.s.Rename(v.ctx, d, "y", e, "z"))
			v.misses(d, "y")
			a := v.finds(e, "z", id)
			v.check(a.Type == typ, "type %v", a.Type)
			v.ok(v.s.Remove(v.ctx, e, "z", typ == causeway.TypeDirectory))
		}
	}},
	{"Rename/directory with what is in it", func(v *volume) {
		d, e := v.mkdir(v.root, "d"), v.mkdir(v.root, "e")
		sub := v.mkdir(d, "sub")
		f := v.file(sub, "f")
		v.write(f, 0, "content")
		v.ok(v.s.Rename(v.ctx, v.root, "d", e, "moved"))
		v.finds(e, "moved", d)
		v.finds(d, "sub", sub)
		v.finds(d, "..", e)
		v.finds(sub, "..", d)
		v.finds(sub, "f", f)
		v.check(v.read(f, 0, 99) == "content", "content is lost")
		v.file(sub, "g")
	}},
	{"Rename/names that begin alike", func(v *volume) {
		a, ab, abc := v.mkdir(v.root, "a"), v.file(v.root, "ab"), v.mkdir(v.root, "abc")
		f := v.file(abc, "f")
		v.ok(v.s.Rename(v.ctx, v.root, "a", v.root, "x"))
		v.finds(v.root, "x", a)
		v.finds(v.root, "ab", ab)
		v.finds(v.root, "abc", abc)
		v.finds(abc, "f", f)
	}},
	{"Rename/replaces", func(v *volume) {
		v.need(v.caps.Replace)
		d := v.mkdir(v.root, "d")
		for _, typ := range allTypes {
			if !v.caps.can(typ) || typ == causeway.TypeDirectory {
				continue
			}
			f, old := v.file(v.root, "f"), v.create(d, "x", typ, 0o600)
			v.ok(v.s.Rename(v.ctx, v.root, "f", d, "x"))
			v.misses(v.root, "f")
			v.finds(d, "x", f)
			v.gone(old)
			v.ok(v.s.Remove(v.ctx, d, "x", false))
		}
	}},
	{"Rename/replaces an empty directory", func(v *volume) {
		v.need(v.caps.Replace)
		a, b := v.mkdir(v.root, "a"), v.mkdir(v.root, "b")
		f := v.file(a, "f")
		v.code(v.s.Rename(v.ctx, v.root, "b", v.root, "a"), causeway.ErrNotEmpty)
		v.ok(v.s.Rename(v.ctx, v.root, "a", v.root, "b"))
		v.finds(v.root, "b", a)
		v.finds(a, "f", f)
		v.misses(v.root, "a")
		v.gone(b)
		if v.caps.DirLinks {
			v.check(v.stat(v.root).Nlink == 3, "root has %d links", v.stat(v.root).Nlink)
		}
	}},
	{"Rename/kinds do not replace each other", func(v *volume) {
		f, d := v.file(v.root, "f"), v.mkdir(v.root, "d")
		v.code(v.s.Rename(v.ctx, v.root, "f", v.root, "d"), causeway.ErrIsDir)
		v.code(v.s.Rename(v.ctx, v.root, "d", v.root, "f"), causeway.ErrNotDir)
		v.finds(v.root, "f", f)
		v.finds(v.root, "d", d)
	}},
	{"Rename/into itself", func(v *volume) {
		a := v.mkdir(v.root, "a")
		b := v.mkdir(a, "b")
		c := v.mkdir(b, "c")
		for _, to := range []causeway.ObjectID{a, b, c} {
			v.code(v.s.Rename(v.ctx, v.root, "a", to, "x"), causeway.ErrInval)
		}
		v.code(v.s.Rename(v.ctx, b, "c", v.root, "a"), causeway.ErrNotEmpty)
		v.finds(v.root, "a", a)
		v.finds(a, "b", b)
		v.finds(b, "c", c)
	}},
	{"Rename/onto itself", func(v *volume) {
		f, d := v.file(v.root, "f"), v.mkdir(v.root, "d")
		v.ok(v.s.Rename(v.ctx, v.root, "f", v.root, "f"))
		v.ok(v.s.Rename(v.ctx, v.root, "d", v.root, "d"))
		v.finds(v.root, "f", f)
		v.finds(v.root, "d", d)
	}},
	{"Rename/onto another link of itself", func(v *volume) {
		v.need(v.caps.HardLinks)
		d := v.mkdir(v.root, "d")
		f := v.file(v.root, "f")
		v.ok(v.s.Link(v.ctx, f, d, "g"))
		v.ok(v.s.Rename(v.ctx, v.root, "f", d, "g"))
		v.finds(v.root, "f", f)
		v.finds(d, "g", f)
		v.check(v.stat(f).Nlink == 2, "%d links", v.stat(f).Nlink)
	}},
	{"Rename/replaces one of two links", func(v *volume) {
		v.need(v.caps.HardLinks && v.caps.Replace)
		f, g := v.file(v.root, "f"), v.file(v.root, "g")
		v.ok(v.s.Link(v.ctx, g, v.root, "h"))
		v.ok(v.s.Rename(v.ctx, v.root, "f", v.root, "g"))
		v.finds(v.root, "g", f)
		v.finds(v.root, "h", g)
		v.check(v.stat(g).Nlink == 1, "%d links", v.stat(g).Nlink)
	}},
	{"Rename/wrong names and places", func(v *volume) {
		f := v.file(v.root, "f")
		d := v.mkdir(v.root, "d")
		v.ok(v.s.Remove(v.ctx, v.root, "d", true))
		v.code(v.s.Rename(v.ctx, v.root, "x", v.root, "y"), causeway.ErrNoEnt)
		v.code(v.s.Rename(v.ctx, f, "x", v.root, "y"), causeway.ErrNotDir)
		v.code(v.s.Rename(v.ctx, v.root, "f", f, "y"), causeway.ErrNotDir)
		v.code(v.s.Rename(v.ctx, d, "x", v.root, "y"), causeway.ErrStale)
		v.code(v.s.Rename(v.ctx, v.root, "f", d, "y"), causeway.ErrStale)
		v.finds(v.root, "f", f)
	}},
	{"Rename/changes both directories", func(v *volume) {
		v.need(v.caps.ChangeTimes)
		d, e := v.mkdir(v.root, "d"), v.mkdir(v.root, "e")
		v.file(d, "f")
		beforeD, beforeE := v.stat(d), v.stat(e)
		v.tick()
		v.ok(v.s.Rename(v.ctx, d, "f", e, "f"))
		v.changed(d, beforeD, true)
		v.changed(e, beforeE, true)
	}},
}
