package backendtest

import (
	"causeway"
)

var identityTests = []test{
	{"Identity/ids are not used again", func(v *volume) {
		seen := make(map[causeway.ObjectID]bool)
		for i := range 1000 {
			typ := causeway.FileType(1 + i%2)
			id := v.create(v.root, "x", typ, 0o700)
			v.check(!seen[id], "id %v is used again in round %d", id, i)
			seen[id] = true
			v.ok(v.s.Remove(v.ctx, v.root, "x", typ == causeway.TypeDirectory))
		}
		v.file(v.root, "x")
		for id := range seen {
			_, err := v.s.Stat(v.ctx, id)
			v.code(err, causeway.ErrStale)
		}
	}},
	{"Identity/stale in every method", func(v *volume) {
		f, d := v.file(v.root, "f"), v.mkdir(v.root, "d")
		v.ok(v.s.Remove(v.ctx, v.root, "f", false))
		v.ok(v.s.Remove(v.ctx, v.root, "d", true))
		v.gone(f)
		v.gone(d)
		_, err := v.s.Open(v.ctx, f, causeway.IORead, nil)
		v.code(err, causeway.ErrStale)
		_, err = v.s.Open(v.ctx, f, causeway.IOReadWrite, nil)
		v.code(err, causeway.ErrStale)
		_, _, err = v.s.Extents(v.ctx, f, causeway.IORead, causeway.Span{Length: causeway.ToEOF})
		v.code(err, causeway.ErrStale)
		_, err = v.s.ReadLink(v.ctx, f)
		v.code(err, causeway.ErrStale)
		_, err = v.s.List(v.ctx, d, 0, false, func(*causeway.DirEntry) bool { return true })
		v.code(err, causeway.ErrStale)
		for _, mask := range []causeway.SetMask{causeway.SetMode, causeway.SetSize, causeway.SetMtimeNow} {
			v.code(v.s.SetStat(v.ctx, f, &causeway.SetAttr{Mask: mask}), causeway.ErrStale)
		}
	}},
	{"Identity/survives rename", func(v *volume) {
		d := v.mkdir(v.root, "d")
		f := v.file(v.root, "f")
		fileID := v.stat(f).FileID
		for range 3 {
			v.ok(v.s.Rename(v.ctx, v.root, "f", d, "g"))
			v.finds(d, "g", f)
			v.ok(v.s.Rename(v.ctx, d, "g", v.root, "f"))
			v.finds(v.root, "f", f)
			v.check(v.stat(f).FileID == fileID, "file id changed")
		}
		v.write(f, 0, "still there")
		v.check(v.read(f, 6, 5) == "there", "content differs")
	}},
	{"Identity/below a renamed directory", func(v *volume) {
		a := v.mkdir(v.root, "a")
		b := v.mkdir(a, "b")
		f := v.file(b, "f")
		v.ok(v.s.Rename(v.ctx, v.root, "a", v.root, "c"))
		other := v.mkdir(v.root, "a")
		v.check(other != a, "a new directory has the id of the old one")
		v.write(f, 0, "x")
		v.finds(b, "f", f)
		v.finds(a, "b", b)
		v.misses(other, "b")
	}},
	{"Identity/after a restart", func(v *volume) {
		d := v.mkdir(v.root, "d")
		f, g := v.file(d, "f"), v.file(v.root, "g")
		e := v.mkdir(d, "e")
		v.write(f, 0, "kept")
		gone := v.file(v.root, "gone")
		v.ok(v.s.Remove(v.ctx, v.root, "gone", false))
		before := v.stat(f)
		o := v.open(f, causeway.IOReadWrite)
		v.ok(o.Sync(v.ctx, false))
		v.ok(o.Close())
		v.reopen(d, e, f, g)
		v.finds(v.root, "d", d)
		v.finds(d, "f", f)
		v.finds(d, "e", e)
		v.finds(v.root, "g", g)
		v.finds(e, "..", d)
		after := v.stat(f)
		v.check(after.FileID == before.FileID && after.Size == before.Size && after.Mode == before.Mode, "%+v became %+v", before, after)
		v.check(v.read(f, 0, 9) == "kept", "content differs")
		v.gone(gone)
		id := v.file(v.root, "new")
		v.check(id != gone, "the id of what was removed is used again after a restart")
	}},
	{"Identity/after rename and restart", func(v *volume) {
		v.need(v.caps.StableIDs)
		d, e := v.mkdir(v.root, "d"), v.mkdir(v.root, "e")
		f := v.file(d, "f")
		v.write(f, 0, "kept")
		o := v.open(f, causeway.IOReadWrite)
		v.ok(o.Sync(v.ctx, false))
		v.ok(o.Close())
		v.ok(v.s.Rename(v.ctx, d, "f", e, "g"))
		v.ok(v.s.Rename(v.ctx, v.root, "e", d, "e"))
		v.reopen(d, e, f)
		v.check(v.read(f, 0, 9) == "kept", "content differs")
		v.finds(v.root, "d", d)
		v.finds(d, "e", e)
		v.finds(e, "g", f)
		v.misses(d, "f")
		v.write(f, 0, "more")
		v.check(v.read(f, 0, 9) == "more", "content differs")
	}},
}
