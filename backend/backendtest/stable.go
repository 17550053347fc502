package backendtest

import (
	"fmt"
	"sync"

	"causeway"
)

var stableTests = []test{
	{"Persist/zero ids are skipped", func(v *volume) {
		v.ok(v.s.Persist(v.ctx))
		v.ok(v.s.Persist(v.ctx, causeway.ObjectID{}))
		v.ok(v.s.Persist(v.ctx, v.root, causeway.ObjectID{}, v.mkdir(v.root, "d"), v.file(v.root, "f"), v.root))
	}},
	{"Persist/every type", func(v *volume) {
		for _, typ := range allTypes {
			if v.caps.can(typ) {
				v.ok(v.s.Persist(v.ctx, v.create(v.root, fmt.Sprint("x", typ), typ, 0o644)))
			}
		}
	}},
	{"Persist/together", func(v *volume) {
		var wg sync.WaitGroup
		for i := range 8 {
			d := v.mkdir(v.root, fmt.Sprint("d", i))
			wg.Go(func() {
				for j := range 10 {
					id, _, err := v.s.Create(v.ctx, d, fmt.Sprint(j), v.spec(causeway.TypeRegular, 0o644))
					if err == nil {
						err = v.s.Persist(v.ctx, d, id)
					}
					if err != nil {
						v.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}},
	{"Persist/everything is there after a restart", func(v *volume) {
		type kept struct {
			id   causeway.ObjectID
			attr causeway.Attr
		}
		want := make(map[string]kept)
		for _, typ := range allTypes {
			if !v.caps.can(typ) {
				continue
			}
			id := v.create(v.root, fmt.Sprint("x", typ), typ, 0o751)
			if v.caps.Times {
				v.set(id, causeway.SetAttr{Mask: causeway.SetAtime | causeway.SetMtime, Atime: causeway.Time{Sec: 1e9}, Mtime: causeway.Time{Sec: 2e9}})
			}
			v.ok(v.s.Persist(v.ctx, id))
			want[fmt.Sprint("x", typ)] = kept{id, v.stat(id)}
		}
		v.reopen()
		for name, k := range want {
			a := v.finds(v.root, name, k.id)
			v.check(a.Type == k.attr.Type && a.Mode == k.attr.Mode && a.UID == k.attr.UID && a.FileID == k.attr.FileID && a.Size == k.attr.Size,
				"%q: %+v became %+v", name, k.attr, a)
			v.check(!v.caps.StableTimes || a.Mtime == k.attr.Mtime, "%q: mtime %v became %v", name, k.attr.Mtime, a.Mtime)
		}
		v.check(len(v.list(v.root)) == len(want)+2, "names: %v", v.list(v.root))
	}},
	{"Sync/together", func(v *volume) {
		f := v.file(v.root, "f")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				o, err := v.s.Open(v.ctx, f, causeway.IOReadWrite, nil)
				if err != nil {
					v.Error(err)
					return
				}
				defer o.Close()
				for j := range 10 {
					if _, err := o.WriteAt(v.ctx, []byte{byte(i)}, uint64(i*10+j)); err != nil {
						v.Error(err)
					}
					if err := o.Sync(v.ctx, j%2 == 0); err != nil {
						v.Error(err)
					}
				}
			})
		}
		wg.Wait()
		got := v.read(f, 0, 100)
		v.check(len(got) == 80, "%d bytes", len(got))
		for i := range 80 {
			v.check(got[i] == byte(i/10), "byte %d is %d", i, got[i])
		}
	}},
	{"Sync/contents are there after a restart", func(v *volume) {
		d := v.mkdir(v.root, "d")
		f := v.file(d, "f")
		o := v.open(f, causeway.IOReadWrite)
		_, err := o.WriteAt(v.ctx, []byte("stable"), 5000)
		v.ok(err)
		v.ok(o.Sync(v.ctx, false))
		v.ok(o.Close())
		v.reopen(d)
		v.finds(d, "f", f)
		v.check(v.read(f, 4999, 99) == "\x00stable", "%q", v.read(f, 4999, 99))
		v.check(v.stat(f).Size == 5006, "size %d", v.stat(f).Size)
	}},
}
