package billy_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	gobilly "github.com/go-git/go-billy/v5"

	"causeway"
	"causeway/backend"
	"causeway/backend/backendtest"
	"causeway/backend/billyfs"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/billy"
	"causeway/gateway/transfer"
)

// holder breaks the circle between access, which recalls grants, and transfer, which asks for them.
type holder struct{ gateway.Holder }

const volume causeway.VolumeID = 7

// engines puts the local engines on a store.
func engines(s backend.Store) (*access.Engine, *transfer.Engine) {
	h := &holder{}
	a := access.New(access.Config{Holder: h})
	t := transfer.New(transfer.Config{Grants: a})
	h.Holder = t
	a.Attach(&causeway.Volume{ID: volume, Name: "v", Async: true}, s)
	t.Attach(volume, s)
	return a, t
}

type fixture struct {
	testing.TB
	gobilly.Filesystem
	as func(uid uint32) gobilly.Filesystem
}

func newFixture(t testing.TB) *fixture {
	s := mem.New(mem.Config{Mode: 0o777})
	a, tr := engines(s)
	t.Cleanup(func() {
		if err := errors.Join(tr.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	as := func(uid uint32) gobilly.Filesystem {
		return billy.New(context.Background(), a, tr, volume, gateway.Caller{Cred: causeway.Cred{UID: uid, GID: uid}})
	}
	return &fixture{t, as(0), as}
}

func (f *fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) is(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Fatalf("error %v, want %v", err, want)
	}
}

func (f *fixture) write(name, data string) {
	f.Helper()
	w, err := f.Create(name)
	f.ok(err)
	_, err = io.WriteString(w, data)
	f.ok(err)
	f.ok(w.Close())
}

func read(fs gobilly.Filesystem, name string) (string, error) {
	r, err := fs.Open(name)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

func (f *fixture) holds(name, want string) {
	f.Helper()
	got, err := read(f, name)
	f.ok(err)
	if got != want {
		f.Fatalf("%s holds %q, want %q", name, got, want)
	}
}

func TestBothDirections(t *testing.T) {
	// A store in a billy filesystem in the engines on a store: the conformance suite of stores holds through all of it.
	backendtest.Run(t, backendtest.Options{
		New: func(t testing.TB) backend.Store {
			s, err := billyfs.New(newFixture(t).Filesystem, billyfs.Config{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Caps: backendtest.Caps{Symlinks: true, Modes: true, Owners: true, Times: true, StableTimes: true, ChangeTimes: true, SetIDClear: true, Replace: true},
	})
}

func TestOpenFlags(t *testing.T) {
	f := newFixture(t)
	_, err := f.Open("f")
	f.is(err, os.ErrNotExist)
	f.is(err, causeway.ErrNoEnt)
	f.write("dir/sub/f", "0123456789") // parents are made
	_, err = f.OpenFile("dir/sub/f", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	f.is(err, os.ErrExist)
	w, err := f.OpenFile("dir/sub/f", os.O_WRONLY|os.O_CREATE, 0o600)
	f.ok(err)
	_, err = io.WriteString(w, "ab")
	f.ok(err)
	_, err = w.Read(make([]byte, 1))
	f.is(err, os.ErrPermission)
	f.ok(w.Close())
	f.is(w.Close(), os.ErrClosed)
	f.holds("dir/sub/f", "ab23456789")
	a, err := f.OpenFile("dir/sub/f", os.O_WRONLY|os.O_APPEND, 0)
	f.ok(err)
	f.ok(f.Rename("dir/sub/f", "g"))
	_, err = io.WriteString(a, "!")
	f.ok(err)
	f.ok(a.Close())
	f.holds("g", "ab23456789!")
	r, err := f.OpenFile("g", os.O_RDONLY|os.O_TRUNC, 0)
	f.ok(err)
	_, err = r.Write([]byte("x"))
	f.is(err, os.ErrPermission)
	f.ok(r.Close())
	f.holds("g", "")
	_, err = f.Open("dir")
	f.is(err, causeway.ErrIsDir)
	_, err = f.Open("g/x")
	f.is(err, causeway.ErrNotDir)
}

func TestReadSeekTruncate(t *testing.T) {
	f := newFixture(t)
	big := strings.Repeat("0123456789abcdef", 200_000) // several transfers
	f.write("f", big)
	f.holds("f", big)
	r, err := f.OpenFile("f", os.O_RDWR, 0)
	f.ok(err)
	defer r.Close()
	p := make([]byte, 8)
	for _, c := range []struct {
		offset int64
		whence int
		at     int64
		want   string
	}{{3, io.SeekStart, 3, "3456789a"}, {-8, io.SeekCurrent, 3, "3456789a"}, {-4, io.SeekEnd, int64(len(big)) - 4, "cdef"}, {5, io.SeekEnd, int64(len(big)) + 5, ""}} {
		at, err := r.Seek(c.offset, c.whence)
		f.ok(err)
		n, err := r.Read(p)
		if at != c.at || string(p[:n]) != c.want || (n == 0) != (err == io.EOF) {
			t.Errorf("seek %d/%d: at %d, read %q, %v", c.offset, c.whence, at, p[:n], err)
		}
	}
	n, err := r.ReadAt(p, int64(len(big))-3)
	if n != 3 || err != io.EOF {
		t.Errorf("ReadAt the end: %d, %v", n, err)
	}
	_, err = r.Seek(-1, io.SeekStart)
	f.is(err, causeway.ErrInval)
	_, err = r.ReadAt(p, -1)
	f.is(err, causeway.ErrInval)
	f.ok(r.Truncate(4))
	f.holds("f", "0123")
	f.ok(r.Truncate(6))
	f.holds("f", "0123\x00\x00")
	f.is(r.Truncate(-1), causeway.ErrInval)
}

func TestLinksStayInside(t *testing.T) {
	f := newFixture(t)
	f.write("secret", "outside")
	f.write("jail/in/f", "inside")
	jail, err := f.Chroot("jail")
	f.ok(err)
	if jail.Root() != "/jail" {
		t.Errorf("root is %q", jail.Root())
	}
	for name, target := range map[string]string{"up": "../secret", "far": "../../../../../secret", "abs": "/secret", "deep": "in/../../secret"} {
		f.ok(jail.Symlink(target, name))
		_, err := read(jail, name)
		f.is(err, os.ErrNotExist)
		got, err := jail.Readlink(name)
		f.ok(err)
		if got != target {
			t.Errorf("target of %s is %q", name, got)
		}
	}
	for _, p := range []string{"../secret", "/../secret", "in/../../secret"} {
		_, err := read(jail, p)
		f.is(err, os.ErrNotExist)
	}
	f.ok(jail.Symlink("/in/f", "good"))
	f.ok(jail.Symlink("../in", "in/self"))
	f.ok(jail.Symlink("/in/f", "in/abs"))
	for _, p := range []string{"good", "in/self/f", "in/self/self/../in/f", "./in//f", "in/abs"} {
		if got, err := read(jail, p); err != nil || got != "inside" {
			t.Errorf("%s: %q, %v", p, got, err)
		}
	}
	f.ok(jail.Symlink("/in/made", "dangling")) // opened for creation, a link makes its target
	w, err := jail.Create("dangling")
	f.ok(err)
	f.ok(w.Close())
	_, err = f.Lstat("jail/in/made")
	f.ok(err)
}

func TestLinksAreBounded(t *testing.T) {
	f := newFixture(t)
	f.ok(f.Symlink("loop", "loop"))
	_, err := f.Open("loop")
	f.is(err, causeway.ErrLoop)
	f.write("l0", "end")
	for i := range 45 {
		f.ok(f.Symlink("l"+string(rune('0'+i)), "l"+string(rune('1'+i))))
	}
	f.holds("l"+string(rune('0'+40)), "end")
	_, err = f.Open("l" + string(rune('0'+41)))
	f.is(err, causeway.ErrLoop)
	i, err := f.Lstat("loop")
	f.ok(err)
	if i.Mode()&os.ModeSymlink == 0 {
		t.Errorf("mode %v", i.Mode())
	}
	f.ok(f.Remove("loop"))
}

func TestDirectories(t *testing.T) {
	f := newFixture(t)
	f.ok(f.MkdirAll("a/b/c", 0o750))
	f.ok(f.MkdirAll("a/b/c", 0o700))
	i, err := f.Stat("a/b")
	f.ok(err)
	if !i.IsDir() || i.Mode().Perm() != 0o750 || i.Name() != "b" {
		t.Errorf("%s: %v", i.Name(), i.Mode())
	}
	for _, name := range []string{"z", "y", "x"} {
		f.write("a/"+name, name)
	}
	f.is(f.MkdirAll("a/x/y", 0o755), causeway.ErrNotDir)
	found, err := f.ReadDir("a")
	f.ok(err)
	var names []string
	for _, i := range found {
		names = append(names, i.Name())
	}
	if got := strings.Join(names, " "); got != "b x y z" {
		t.Errorf("listed %q", got)
	}
	f.is(f.Remove("a"), causeway.ErrNotEmpty)
	f.is(f.Remove("/"), causeway.ErrBusy)
	f.is(f.Rename("a", "a/b/c/d"), causeway.ErrInval)
	f.ok(f.Remove("a/b/c"))
	f.ok(f.Rename("a/x", "new/dir/x"))
	f.holds("new/dir/x", "x")
	tmp, err := f.TempFile("new", "tmp-")
	f.ok(err)
	if !strings.HasPrefix(tmp.Name(), "/new/tmp-") {
		t.Errorf("named %q", tmp.Name())
	}
	f.ok(tmp.Close())
}

func TestRightsAreTheCallers(t *testing.T) {
	f := newFixture(t)
	f.write("f", "private")
	change := f.Filesystem.(gobilly.Change)
	f.ok(change.Chmod("f", 0o640))
	user := f.as(1000)
	_, err := user.Open("f")
	f.is(err, os.ErrPermission)
	f.is(user.(gobilly.Change).Chmod("f", 0o666), os.ErrPermission)
	f.ok(change.Chown("f", 1000, -1))
	_, err = read(user, "f")
	f.ok(err)
	then := time.Unix(1_000_000_000, 123_456_789)
	f.ok(user.(gobilly.Change).Chtimes("f", time.Time{}, then))
	i, err := f.Stat("f")
	f.ok(err)
	if a := i.Sys().(*causeway.Attr); !i.ModTime().Equal(then) || a.UID != 1000 || a.GID != 0 || a.Mode != 0o640 {
		t.Errorf("%v, %+v", i.ModTime(), a)
	}
}

func TestLocksExclude(t *testing.T) {
	f := newFixture(t)
	f.write("f", "0")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				w, err := f.OpenFile("f", os.O_RDWR, 0)
				if err != nil {
					t.Error(err)
					return
				}
				if err := w.Lock(); err != nil {
					t.Error(err)
				}
				b := make([]byte, 100)
				n, _ := w.ReadAt(b, 0)
				if _, err := w.Write(append(b[:n], 'x')); err != nil {
					t.Error(err)
				}
				if err := w.Close(); err != nil { // unlocks
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	f.holds("f", "0"+strings.Repeat("x", 40))
}

func TestLockWaitsNoLongerThanItsContext(t *testing.T) {
	s := mem.New(mem.Config{Mode: 0o777})
	defer s.Close()
	a, tr := engines(s)
	defer tr.Close()
	ctx, cancel := context.WithCancel(context.Background())
	first, second := billy.New(context.Background(), a, tr, volume, gateway.Caller{}), billy.New(ctx, a, tr, volume, gateway.Caller{})
	holding, err := first.Create("f")
	if err != nil {
		t.Fatal(err)
	}
	defer holding.Close()
	if err := holding.Lock(); err != nil {
		t.Fatal(err)
	}
	waiting, err := second.Open("f")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- waiting.Lock() }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("waiting ends with %v", err)
	}
}
