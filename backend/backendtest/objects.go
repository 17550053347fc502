package backendtest

import (
	"os"

	"causeway"
	"causeway/backend"
)

var objectTests = []test{
	{"Object/shares the state of its file", func(v *volume) {
		f := v.file(v.root, "f")
		a, b := v.open(f, causeway.IOReadWrite), v.open(f, causeway.IORead)
		_, err := a.WriteAt(v.ctx, []byte("shared"), 0)
		v.ok(err)
		p := make([]byte, 6)
		n, err := b.ReadAt(v.ctx, p, 0)
		v.ok(err)
		v.check(string(p[:n]) == "shared", "%q", p[:n])
		v.set(f, causeway.SetAttr{Mask: causeway.SetSize, Size: 2})
		at, err := b.Stat(v.ctx)
		v.ok(err)
		v.check(at.Size == 2, "size %d", at.Size)
		v.ok(a.Close())
		n, err = b.ReadAt(v.ctx, p, 0)
		v.ok(err)
		v.check(string(p[:n]) == "sh", "%q after another was closed", p[:n])
		v.ok(b.Close())
	}},
	{"Object/opened for reading is not written", func(v *volume) {
		f := v.file(v.root, "f")
		o := v.open(f, causeway.IORead)
		defer o.Close()
		_, err := o.WriteAt(v.ctx, []byte("x"), 0)
		v.check(err != nil, "a write through an object opened for reading")
		v.check(v.stat(f).Size == 0, "size %d", v.stat(f).Size)
		v.ok(o.Sync(v.ctx, false))
	}},
	{"Object/mode does not matter", func(v *volume) {
		v.need(v.caps.Modes && (v.caps.Owners || os.Geteuid() == 0)) // else the store itself may not open it
		f := v.create(v.root, "f", causeway.TypeRegular, 0)
		v.write(f, 0, "written")
		v.check(v.read(f, 0, 9) == "written", "%q", v.read(f, 0, 9))
	}},
	{"Object/stays with the file through renames", func(v *volume) {
		f := v.file(v.root, "f")
		o := v.open(f, causeway.IOReadWrite)
		v.ok(v.s.Rename(v.ctx, v.root, "f", v.root, "g"))
		other := v.file(v.root, "f")
		_, err := o.WriteAt(v.ctx, []byte("x"), 0)
		v.ok(err)
		v.ok(o.Sync(v.ctx, true))
		v.ok(o.Close())
		v.check(v.stat(f).Size == 1 && v.stat(other).Size == 0, "sizes %d %d", v.stat(f).Size, v.stat(other).Size)
	}},
	{"Object/outlives its last name", func(v *volume) {
		v.need(v.caps.UnlinkedOpen)
		f := v.file(v.root, "f")
		v.write(f, 0, "before")
		a, b := v.open(f, causeway.IOReadWrite), v.open(f, causeway.IORead)
		v.ok(v.s.Remove(v.ctx, v.root, "f", false))
		v.misses(v.root, "f")
		v.useUnlinked(a)
		v.ok(a.Close())
		p := make([]byte, 20)
		n, err := b.ReadAt(v.ctx, p, 0)
		v.ok(err)
		v.check(string(p[:n]) == "before and after", "%q", p[:n])
		v.ok(b.Close())
		v.gone(f)
		_, err = v.s.Open(v.ctx, f, causeway.IORead, nil)
		v.code(err, causeway.ErrStale)
	}},
	{"Object/outlives being replaced", func(v *volume) {
		v.need(v.caps.UnlinkedOpen && v.caps.Replace)
		f, g := v.file(v.root, "f"), v.file(v.root, "g")
		v.write(f, 0, "before")
		o := v.open(f, causeway.IOReadWrite)
		v.ok(v.s.Rename(v.ctx, v.root, "g", v.root, "f"))
		v.useUnlinked(o)
		v.ok(o.Close())
		v.gone(f)
		v.finds(v.root, "f", g)
		v.check(v.stat(g).Size == 0, "size %d", v.stat(g).Size)
	}},
	{"Object/many at once", func(v *volume) {
		f := v.file(v.root, "f")
		var open []backend.Object
		for range 100 {
			open = append(open, v.open(f, causeway.IOReadWrite))
		}
		for i, o := range open {
			_, err := o.WriteAt(v.ctx, []byte{byte(i)}, uint64(i))
			v.ok(err)
			v.ok(o.Close())
		}
		got := v.read(f, 0, 200)
		for i := range open {
			v.check(got[i] == byte(i), "byte %d is %d", i, got[i])
		}
	}},
	{"Object/descriptor", func(v *volume) {
		f := v.file(v.root, "f")
		o := v.open(f, causeway.IORead)
		defer o.Close()
		if d, can := o.(backend.Descriptor); can {
			v.check(d.FD() >= 0, "descriptor %d", d.FD())
		}
	}},
}

// useUnlinked uses an open file that has no name and holds "before".
func (v *volume) useUnlinked(o backend.Object) {
	v.Helper()
	a, err := o.Stat(v.ctx)
	v.ok(err)
	v.check(a.Nlink == 0 && a.Size == 6, "unlinked: %+v", a)
	_, err = o.WriteAt(v.ctx, []byte(" and after"), 6)
	v.ok(err)
	p := make([]byte, 20)
	n, err := o.ReadAt(v.ctx, p, 0)
	v.ok(err)
	v.check(string(p[:n]) == "before and after", "%q", p[:n])
	v.ok(o.Sync(v.ctx, false))
}
