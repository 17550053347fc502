package posix

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"causeway"
	"causeway/backend"
)

// logTo sends the store's log to the test's.
func logTo(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// open opens a directory for a test.
func open(t testing.TB, dir string, cfg Config) *Store {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = logTo(t)
	}
	s, err := Open(context.Background(), dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantCode(t testing.TB, err error, want causeway.Code) {
	t.Helper()
	if got := causeway.CodeOf(err); got != want {
		t.Fatalf("got %v (%v), want %v", got, err, want)
	}
}

// mk makes an object owned by the process.
func mk(t testing.TB, s *Store, dir causeway.ObjectID, name string, typ causeway.FileType) causeway.ObjectID {
	t.Helper()
	id, attr, err := s.Create(context.Background(), dir, name, &backend.CreateSpec{
		Type: typ, Mode: 0o755, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Target: "target",
	})
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	if attr.Type != typ || attr.FileID == 0 {
		t.Fatalf("create %s: %+v", name, attr)
	}
	return id
}

func TestLife(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := open(t, dir, Config{})
	d := mk(t, s, s.Root(), "d", causeway.TypeDirectory)
	f := mk(t, s, d, "f", causeway.TypeRegular)
	o := must[backend.Object](t)(s.Open(ctx, f, causeway.IOReadWrite, nil))
	data := bytes.Repeat([]byte("causeway"), 1000)
	must[int](t)(o.WriteAt(ctx, data, 5))
	if err := o.Sync(ctx, true); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 9000)
	n := must[int](t)(o.(backend.NoWaitReader).ReadAtNoWait(got, 5))
	if !bytes.Equal(got[:n], data) {
		t.Fatal("read differs")
	}
	if err := s.Rename(ctx, d, "f", s.Root(), "g"); err != nil {
		t.Fatal(err)
	}
	if err := s.Link(ctx, f, d, "h"); err != nil {
		t.Fatal(err)
	}
	if err := s.Persist(ctx, s.Root(), d, f); err != nil {
		t.Fatal(err)
	}
	mk(t, s, d, "l", causeway.TypeSymlink)
	mk(t, s, d, "p", causeway.TypeFIFO)
	var names []string
	eof, err := s.List(ctx, s.Root(), 0, true, func(e *causeway.DirEntry) bool {
		names = append(names, e.Name)
		if !e.Attr.Valid() || e.Object.IsZero() || e.FileID != e.Attr.FileID {
			t.Errorf("%q: %+v", e.Name, e)
		}
		return true
	})
	if err != nil || !eof || len(names) != 4 {
		t.Fatal(names, eof, err)
	}
	o.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	again := open(t, dir, Config{})
	if again.VolumeID() != s.VolumeID() {
		t.Fatal("another volume")
	}
	id, attr, err := again.Lookup(ctx, d, "h")
	if err != nil || id != f || attr.Nlink != 2 || attr.Size != 8005 {
		t.Fatal(id, attr, err)
	}
	id, _, err = again.Lookup(ctx, d, "..")
	if err != nil || id != again.Root() {
		t.Fatal(id, err)
	}
	if err := again.Remove(ctx, d, "h", false); err != nil {
		t.Fatal(err)
	}
	if err := again.Remove(ctx, again.Root(), "g", false); err != nil {
		t.Fatal(err)
	}
	_, err = again.Stat(ctx, f)
	wantCode(t, err, causeway.ErrStale)
	wantCode(t, again.Remove(ctx, again.Root(), "d", true), causeway.ErrNotEmpty)
	if _, err := os.Stat(filepath.Join(dir, markerDir, markerFile)); err != nil {
		t.Fatal(err)
	}
	_, _, err = again.Lookup(ctx, again.Root(), markerDir)
	wantCode(t, err, causeway.ErrNoEnt)
}

func TestBoundedCache(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), Config{MaxDescriptors: MinDescriptors})
	var ids []causeway.ObjectID
	for i := range 500 {
		ids = append(ids, mk(t, s, s.Root(), fmt.Sprint(i), causeway.TypeRegular))
	}
	for i, id := range ids {
		if _, err := s.Stat(ctx, id); err != nil {
			t.Fatal(i, err)
		}
	}
	if st := s.Stats(); st.Descriptors > MinDescriptors || st.Evictions < 400 {
		t.Fatalf("%+v", st)
	}
}
