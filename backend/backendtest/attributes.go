package backendtest

import (
	"causeway"
)

var attributeTests = []test{
	{"SetStat/mode", func(v *volume) {
		v.need(v.caps.Modes)
		for _, typ := range allTypes {
			if !v.caps.can(typ) || typ == causeway.TypeSymlink {
				continue
			}
			id := v.create(v.root, "x", typ, 0o644)
			for _, mode := range []uint32{0, 0o777, 0o1751, 0o2755, 0o4711, 0o7777, 0o600} {
				v.set(id, causeway.SetAttr{Mask: causeway.SetMode, Mode: mode})
				v.check(v.stat(id).Mode == mode, "type %d: mode %o, want %o", typ, v.stat(id).Mode, mode)
			}
			v.ok(v.s.Remove(v.ctx, v.root, "x", typ == causeway.TypeDirectory))
		}
	}},
	{"SetStat/owner", func(v *volume) {
		v.need(v.caps.Owners)
		for _, typ := range allTypes {
			if !v.caps.can(typ) {
				continue
			}
			id := v.create(v.root, "x", typ, 0o644)
			v.set(id, causeway.SetAttr{Mask: causeway.SetUID, UID: 77, GID: 99})
			a := v.stat(id)
			v.check(a.UID == 77 && a.GID == v.o.GID, "owner %d:%d", a.UID, a.GID)
			v.set(id, causeway.SetAttr{Mask: causeway.SetGID, UID: 66, GID: 88})
			a = v.stat(id)
			v.check(a.UID == 77 && a.GID == 88, "owner %d:%d", a.UID, a.GID)
			v.set(id, causeway.SetAttr{Mask: causeway.SetUID | causeway.SetGID, UID: 4294967294, GID: 1})
			a = v.stat(id)
			v.check(a.UID == 4294967294 && a.GID == 1, "owner %d:%d", a.UID, a.GID)
			v.ok(v.s.Remove(v.ctx, v.root, "x", typ == causeway.TypeDirectory))
		}
	}},
	{"SetStat/owner clears set-user-id", func(v *volume) {
		v.need(v.caps.Owners && v.caps.Modes)
		f := v.create(v.root, "f", causeway.TypeRegular, 0o6755)
		v.set(f, causeway.SetAttr{Mask: causeway.SetUID, UID: 77})
		v.check(v.stat(f).Mode == 0o755, "mode %o after a change of owner", v.stat(f).Mode)
		v.set(f, causeway.SetAttr{Mask: causeway.SetUID | causeway.SetMode, UID: 78, Mode: 0o6755})
		v.check(v.stat(f).Mode == 0o6755, "mode %o after a change of owner and mode", v.stat(f).Mode)
	}},
	{"SetStat/times", func(v *volume) {
		v.need(v.caps.Times)
		for _, typ := range allTypes {
			if !v.caps.can(typ) {
				continue
			}
			id := v.create(v.root, "x", typ, 0o644)
			for _, want := range []causeway.Time{{Sec: 1e9, Nsec: 123456789}, {Sec: 0, Nsec: 1}, {Sec: 2147483647, Nsec: 999999999}, {Sec: 5e9}, {Sec: -1000, Nsec: 5000}} {
				want = v.round(want)
				before := v.stat(id)
				v.set(id, causeway.SetAttr{Mask: causeway.SetAtime, Atime: want})
				a := v.stat(id)
				v.check(a.Atime == want && a.Mtime == before.Mtime, "type %d: atime %v, want %v; mtime from %v to %v", typ, a.Atime, want, before.Mtime, a.Mtime)
				v.set(id, causeway.SetAttr{Mask: causeway.SetMtime, Mtime: want})
				a = v.stat(id)
				v.check(a.Atime == want && a.Mtime == want, "type %d: times %v %v, want %v", typ, a.Atime, a.Mtime, want)
			}
			v.ok(v.s.Remove(v.ctx, v.root, "x", typ == causeway.TypeDirectory))
		}
	}},
	{"SetStat/times to now", func(v *volume) {
		v.need(v.caps.Times)
		f := v.file(v.root, "f")
		past := causeway.Time{Sec: 1000}
		v.set(f, causeway.SetAttr{Mask: causeway.SetAtime | causeway.SetMtime, Atime: past, Mtime: past})
		from := v.o.Now()
		v.set(f, causeway.SetAttr{Mask: causeway.SetAtimeNow | causeway.SetAtime, Atime: past})
		a := v.stat(f)
		v.check(near(a.Atime, from, v.o.Now()) && a.Mtime == past, "times %v %v", a.Atime, a.Mtime)
		v.set(f, causeway.SetAttr{Mask: causeway.SetMtimeNow})
		v.check(near(v.stat(f).Mtime, from, v.o.Now()), "mtime %v", v.stat(f).Mtime)
	}},
	{"SetStat/size", func(v *volume) {
		f := v.file(v.root, "f")
		v.write(f, 0, "0123456789")
		v.set(f, causeway.SetAttr{Mask: causeway.SetSize, Size: 4})
		v.check(v.stat(f).Size == 4 && v.read(f, 0, 99) == "0123", "cut to %d: %q", v.stat(f).Size, v.read(f, 0, 99))
		v.set(f, causeway.SetAttr{Mask: causeway.SetSize, Size: 8})
		v.check(v.read(f, 0, 99) == "0123\x00\x00\x00\x00", "grown: %q", v.read(f, 0, 99))
		v.set(f, causeway.SetAttr{Mask: causeway.SetSize, Size: 0})
		v.check(v.stat(f).Size == 0 && v.read(f, 0, 99) == "", "emptied: %q", v.read(f, 0, 99))
		v.set(f, causeway.SetAttr{Mask: causeway.SetSize, Size: 0})
		v.check(v.stat(f).Size == 0, "size %d", v.stat(f).Size)
	}},
	{"SetStat/size at page ends", func(v *volume) {
		f := v.file(v.root, "f")
		data := make([]byte, 3*4096)
		for i := range data {
			data[i] = byte('a' + i%26)
		}
		for _, size := range []uint64{8193, 8192, 8191, 4097, 4096, 4095, 1} {
			v.write(f, 0, string(data))
			v.set(f, causeway.SetAttr{Mask: causeway.SetSize, Size: size})
			v.set(f, causeway.SetAttr{Mask: causeway.SetSize, Size: uint64(len(data))})
			got := v.read(f, 0, len(data))
			v.check(got[:size] == string(data[:size]), "cut to %d: what stays differs", size)
			for i, c := range []byte(got[size:]) {
				v.check(c == 0, "cut to %d and grown: byte %d is %q", size, int(size)+i, c)
			}
		}
	}},
	{"SetStat/size of what has none", func(v *volume) {
		v.code(v.s.SetStat(v.ctx, v.root, &causeway.SetAttr{Mask: causeway.SetSize}), causeway.ErrIsDir)
		for _, typ := range allTypes[2:] {
			if !v.caps.can(typ) {
				continue
			}
			id := v.create(v.root, "x", typ, 0o644)
			v.code(v.s.SetStat(v.ctx, id, &causeway.SetAttr{Mask: causeway.SetSize, Size: 1}), causeway.ErrInval)
			v.ok(v.s.Remove(v.ctx, v.root, "x", false))
		}
	}},
	{"SetStat/size too large", func(v *volume) {
		f := v.file(v.root, "f")
		v.write(f, 0, "abc")
		for _, size := range []uint64{1 << 63, 1<<64 - 1} {
			v.code(v.s.SetStat(v.ctx, f, &causeway.SetAttr{Mask: causeway.SetSize, Size: size}), causeway.ErrFBig)
		}
		v.check(v.stat(f).Size == 3, "size %d", v.stat(f).Size)
	}},
	{"SetStat/all at once", func(v *volume) {
		v.need(v.caps.Modes && v.caps.Times && v.caps.Owners)
		f := v.create(v.root, "f", causeway.TypeRegular, 0o6777)
		v.write(f, 0, "0123456789")
		at, mt := v.round(causeway.Time{Sec: 11, Nsec: 5000}), v.round(causeway.Time{Sec: 22, Nsec: 6000})
		v.set(f, causeway.SetAttr{Mask: causeway.SetMode | causeway.SetUID | causeway.SetGID | causeway.SetSize | causeway.SetAtime | causeway.SetMtime,
			Mode: 0o4700, UID: 5, GID: 6, Size: 7, Atime: at, Mtime: mt})
		a := v.stat(f)
		v.check(a.Mode == 0o4700 && a.UID == 5 && a.GID == 6 && a.Size == 7 && a.Atime == at && a.Mtime == mt, "%+v", a)
	}},
	{"SetStat/nothing", func(v *volume) {
		f := v.file(v.root, "f")
		before := v.stat(f)
		v.set(f, causeway.SetAttr{Mode: 0o777, Size: 9})
		a := v.stat(f)
		v.check(a.Mode == before.Mode && a.Size == before.Size && a.Mtime == before.Mtime, "%+v became %+v", before, a)
	}},
	{"SetStat/changes ctime", func(v *volume) {
		v.need(v.caps.ChangeTimes)
		f := v.file(v.root, "f")
		v.write(f, 0, "x")
		for _, set := range []causeway.SetAttr{
			{Mask: causeway.SetMode, Mode: 0o600},
			{Mask: causeway.SetAtime, Atime: causeway.Time{Sec: 5}},
			{Mask: causeway.SetUID, UID: v.o.UID},
		} {
			if set.Mask == causeway.SetUID && !v.caps.Owners {
				continue // even one that changes nothing may be refused
			}
			before := v.stat(f)
			v.tick()
			v.set(f, set)
			v.changed(f, before, false)
		}
		before := v.stat(f)
		v.tick()
		v.set(f, causeway.SetAttr{Mask: causeway.SetSize, Size: 0})
		v.changed(f, before, true)
	}},
	{"StatFS", func(v *volume) {
		fs, err := v.s.StatFS(v.ctx)
		v.ok(err)
		v.check(fs.FreeBytes <= fs.TotalBytes && fs.AvailBytes <= fs.FreeBytes, "bytes: %+v", fs)
		v.check(fs.FreeFiles <= fs.TotalFiles && fs.AvailFiles <= fs.FreeFiles, "files: %+v", fs)
		v.check(!fs.ReadOnly, "a volume that was written to is read-only")
	}},
}
