package backendtest

import (
	"strings"

	"causeway"
)

var lookupTests = []test{
	{"Lookup/root", func(v *volume) {
		a := v.stat(v.root)
		v.check(a.Type == causeway.TypeDirectory && a.Valid(), "root is %+v", a)
		v.check(!v.root.IsZero(), "the root's id is zero")
		v.finds(v.root, "..", v.root)
	}},
	{"Lookup/found", func(v *volume) {
		d := v.mkdir(v.root, "d")
		f := v.file(d, "f")
		got := v.finds(d, "f", f)
		want := v.stat(f)
		v.check(got == want, "lookup says %+v, stat %+v", got, want)
		v.finds(v.root, "d", d)
		v.misses(v.root, "f")
		v.misses(d, "F")
		v.misses(d, "ff")
	}},
	{"Lookup/parent", func(v *volume) {
		d := v.mkdir(v.root, "d")
		e := v.mkdir(d, "e")
		v.finds(e, "..", d)
		v.finds(d, "..", v.root)
		v.ok(v.s.Rename(v.ctx, d, "e", v.root, "e"))
		v.finds(e, "..", v.root)
	}},
	{"Lookup/not a directory", func(v *volume) {
		f := v.file(v.root, "f")
		_, _, err := v.s.Lookup(v.ctx, f, "x")
		v.code(err, causeway.ErrNotDir)
		_, _, err = v.s.Lookup(v.ctx, f, "..")
		v.code(err, causeway.ErrNotDir)
	}},
	{"Lookup/removed directory", func(v *volume) {
		d := v.mkdir(v.root, "d")
		v.ok(v.s.Remove(v.ctx, v.root, "d", true))
		_, _, err := v.s.Lookup(v.ctx, d, "x")
		v.code(err, causeway.ErrStale)
		_, _, err = v.s.Lookup(v.ctx, d, "..")
		v.code(err, causeway.ErrStale)
	}},
	{"Lookup/foreign id", func(v *volume) {
		var id causeway.ObjectID
		for i := range id {
			id[i] = 0xa5
		}
		_, err := v.s.Stat(v.ctx, id)
		v.code(err, causeway.ErrStale, causeway.ErrBadHandle)
		_, err = v.s.Stat(v.ctx, causeway.ObjectID{})
		v.code(err, causeway.ErrStale, causeway.ErrBadHandle)
	}},
	{"Lookup/symbolic links are not followed", func(v *volume) {
		v.need(v.caps.Symlinks)
		d := v.mkdir(v.root, "d")
		v.file(d, "f")
		for _, target := range []string{"d", "/etc", "..", ".", "nowhere"} {
			spec := v.spec(causeway.TypeSymlink, 0o777)
			spec.Target = target
			l, _, err := v.s.Create(v.ctx, v.root, "l", spec)
			v.ok(err)
			a := v.finds(v.root, "l", l)
			v.check(a.Type == causeway.TypeSymlink, "type %v", a.Type)
			_, _, err = v.s.Lookup(v.ctx, l, "f")
			v.code(err, causeway.ErrNotDir)
			_, _, err = v.s.Create(v.ctx, l, "g", v.spec(causeway.TypeRegular, 0o644))
			v.code(err, causeway.ErrNotDir)
			_, err = v.s.List(v.ctx, l, 0, false, func(*causeway.DirEntry) bool { return true })
			v.code(err, causeway.ErrNotDir)
			v.ok(v.s.Remove(v.ctx, v.root, "l", false))
		}
	}},
	{"Lookup/names are bytes", func(v *volume) {
		names := []string{strings.Repeat("n", causeway.MaxName), "with space", "new\nline", "-", "...", "a\\b", "*", "ünï", "日本", ".hidden"}
		ids := make(map[string]causeway.ObjectID)
		for _, name := range names {
			ids[name] = v.file(v.root, name)
		}
		for _, name := range names {
			v.finds(v.root, name, ids[name])
		}
		seen := v.list(v.root)
		for _, name := range names {
			v.check(seen[name] == 1, "%q is listed %d times", name, seen[name])
			v.ok(v.s.Remove(v.ctx, v.root, name, false))
		}
	}},
	{"Lookup/readlink", func(v *volume) {
		v.need(v.caps.Symlinks)
		for i, target := range []string{"a", "../../up", "/abs/olute", strings.Repeat("x/", 1000) + "y"} {
			spec := v.spec(causeway.TypeSymlink, 0o777)
			spec.Target = target
			name := string(rune('a' + i))
			id, a, err := v.s.Create(v.ctx, v.root, name, spec)
			v.ok(err)
			v.check(a.Size == uint64(len(target)), "size %d of a link of %d bytes", a.Size, len(target))
			got, err := v.s.ReadLink(v.ctx, id)
			v.ok(err)
			v.check(got == target, "target %q, want %q", got, target)
		}
		_, err := v.s.ReadLink(v.ctx, v.root)
		v.code(err, causeway.ErrInval)
		_, err = v.s.ReadLink(v.ctx, v.file(v.root, "f"))
		v.code(err, causeway.ErrInval)
	}},
}
