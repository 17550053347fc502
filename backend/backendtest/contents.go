package backendtest

import (
	"bytes"
	"math/rand/v2"

	"causeway"
	"causeway/backend"
)

var contentTests = []test{
	{"Contents/read and write", func(v *volume) {
		f := v.file(v.root, "f")
		v.check(v.read(f, 0, 10) == "", "an empty file holds %q", v.read(f, 0, 10))
		v.write(f, 0, "hello, world")
		v.write(f, 7, "W")
		v.check(v.read(f, 0, 99) == "hello, World", "%q", v.read(f, 0, 99))
		v.check(v.read(f, 7, 5) == "World" && v.read(f, 11, 5) == "d", "%q %q", v.read(f, 7, 5), v.read(f, 11, 5))
		v.check(v.read(f, 12, 5) == "" && v.read(f, 1000, 5) == "", "bytes behind the end")
		v.check(v.stat(f).Size == 12, "size %d", v.stat(f).Size)
		v.write(f, 5, "")
		v.write(f, 500, "")
		v.check(v.stat(f).Size == 12, "writing nothing made the size %d", v.stat(f).Size)
	}},
	{"Contents/not a regular file", func(v *volume) {
		_, err := v.s.Open(v.ctx, v.root, causeway.IORead, nil)
		v.code(err, causeway.ErrIsDir)
		_, _, err = v.s.Extents(v.ctx, v.root, causeway.IORead, causeway.Span{Length: causeway.ToEOF})
		v.code(err, causeway.ErrIsDir)
		for _, typ := range allTypes[2:] {
			if !v.caps.can(typ) {
				continue
			}
			id := v.create(v.root, "x", typ, 0o644)
			_, err := v.s.Open(v.ctx, id, causeway.IOReadWrite, nil)
			v.code(err, causeway.ErrInval)
			_, _, err = v.s.Extents(v.ctx, id, causeway.IOReadWrite, causeway.Span{Length: 1})
			v.code(err, causeway.ErrInval)
			v.ok(v.s.Remove(v.ctx, v.root, "x", false))
		}
	}},
	{"Contents/extents cover the span", func(v *volume) {
		f := v.file(v.root, "f")
		v.write(f, 0, string(make([]byte, 100000)))
		for _, mode := range []causeway.IOMode{causeway.IORead, causeway.IOReadWrite} {
			for _, span := range []causeway.Span{{Length: causeway.ToEOF}, {Offset: 4096, Length: 8192}, {Offset: 99999, Length: 1}} {
				extents, _, err := v.s.Extents(v.ctx, f, mode, span)
				v.ok(err)
				at := span.Offset
				for _, e := range extents {
					end := causeway.Span{Offset: e.FileOffset, Length: e.Length}.End()
					v.check(e.FileOffset <= at && end > at, "%+v leaves a gap at %d", extents, at)
					at = end
				}
				v.check(at >= min(span.End(), 100000), "%+v ends at %d", extents, at)
			}
		}
	}},
	{"Contents/holes", func(v *volume) {
		f := v.file(v.root, "f")
		const far = 64 << 20
		v.write(f, far, "end")
		v.check(v.stat(f).Size == far+3, "size %d", v.stat(f).Size)
		v.check(v.read(f, far-3, 99) == "\x00\x00\x00end", "%q", v.read(f, far-3, 99))
		v.check(v.read(f, 12345, 3) == "\x00\x00\x00", "%q", v.read(f, 12345, 3))
		if v.caps.Holes {
			v.check(v.stat(f).Used < far/2, "a file with a hole of %d bytes uses %d", far, v.stat(f).Used)
		}
		v.set(f, causeway.SetAttr{Mask: causeway.SetSize, Size: 2 * far})
		v.check(v.stat(f).Size == 2*far && v.read(f, 2*far-2, 9) == "\x00\x00", "grown to %d", v.stat(f).Size)
	}},
	{"Contents/large offsets", func(v *volume) {
		f := v.file(v.root, "f")
		v.write(f, 0, "abc")
		o := v.open(f, causeway.IOReadWrite)
		defer o.Close()
		for _, off := range []uint64{1<<63 - 1, 1<<63 - 5, 1 << 63, 1<<64 - 1, 1<<64 - 10} {
			_, err := o.WriteAt(v.ctx, []byte("0123456789"), off)
			v.code(err, causeway.ErrFBig)
			n, err := o.ReadAt(v.ctx, make([]byte, 10), off)
			v.ok(err)
			v.check(n == 0, "%d bytes at %d", n, off)
		}
		v.check(v.stat(f).Size == 3, "size %d after refused writes", v.stat(f).Size)
	}},
	{"Contents/against a model", func(v *volume) {
		seed := uint64(7)
		rnd := rand.New(rand.NewPCG(seed, 0))
		f := v.file(v.root, "f")
		o := v.open(f, causeway.IOReadWrite)
		defer o.Close()
		var model []byte
		for range 1000 {
			off, n := rnd.IntN(40000), rnd.IntN(9000)
			switch rnd.IntN(6) {
			case 5:
				v.holesRead(o, model)
			case 0, 1, 2:
				model = v.writeBoth(o, rnd, model, off, n)
			case 3:
				model = resized(model, off)
				v.set(f, causeway.SetAttr{Mask: causeway.SetSize, Size: uint64(off)})
			case 4:
				if p, can := o.(backend.Puncher); can && n > 0 {
					v.ok(p.Punch(v.ctx, causeway.Span{Offset: uint64(off), Length: uint64(n)}))
					clear(model[min(off, len(model)):min(off+n, len(model))])
				}
			}
			v.readBoth(o, model, off, n)
		}
		v.readBoth(o, model, 0, 1<<17)
		a, err := o.Stat(v.ctx)
		v.ok(err)
		v.check(a.Size == uint64(len(model)) && a == v.stat(f), "size %d, want %d", a.Size, len(model))
	}},
	{"Contents/times", func(v *volume) {
		v.need(v.caps.ChangeTimes)
		f := v.file(v.root, "f")
		before := v.stat(f)
		v.tick()
		v.write(f, 0, "x")
		v.changed(f, before, true)
		before = v.stat(f)
		v.tick()
		v.read(f, 0, 1)
		a := v.stat(f)
		v.check(a.Mtime == before.Mtime && a.Ctime == before.Ctime, "reading changed %+v to %+v", before, a)
	}},
	{"Contents/writing clears set-user-id", func(v *volume) {
		v.need(v.caps.SetIDClear)
		f := v.create(v.root, "f", causeway.TypeRegular, 0o6755)
		v.write(f, 0, "x")
		v.check(v.stat(f).Mode == 0o755, "mode %o after a write", v.stat(f).Mode)
		v.set(f, causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o4755})
		v.read(f, 0, 1)
		v.check(v.stat(f).Mode == 0o4755, "mode %o after a read", v.stat(f).Mode)
	}},
}

func (v *volume) writeBoth(o backend.Object, rnd *rand.Rand, model []byte, off, n int) []byte {
	v.Helper()
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(1 + rnd.IntN(255))
	}
	got, err := o.WriteAt(v.ctx, data, uint64(off))
	v.ok(err)
	v.check(got == n, "wrote %d of %d", got, n)
	if n > 0 {
		model = resized(model, max(len(model), off+n))
		copy(model[off:], data)
	}
	return model
}

func (v *volume) readBoth(o backend.Object, model []byte, off, n int) {
	v.Helper()
	p := bytes.Repeat([]byte{0xee}, n)
	got, err := o.ReadAt(v.ctx, p, uint64(off))
	v.ok(err)
	want := model[min(off, len(model)):min(off+n, len(model))]
	v.check(bytes.Equal(p[:got], want), "%d bytes at %d differ from the model's %d", got, off, len(want))
	if nw, can := o.(backend.NoWaitReader); can {
		got, err := nw.ReadAtNoWait(p, uint64(off))
		v.code(err, causeway.OK, causeway.ErrWouldBlock)
		v.check(err != nil || bytes.Equal(p[:got], want), "the read without waiting differs")
	}
}

// resized returns b with length n, filled with zeros.
func resized(b []byte, n int) []byte {
	if n <= len(b) {
		return b[:n:n]
	}
	return append(b, make([]byte, n-len(b))...)
}

// holesRead checks that the parts that the store tells to take storage come in order, and that nothing else than zeros lies between them.
func (v *volume) holesRead(o backend.Object, model []byte) {
	f, can := o.(backend.DataFinder)
	if !can {
		return
	}
	for off := uint64(0); off < uint64(len(model)); {
		s, err := f.Data(v.ctx, off)
		v.ok(err)
		from := uint64(len(model))
		if s.Length > 0 {
			from = min(s.Offset, from)
		}
		v.check(from >= off, "data at %d, asked for what is behind %d", from, off)
		for i, b := range model[off:from] {
			v.check(b == 0, "a hole at %d, where there is data", off+uint64(i))
		}
		if off = s.End(); s.Length == 0 {
			return
		}
	}
}
