package mem_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
)

// opened makes a file of some size and opens it.
func opened(t testing.TB, s *mem.Store, size int) (causeway.ObjectID, backend.Object) {
	ctx := context.Background()
	id, _, err := s.Create(ctx, s.Root(), "f", &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o644})
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Open(ctx, id, causeway.IOReadWrite, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.WriteAt(ctx, make([]byte, size), 0); err != nil {
		t.Fatal(err)
	}
	return id, o
}

// TestNoAllocation: what the data path does again and again takes no memory.
func TestNoAllocation(t *testing.T) {
	s := mem.New(mem.Config{})
	defer s.Close()
	ctx := context.Background()
	id, o := opened(t, s, 1<<20)
	p := make([]byte, 64<<10)
	for name, do := range map[string]func() error{
		"Stat":        func() error { _, err := s.Stat(ctx, id); return err },
		"Object.Stat": func() error { _, err := o.Stat(ctx); return err },
		"Lookup":      func() error { _, _, err := s.Lookup(ctx, s.Root(), "f"); return err },
		"ReadAt":      func() error { _, err := o.ReadAt(ctx, p, 1000); return err },
	} {
		if n := testing.AllocsPerRun(100, func() {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkStat(b *testing.B) {
	s := mem.New(mem.Config{})
	id, _ := opened(b, s, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Stat(context.Background(), id); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadAt4K(b *testing.B) { benchmarkReadAt(b, 4<<10) }
func BenchmarkReadAt1M(b *testing.B) { benchmarkReadAt(b, 1<<20) }

func benchmarkReadAt(b *testing.B, n int) {
	_, o := opened(b, mem.New(mem.Config{}), 4<<20)
	p := make([]byte, n)
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		if got, err := o.ReadAt(context.Background(), p, 1<<20); err != nil || got != n {
			b.Fatal(got, err)
		}
	}
}

func BenchmarkWriteAt4K(b *testing.B) {
	_, o := opened(b, mem.New(mem.Config{}), 4<<20)
	p := make([]byte, 4<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.WriteAt(context.Background(), p, 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}

func TestBound(t *testing.T) {
	ctx := context.Background()
	s := mem.New(mem.Config{MaxBytes: 100 << 10})
	defer s.Close()
	free := func() uint64 {
		fs, err := s.StatFS(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return fs.FreeBytes
	}
	start := free()
	id, o := opened(t, s, 50<<10)
	if _, err := o.WriteAt(ctx, make([]byte, 60<<10), 40<<10); !errors.Is(err, causeway.ErrNoSpc) {
		t.Errorf("a write beyond the bound: %v", err)
	}
	if a, _ := s.Stat(ctx, id); a.Size != 50<<10 {
		t.Errorf("size %d after a write that was refused", a.Size)
	}
	if _, err := o.WriteAt(ctx, []byte("x"), 1<<40); err != nil {
		t.Errorf("a write behind a hole: %v", err)
	}
	var err error
	made := 0
	for err == nil {
		_, _, err = s.Create(ctx, s.Root(), strings.Repeat("n", made+2), &backend.CreateSpec{Type: causeway.TypeRegular})
		made++
	}
	if !errors.Is(err, causeway.ErrNoSpc) || made < 10 {
		t.Errorf("%d objects, then %v", made, err)
	}
	if err := s.Rename(ctx, s.Root(), "f", s.Root(), strings.Repeat("long", 50)); err != nil {
		t.Errorf("a rename in a full store: %v", err)
	}
	if err := s.SetStat(ctx, id, &causeway.SetAttr{Mask: causeway.SetSize}); err != nil {
		t.Error(err)
	}
	for i := range made - 1 {
		if err := s.Remove(ctx, s.Root(), strings.Repeat("n", i+2), false); err != nil {
			t.Error(err)
		}
	}
	if err := s.Remove(ctx, s.Root(), strings.Repeat("long", 50), false); err != nil {
		t.Error(err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	if free() != start {
		t.Errorf("%d bytes free after everything was removed, %d before", free(), start)
	}
}

func TestClosed(t *testing.T) {
	ctx := context.Background()
	s := mem.New(mem.Config{})
	id, o := opened(t, s, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, statErr := s.Stat(ctx, id)
	_, readErr := o.ReadAt(ctx, nil, 0)
	_, _, createErr := s.Create(ctx, s.Root(), "g", &backend.CreateSpec{Type: causeway.TypeRegular})
	for name, err := range map[string]error{"stat": statErr, "read": readErr, "create": createErr, "persist": s.Persist(ctx, id), "close": o.Close()} {
		if !errors.Is(err, causeway.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzID: no id but one that was given out finds an object.
func FuzzID(f *testing.F) {
	s := mem.New(mem.Config{Generation: 7})
	id, _ := opened(f, s, 0)
	root := s.Root()
	f.Add(id[:])
	f.Add(root[:])
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var got causeway.ObjectID
		copy(got[:], b)
		_, err := s.Stat(context.Background(), got)
		if known := got == id || got == root; known != (err == nil) || !known && !errors.Is(err, causeway.ErrStale) {
			t.Errorf("%v: %v", got, err)
		}
	})
}

// FuzzCookie: whatever the cookie, a listing ends, and tells nothing twice.
func FuzzCookie(f *testing.F) {
	ctx := context.Background()
	s := mem.New(mem.Config{})
	for _, name := range []string{"a", "b", "c", "d"} {
		if _, _, err := s.Create(ctx, s.Root(), name, &backend.CreateSpec{Type: causeway.TypeRegular}); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(uint64(0))
	f.Add(uint64(3))
	f.Add(^uint64(0))
	f.Fuzz(func(t *testing.T, cookie uint64) {
		last := cookie
		eof, err := s.List(ctx, s.Root(), cookie, true, func(e *causeway.DirEntry) bool {
			if e.Cookie <= last {
				t.Errorf("cookie %d behind %d", e.Cookie, last)
			}
			last = e.Cookie
			return true
		})
		if eof == (err != nil) || err != nil && !errors.Is(err, causeway.ErrBadCookie) {
			t.Errorf("eof %v, %v", eof, err)
		}
	})
}
