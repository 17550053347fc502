package backendtest

import (
	"causeway"
)

// can reports whether the Store makes objects of a type.
func (c *Caps) can(typ causeway.FileType) bool {
	switch typ {
	case causeway.TypeBlock, causeway.TypeChar:
		return c.Devices
	case causeway.TypeSymlink:
		return c.Symlinks
	case causeway.TypeSocket, causeway.TypeFIFO:
		return c.Special
	}
	return true
}

var allTypes = []causeway.FileType{causeway.TypeRegular, causeway.TypeDirectory, causeway.TypeBlock, causeway.TypeChar,
	causeway.TypeSymlink, causeway.TypeSocket, causeway.TypeFIFO}

var createTests = []test{
	{"Create/every type", func(v *volume) {
		for _, typ := range allTypes {
			spec := v.spec(typ, 0o640)
			if typ == causeway.TypeBlock || typ == causeway.TypeChar {
				spec.Major, spec.Minor = 259, 70000
			}
			id, a, err := v.s.Create(v.ctx, v.root, "x", spec)
			if !v.caps.can(typ) {
				v.code(err, causeway.ErrNotSupp, causeway.ErrPerm, causeway.ErrBadType)
				v.misses(v.root, "x")
				continue
			}
			v.ok(err)
			v.check(a == v.stat(id), "create says %+v, stat %+v", a, v.stat(id))
			v.check(a.Type == typ, "type %v, want %v", a.Type, typ)
			v.check(a.Major == spec.Major && a.Minor == spec.Minor, "device %d:%d", a.Major, a.Minor)
			v.check(a.FileID != 0, "no file id")
			if typ == causeway.TypeRegular {
				v.check(a.Size == 0 && a.Nlink == 1, "new file: %+v", a)
			}
			v.finds(v.root, "x", id)
			v.ok(v.s.Remove(v.ctx, v.root, "x", typ == causeway.TypeDirectory))
			v.gone(id)
		}
	}},
	{"Create/bad type", func(v *volume) {
		for _, typ := range []causeway.FileType{0, causeway.TypeFIFO + 1, 255} {
			_, _, err := v.s.Create(v.ctx, v.root, "x", v.spec(typ, 0o644))
			v.code(err, causeway.ErrBadType, causeway.ErrInval, causeway.ErrNotSupp)
			v.misses(v.root, "x")
		}
	}},
	{"Create/exact mode", func(v *volume) {
		v.need(v.caps.Modes)
		for _, typ := range allTypes {
			if !v.caps.can(typ) || typ == causeway.TypeSymlink {
				continue
			}
			for _, mode := range []uint32{0, 0o777, 0o666, 0o022, 0o400, 0o1777, 0o2775, 0o4755, 0o7777} {
				if typ == causeway.TypeDirectory && mode&0o700 != 0o700 && !v.caps.Owners {
					continue // without privileges the store itself may not look into it
				}
				id := v.create(v.root, "x", typ, mode)
				v.check(v.stat(id).Mode == mode, "type %d: mode %o, want %o", typ, v.stat(id).Mode, mode)
				v.ok(v.s.Remove(v.ctx, v.root, "x", typ == causeway.TypeDirectory))
			}
		}
	}},
	{"Create/exact owner", func(v *volume) {
		v.need(v.caps.Owners)
		for _, typ := range allTypes {
			if !v.caps.can(typ) {
				continue
			}
			spec := v.spec(typ, 0o750)
			spec.UID, spec.GID = 12345, 4000000000
			_, a, err := v.s.Create(v.ctx, v.root, "x", spec)
			v.ok(err)
			v.check(a.UID == 12345 && a.GID == 4000000000, "type %d: owner %d:%d", typ, a.UID, a.GID)
			v.ok(v.s.Remove(v.ctx, v.root, "x", typ == causeway.TypeDirectory))
		}
	}},
	{"Create/group in a setgid directory is what was asked for", func(v *volume) {
		v.need(v.caps.Owners && v.caps.Modes)
		spec := v.spec(causeway.TypeDirectory, 0o2775)
		spec.GID = 500
		d, _, err := v.s.Create(v.ctx, v.root, "d", spec)
		v.ok(err)
		for name, typ := range map[string]causeway.FileType{"f": causeway.TypeRegular, "e": causeway.TypeDirectory} {
			spec := v.spec(typ, 0o755)
			spec.GID = 600
			_, a, err := v.s.Create(v.ctx, d, name, spec)
			v.ok(err)
			v.check(a.GID == 600 && a.Mode == 0o755, "%s: group %d, mode %o", name, a.GID, a.Mode)
		}
	}},
	{"Create/times", func(v *volume) {
		from := v.o.Now()
		a := v.stat(v.file(v.root, "f"))
		to := v.o.Now()
		v.check(near(a.Mtime, from, to) && near(a.Atime, from, to), "times %v %v of a file made %v", a.Atime, a.Mtime, from)
		v.check(near(a.Ctime, from, to), "ctime %v of a file made %v", a.Ctime, from)
	}},
	{"Create/times as asked", func(v *volume) {
		v.need(v.caps.Times)
		at, mt := v.round(causeway.Time{Sec: 0x12345678, Nsec: 0}), v.round(causeway.Time{Sec: 0x7abcdef0, Nsec: 123456789})
		for _, typ := range []causeway.FileType{causeway.TypeRegular, causeway.TypeDirectory} {
			spec := v.spec(typ, 0o644)
			spec.Atime, spec.Mtime = &at, &mt
			_, a, err := v.s.Create(v.ctx, v.root, "x", spec)
			v.ok(err)
			v.check(a.Atime == at && a.Mtime == mt, "times %v %v, want %v %v", a.Atime, a.Mtime, at, mt)
			v.ok(v.s.Remove(v.ctx, v.root, "x", typ == causeway.TypeDirectory))
		}
	}},
	{"Create/taken name", func(v *volume) {
		for _, old := range allTypes {
			if !v.caps.can(old) {
				continue
			}
			id := v.create(v.root, "x", old, 0o600)
			before := v.stat(id)
			for _, typ := range allTypes {
				if !v.caps.can(typ) {
					continue
				}
				_, _, err := v.s.Create(v.ctx, v.root, "x", v.spec(typ, 0o777))
				v.code(err, causeway.ErrExist)
			}
			v.finds(v.root, "x", id)
			v.check(v.stat(id) == before, "a refused create changed the object: %+v, %+v", before, v.stat(id))
			v.ok(v.s.Remove(v.ctx, v.root, "x", old == causeway.TypeDirectory))
		}
	}},
	{"Create/wrong place", func(v *volume) {
		f := v.file(v.root, "f")
		d := v.mkdir(v.root, "d")
		v.ok(v.s.Remove(v.ctx, v.root, "d", true))
		for _, typ := range []causeway.FileType{causeway.TypeRegular, causeway.TypeDirectory} {
			_, _, err := v.s.Create(v.ctx, f, "x", v.spec(typ, 0o755))
			v.code(err, causeway.ErrNotDir)
			_, _, err = v.s.Create(v.ctx, d, "x", v.spec(typ, 0o755))
			v.code(err, causeway.ErrStale)
		}
	}},
	{"Create/changes its directory", func(v *volume) {
		v.need(v.caps.ChangeTimes)
		d := v.mkdir(v.root, "d")
		for _, typ := range []causeway.FileType{causeway.TypeRegular, causeway.TypeDirectory} {
			before := v.stat(d)
			v.tick()
			v.create(d, string(rune('a'+typ)), typ, 0o755)
			v.changed(d, before, true)
		}
	}},
	{"Create/file ids differ", func(v *volume) {
		seen := map[uint64]bool{v.stat(v.root).FileID: true}
		for i := range 100 {
			a := v.stat(v.create(v.root, string(rune('a'+i)), causeway.FileType(1+i%2), 0o700))
			v.check(!seen[a.FileID], "file id %d stands twice", a.FileID)
			seen[a.FileID] = true
		}
	}},
}

// changed wants mtime (if data), ctime and change of an object to be later than before.
func (v *volume) changed(id causeway.ObjectID, before causeway.Attr, data bool) {
	v.Helper()
	now := v.stat(id)
	v.check(now.Ctime.Compare(before.Ctime) > 0, "ctime %v did not rise from %v", now.Ctime, before.Ctime)
	v.check(now.Change > before.Change, "change %d did not rise from %d", now.Change, before.Change)
	if data {
		v.check(now.Mtime.Compare(before.Mtime) > 0, "mtime %v did not rise from %v", now.Mtime, before.Mtime)
	} else {
		v.check(now.Mtime == before.Mtime, "mtime went from %v to %v", before.Mtime, now.Mtime)
	}
}

// round cuts a time to what the Store can keep.
func (v *volume) round(t causeway.Time) causeway.Time {
	g := v.caps.Granularity
	if g >= 1e9 {
		return causeway.Time{Sec: t.Sec}
	}
	t.Nsec -= t.Nsec % uint32(g)
	return t
}
