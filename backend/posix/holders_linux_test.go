package posix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"causeway"
	"causeway/backend"
	"causeway/backend/backendtest"
)

// twoHolders opens a directory as two gateways do.
func twoHolders(t testing.TB, dirs [2]string, identity Identity) (a, b *Store) {
	a = open(t, dirs[0], Config{Identity: identity, Holder: "g1", StateDir: t.TempDir(), MaxDescriptors: MinDescriptors})
	b = open(t, dirs[1], Config{Holder: "g2", StateDir: t.TempDir(), MaxDescriptors: MinDescriptors})
	return a, b
}

// eachSharing runs a test for two holders of one local directory, and of two mounts of a GlusterFS volume if CAUSEWAY_MOUNTS names
// them ("DIR:DIR").
func eachSharing(t *testing.T, f func(t *testing.T, dirs [2]string)) {
	t.Run("local", func(t *testing.T) {
		dir := t.TempDir()
		f(t, [2]string{dir, dir})
	})
	if mounts := filepath.SplitList(os.Getenv("CAUSEWAY_MOUNTS")); len(mounts) == 2 {
		t.Run("mounts", func(t *testing.T) {
			name := fmt.Sprintf("holders-%d", os.Getpid())
			var dirs [2]string
			for i, m := range mounts {
				dirs[i] = filepath.Join(m, name)
			}
			if err := os.Mkdir(dirs[0], 0o777); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dirs[0]) })
			f(t, dirs)
		})
	}
}

// forget makes a store find everything by its index again.
func forget(s *Store) { s.cache.shrink(1 << 30) }

func TestTwoHoldersAgree(t *testing.T) {
	eachSharing(t, func(t *testing.T, dirs [2]string) {
		ctx := context.Background()
		a, b := twoHolders(t, dirs, IdentityIndex)
		if a.VolumeID() != b.VolumeID() || a.Root() != b.Root() {
			t.Fatal("two volumes")
		}
		if err := errors.Join(a.Shareable(), b.Shareable()); err != nil || a.Coherent() {
			t.Fatal(err, a.Coherent())
		}
		d := mk(t, a, a.Root(), "d", causeway.TypeDirectory)
		f := mk(t, a, d, "f", causeway.TypeRegular)
		o := must[backend.Object](t)(a.Open(ctx, f, causeway.IOReadWrite, nil))
		must[int](t)(o.WriteAt(ctx, []byte("written by one"), 0))
		if err := errors.Join(o.Sync(ctx, false), o.Close()); err != nil {
			t.Fatal(err)
		}
		if id, _, err := b.Lookup(ctx, b.Root(), "d"); err != nil || id != d {
			t.Fatal(id, d, err)
		}
		_, loc, err := a.Extents(ctx, f, causeway.IOReadWrite, causeway.Span{Length: causeway.ToEOF})
		if err != nil || len(loc) == 0 {
			t.Fatal(loc, err)
		}
		o = must[backend.Object](t)(b.Open(ctx, f, causeway.IOReadWrite, loc))
		buf := make([]byte, 14)
		if n := must[int](t)(o.ReadAt(ctx, buf, 0)); string(buf[:n]) != "written by one" {
			t.Fatalf("%q", buf[:n])
		}
		o.Close()
		if b.Stats().Scans != 0 {
			t.Fatal("a locator needed a scan")
		}
		wantCode(t, a.Remove(ctx, d, "f", false), causeway.OK)
		forget(b)
		_, err = b.Open(ctx, f, causeway.IORead, loc)
		wantCode(t, err, causeway.ErrDelay)
		_, err = b.Stat(ctx, f)
		wantCode(t, err, causeway.ErrStale)
	})
}

// TestOldLocator renames what was located: the object's name, its directory, and what gets its place.
func TestOldLocator(t *testing.T) {
	eachSharing(t, func(t *testing.T, dirs [2]string) {
		ctx := context.Background()
		a, b := twoHolders(t, dirs, IdentityIndex)
		d := mk(t, a, a.Root(), "d", causeway.TypeDirectory)
		e := mk(t, a, d, "e", causeway.TypeDirectory)
		f := mk(t, a, e, "f", causeway.TypeRegular)
		locate := func() causeway.Locator {
			_, loc, err := a.Extents(ctx, f, causeway.IORead, causeway.Span{Length: 1})
			if err != nil || loc == nil {
				t.Fatal(loc, err)
			}
			return loc
		}
		old := locate()
		wantCode(t, a.Rename(ctx, e, "f", d, "g"), causeway.OK)
		mk(t, a, e, "f", causeway.TypeRegular)
		wantCode(t, a.Rename(ctx, a.Root(), "d", a.Root(), "moved"), causeway.OK)
		_, err := b.Open(ctx, f, causeway.IORead, old)
		if !errors.Is(err, backend.ErrMoved) {
			t.Fatal(err)
		}
		o := must[backend.Object](t)(b.Open(ctx, f, causeway.IORead, locate()))
		attr, err := o.Stat(ctx)
		o.Close()
		if ino, _ := parseIndexID(f); err != nil || attr.FileID != ino {
			t.Fatal(attr, err)
		}
		if scans := a.Stats().Scans + b.Stats().Scans; scans != 0 {
			t.Fatalf("%d scans", scans)
		}
	})
}

// TestNewOwnerKnows lets one holder change the tree and end, and another one answer for all of it: by what the first had learned.
func TestNewOwnerKnows(t *testing.T) {
	eachSharing(t, func(t *testing.T, dirs [2]string) {
		ctx := context.Background()
		a, b := twoHolders(t, dirs, IdentityIndex)
		var ids []causeway.ObjectID
		parent := a.Root()
		for i := range 20 {
			parent = mk(t, a, parent, fmt.Sprint("d", i), causeway.TypeDirectory)
			ids = append(ids, parent, mk(t, a, parent, "f", causeway.TypeRegular))
		}
		wantCode(t, a.Rename(ctx, a.Root(), "d0", a.Root(), "again"), causeway.OK)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		for i := range ids {
			if _, err := b.Stat(ctx, ids[len(ids)-1-i]); err != nil {
				t.Fatal(i, err)
			}
		}
		if scans := b.Stats().Scans; scans != 0 {
			t.Fatalf("%d scans", scans)
		}
	})
}

// TestDamagedLoan reads an index of another gateway that is damaged in many ways: that costs a scan at most.
func TestDamagedLoan(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	a := open(t, dir, Config{Identity: IdentityIndex, Holder: "g1"})
	var ids []causeway.ObjectID
	for i := range 200 {
		ids = append(ids, mk(t, a, a.Root(), fmt.Sprint("f", i), causeway.TypeRegular))
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, markerDir, "index-g1.db")
	whole := must[[]byte](t)(os.ReadFile(file))
	for round, damage := range []func(b []byte) []byte{
		func(b []byte) []byte { return b[:len(b)/2] },
		func(b []byte) []byte { return b[:100] },
		func(b []byte) []byte {
			for i := 2 * 4096; i < len(b); i += 7 {
				b[i] ^= byte(i)
			}
			return b
		},
		func(b []byte) []byte { return nil },
	} {
		if err := os.WriteFile(file, damage(append([]byte(nil), whole...)), 0o600); err != nil {
			t.Fatal(err)
		}
		b := open(t, dir, Config{Holder: fmt.Sprint("h", round)})
		for _, id := range ids {
			if _, err := b.Stat(ctx, id); err != nil {
				t.Fatal(round, err)
			}
		}
		b.Close()
		os.Remove(filepath.Join(dir, markerDir, fmt.Sprintf("index-h%d.db", round)))
	}
}

// TestReusedNumbersAreRefused makes a volume like those of FUSE file systems that tell no times of birth.
func TestReusedNumbersAreRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, markerDir), 0o700); err != nil {
		t.Fatal(err)
	}
	raw := `{"format": 1, "volume": "00000000000000aa", "identity": "index", "generation": "none"}`
	if err := os.WriteFile(filepath.Join(dir, markerDir, markerFile), []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Config{Holder: "g1"})
	if s.SafeInCluster() == nil || s.Shareable() == nil {
		t.Fatal("accepted")
	}
	if s := open(t, t.TempDir(), Config{Identity: IdentityIndex}); s.SafeInCluster() != nil || s.Shareable() == nil {
		t.Fatal("with times of birth, it is only the holder's name that is missing")
	}
	if _, err := Open(context.Background(), t.TempDir(), Config{Holder: "a/b"}); err == nil {
		t.Fatal("a name with a slash")
	}
}

// TestHoldersInTurn runs operations alternately at two holders; each must see what the other did, with the same ids.
func TestHoldersInTurn(t *testing.T) {
	eachSharing(t, func(t *testing.T, dirs [2]string) {
		ctx := context.Background()
		a, b := twoHolders(t, dirs, IdentityIndex)
		stores := [2]*Store{a, b}
		where := map[causeway.ObjectID]string{}
		top := [2]causeway.ObjectID{mk(t, a, a.Root(), "x", causeway.TypeDirectory), mk(t, b, b.Root(), "y", causeway.TypeDirectory)}
		for i := range 150 {
			s, other := stores[i%2], stores[1-i%2]
			name := fmt.Sprint("n", i)
			id := mk(t, s, top[i%2], name, causeway.TypeRegular)
			if found, _, err := other.Lookup(ctx, top[i%2], name); err != nil || found != id {
				t.Fatal(i, found, id, err)
			}
			if i%3 == 0 {
				wantCode(t, other.Rename(ctx, top[i%2], name, top[1-i%2], name+"r"), causeway.OK)
				name += "r"
			}
			where[id] = name
			if i%10 == 9 {
				forget(a)
				forget(b)
			}
			_, loc, err := other.Extents(ctx, id, causeway.IORead, causeway.Span{Length: 1})
			if err != nil {
				t.Fatal(i, err)
			}
			o := must[backend.Object](t)(s.Open(ctx, id, causeway.IORead, loc))
			o.Close()
		}
		for id, name := range where {
			for i, s := range stores {
				if _, err := s.Stat(ctx, id); err != nil {
					t.Fatalf("%s at holder %d: %v", name, i, err)
				}
			}
		}
	})
}

// TestLivingIsNeverStale moves directories and files about while another store, which hears of nothing, looks for them.
func TestLivingIsNeverStale(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	a, b := twoHolders(t, [2]string{dir, dir}, IdentityIndex)
	var tops, ids []causeway.ObjectID
	for i := range 6 {
		top := mk(t, a, a.Root(), fmt.Sprint("top", i), causeway.TypeDirectory)
		tops = append(tops, top)
	}
	sub := mk(t, a, tops[0], "sub", causeway.TypeDirectory)
	ids = append(ids, sub, mk(t, a, sub, "f", causeway.TypeRegular), mk(t, a, tops[0], "g", causeway.TypeRegular))
	ctx, stop := context.WithCancel(ctx)
	var mover sync.WaitGroup
	mover.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			from, to := tops[i%len(tops)], tops[(i+1)%len(tops)]
			for _, name := range []string{"sub", "g"} {
				if err := a.Rename(context.Background(), from, name, to, name); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range choose(3, 20) {
		for _, id := range ids {
			forget(b)
			if _, err := b.Stat(context.Background(), id); err != nil && causeway.CodeOf(err) != causeway.ErrDelay {
				t.Error(err)
			}
		}
	}
	stop()
	mover.Wait()
}

func choose(short, long int) int {
	if testing.Short() {
		return short
	}
	return long
}

// TestConformanceOfTwoHolders runs the suite for a store whose volume another gateway has open.
func TestConformanceOfTwoHolders(t *testing.T) {
	caps := asRoot()
	if os.Geteuid() != 0 {
		caps = asUser()
	}
	dirs := map[causeway.VolumeID]string{}
	holder := 0
	start := func(t testing.TB, dir string) backend.Store {
		holder++
		s := must[*Store](t)(Open(context.Background(), dir, Config{Identity: IdentityIndex, Holder: fmt.Sprint("g", holder%2)}))
		dirs[s.VolumeID()] = dir
		return &pair{Store: s, other: must[*Store](t)(Open(context.Background(), dir, Config{Holder: "other"}))}
	}
	backendtest.Run(t, backendtest.Options{
		Caps: caps,
		New:  func(t testing.TB) backend.Store { return start(t, t.TempDir()) },
		Reopen: func(t testing.TB, s backend.Store) backend.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return start(t, dirs[s.(*pair).VolumeID()])
		},
	})
}

// pair is a store whose changes are made by one holder and whose answers come from the other; bytes come from the one that did not make
// the file.
type pair struct {
	*Store
	other *Store
}

func (p *pair) Lookup(ctx context.Context, dir causeway.ObjectID, name string) (causeway.ObjectID, causeway.Attr, error) {
	return p.other.Lookup(ctx, dir, name)
}

func (p *pair) Open(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, _ causeway.Locator) (backend.Object, error) {
	_, loc, err := p.Extents(ctx, id, mode, causeway.Span{Length: causeway.ToEOF})
	if err != nil {
		return nil, err
	}
	return p.other.Open(ctx, id, mode, loc)
}

func (p *pair) Close() error { return errors.Join(p.other.Close(), p.Store.Close()) }

// FuzzLocator opens by made-up locators: they lead to the object that is asked for or to an error.
func FuzzLocator(f *testing.F) {
	ctx := context.Background()
	dir := f.TempDir()
	s := open(f, dir, Config{Identity: IdentityIndex, Holder: "g1"})
	d := mk(f, s, s.Root(), "d", causeway.TypeDirectory)
	id := mk(f, s, d, "f", causeway.TypeRegular)
	mk(f, s, d, "g", causeway.TypeRegular)
	mk(f, s, d, "l", causeway.TypeSymlink)
	_, loc, err := s.Extents(ctx, id, causeway.IORead, causeway.Span{Length: 1})
	if err != nil {
		f.Fatal(err)
	}
	root := s.mount.ino
	ino, _ := parseIndexID(d)
	f.Add([]byte(loc))
	f.Add([]byte(formatLocator([]place{{ino, "g"}, {root, "d"}})))
	f.Add([]byte(formatLocator([]place{{ino, "l"}, {root, "d"}})))
	f.Add([]byte(formatLocator([]place{{root, markerDir}})))
	f.Add([]byte(formatLocator([]place{{ino, ".."}, {root, "d"}})))
	f.Add([]byte{locatorVersion})
	f.Add([]byte(nil))
	want, _ := parseIndexID(id)
	f.Fuzz(func(t *testing.T, b []byte) {
		if steps := parseLocator(b); steps != nil && string(formatLocator(steps)) != string(b) {
			t.Fatalf("%x is not %x", formatLocator(steps), b)
		}
		forget(s)
		fd, err := s.identity.(*index).openAt(b, id)
		if err != nil {
			return
		}
		n, err := s.adoptAs(fd, &id)
		if err != nil {
			t.Fatal(err)
		}
		if n.ino != want {
			t.Fatalf("%x leads to %d", b, n.ino)
		}
		n.unpin()
	})
}
