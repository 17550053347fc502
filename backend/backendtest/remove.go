package backendtest

import "causeway"

var removeTests = []test{
	{"Remove/kinds", func(v *volume) {
		v.file(v.root, "f")
		d := v.mkdir(v.root, "d")
		v.code(v.s.Remove(v.ctx, v.root, "f", true), causeway.ErrNotDir)
		v.code(v.s.Remove(v.ctx, v.root, "d", false), causeway.ErrIsDir)
		v.code(v.s.Remove(v.ctx, v.root, "x", true), causeway.ErrNoEnt)
		v.code(v.s.Remove(v.ctx, v.root, "x", false), causeway.ErrNoEnt)
		v.file(d, "g")
		v.code(v.s.Remove(v.ctx, v.root, "d", true), causeway.ErrNotEmpty)
		v.finds(v.root, "d", d)
		v.ok(v.s.Remove(v.ctx, d, "g", false))
		v.ok(v.s.Remove(v.ctx, v.root, "d", true))
		v.ok(v.s.Remove(v.ctx, v.root, "f", false))
		v.misses(v.root, "d")
		v.misses(v.root, "f")
	}},
	{"Remove/symbolic link, not its target", func(v *volume) {
		v.need(v.caps.Symlinks)
		f := v.file(v.root, "f")
		d := v.mkdir(v.root, "d")
		for _, target := range []string{"f", "d"} {
			spec := v.spec(causeway.TypeSymlink, 0o777)
			spec.Target = target
			_, _, err := v.s.Create(v.ctx, v.root, "l", spec)
			v.ok(err)
			v.code(v.s.Remove(v.ctx, v.root, "l", true), causeway.ErrNotDir)
			v.ok(v.s.Remove(v.ctx, v.root, "l", false))
			v.misses(v.root, "l")
		}
		v.finds(v.root, "f", f)
		v.finds(v.root, "d", d)
	}},
	{"Remove/wrong place", func(v *volume) {
		f := v.file(v.root, "f")
		d := v.mkdir(v.root, "d")
		v.ok(v.s.Remove(v.ctx, v.root, "d", true))
		for _, dir := range []bool{false, true} {
			v.code(v.s.Remove(v.ctx, f, "x", dir), causeway.ErrNotDir)
			v.code(v.s.Remove(v.ctx, d, "x", dir), causeway.ErrStale)
		}
	}},
	{"Remove/changes its directory", func(v *volume) {
		v.need(v.caps.ChangeTimes)
		p := v.mkdir(v.root, "p")
		v.file(p, "f")
		v.mkdir(p, "d")
		for _, name := range []string{"f", "d"} {
			before := v.stat(p)
			v.tick()
			v.ok(v.s.Remove(v.ctx, p, name, name == "d"))
			v.changed(p, before, true)
		}
	}},
	{"Remove/directory link count", func(v *volume) {
		v.need(v.caps.DirLinks)
		d := v.mkdir(v.root, "d")
		v.check(v.stat(d).Nlink == 2, "new directory has %d links", v.stat(d).Nlink)
		v.mkdir(d, "a")
		v.mkdir(d, "b")
		v.file(d, "f")
		v.check(v.stat(d).Nlink == 4, "directory with two in it has %d links", v.stat(d).Nlink)
		v.ok(v.s.Remove(v.ctx, d, "a", true))
		v.ok(v.s.Rename(v.ctx, d, "b", v.root, "b"))
		v.check(v.stat(d).Nlink == 2, "directory with none in it has %d links", v.stat(d).Nlink)
	}},
}
