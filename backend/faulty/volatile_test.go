package faulty_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"causeway"
	"causeway/backend"
	"causeway/backend/faulty"
	"causeway/backend/mem"
)

// disk is a volatile store with what the tests need.
type disk struct {
	*testing.T
	*faulty.Volatile
	root causeway.ObjectID
}

func newDisk(t *testing.T) *disk {
	v := faulty.NewVolatile(mem.Config{})
	t.Cleanup(func() { v.Close() })
	return &disk{t, v, v.Root()}
}

func (d *disk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *disk) file(dir causeway.ObjectID, name string) causeway.ObjectID {
	d.Helper()
	return create(d.T, d.Volatile, dir, name, causeway.TypeRegular)
}

func (d *disk) mkdir(dir causeway.ObjectID, name string) causeway.ObjectID {
	d.Helper()
	return create(d.T, d.Volatile, dir, name, causeway.TypeDirectory)
}

func (d *disk) persist(ids ...causeway.ObjectID) {
	d.Helper()
	d.must(d.Persist(ctx, ids...))
}

func (d *disk) with(id causeway.ObjectID, do func(o backend.Object) error) {
	d.Helper()
	o, err := d.Open(ctx, id, causeway.IOReadWrite, nil)
	d.must(err)
	d.must(do(o))
	d.must(o.Close())
}

func (d *disk) write(id causeway.ObjectID, off uint64, data string) {
	d.Helper()
	d.with(id, func(o backend.Object) error { _, err := o.WriteAt(ctx, []byte(data), off); return err })
}

func (d *disk) sync(id causeway.ObjectID, dataOnly bool) {
	d.Helper()
	d.with(id, func(o backend.Object) error { return o.Sync(ctx, dataOnly) })
}

func (d *disk) crash() {
	d.Helper()
	d.must(d.Crash(faulty.Keep{}))
}

func (d *disk) has(dir causeway.ObjectID, name string, want causeway.ObjectID) {
	d.Helper()
	if id, _, err := d.Lookup(ctx, dir, name); err != nil || id != want {
		d.Errorf("%q: %v, %v; want %v", name, id, err, want)
	}
}

func (d *disk) hasNot(dir causeway.ObjectID, name string) {
	d.Helper()
	if _, _, err := d.Lookup(ctx, dir, name); err != error(causeway.ErrNoEnt) {
		d.Errorf("%q: %v, want %v", name, err, causeway.ErrNoEnt)
	}
}

func (d *disk) holds(id causeway.ObjectID, want string) {
	d.Helper()
	p := make([]byte, len(want)+10)
	d.with(id, func(o backend.Object) error {
		n, err := o.ReadAt(ctx, p, 0)
		p = p[:n]
		return err
	})
	if string(p) != want {
		d.Errorf("contents are %q, want %q", p, want)
	}
}

func TestNamesNeedPersist(t *testing.T) {
	d := newDisk(t)
	a := d.file(d.root, "a")
	d.persist(d.root)
	b := d.file(d.root, "b")
	d.sync(b, false)
	d.persist(b)
	d.crash()
	d.has(d.root, "a", a)
	d.hasNot(d.root, "b")
	if _, err := d.Stat(ctx, b); err != error(causeway.ErrStale) {
		t.Errorf("what was lost: %v", err)
	}
	if c := d.file(d.root, "b"); c == b {
		t.Error("a new object has the id of one that was lost")
	}
}

func TestContentsNeedSync(t *testing.T) {
	for _, dataOnly := range []bool{false, true} {
		d := newDisk(t)
		f := d.file(d.root, "f")
		d.write(f, 0, "stable")
		d.sync(f, dataOnly)
		d.write(f, 0, "LOST")
		d.write(f, 6, "LOST")
		d.persist(d.root, f) // attributes and names only
		d.holds(f, "LOSTleLOST")
		d.crash()
		d.holds(f, "stable")
	}
}

func TestAttributesNeedPersistOrFullSync(t *testing.T) {
	mode := func(d *disk, id causeway.ObjectID, mode uint32) {
		d.must(d.SetStat(ctx, id, &causeway.SetAttr{Mask: causeway.SetMode, Mode: mode}))
	}
	for name, c := range map[string]struct {
		make stable
		want uint32
	}{
		"nothing":   {func(d *disk, id causeway.ObjectID) {}, 0o755},
		"persist":   {func(d *disk, id causeway.ObjectID) { d.persist(id) }, 0o600},
		"sync":      {func(d *disk, id causeway.ObjectID) { d.sync(id, false) }, 0o600},
		"sync data": {func(d *disk, id causeway.ObjectID) { d.sync(id, true) }, 0o755},
		"parent":    {func(d *disk, id causeway.ObjectID) { d.persist(d.root) }, 0o755},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			f := d.file(d.root, "f")
			d.persist(d.root)
			mode(d, f, 0o600)
			c.make(d, f)
			d.crash()
			if a, err := d.Stat(ctx, f); err != nil || a.Mode != c.want {
				t.Errorf("mode %o, %v; want %o", a.Mode, err, c.want)
			}
		})
	}
}

type stable func(d *disk, id causeway.ObjectID)

func TestSizeIsAnAttribute(t *testing.T) {
	d := newDisk(t)
	f := d.file(d.root, "f")
	d.write(f, 0, "0123456789")
	d.sync(f, false)
	d.persist(d.root)
	size := func(n uint64) { d.must(d.SetStat(ctx, f, &causeway.SetAttr{Mask: causeway.SetSize, Size: n})) }
	d.write(f, 0, "ABCDEFGHIJKL")
	size(4)
	d.persist(f)
	d.write(f, 4, "zz")
	d.crash()
	d.holds(f, "0123")
	d.write(f, 2, "XYZ")
	size(3)
	d.persist(f)
	d.sync(f, true) // the write comes before the cut, though it became stable after it
	d.crash()
	d.holds(f, "01X")
}

func TestRemovedComesBack(t *testing.T) {
	d := newDisk(t)
	dir := d.mkdir(d.root, "dir")
	f := d.file(dir, "f")
	d.write(f, 0, "back")
	d.sync(f, false)
	d.persist(d.root, dir)
	d.must(d.Remove(ctx, dir, "f", false))
	d.must(d.Remove(ctx, d.root, "dir", true))
	d.crash()
	d.has(d.root, "dir", dir)
	d.has(dir, "f", f)
	d.holds(f, "back")
	d.must(d.Remove(ctx, dir, "f", false))
	d.persist(dir)
	d.crash()
	d.hasNot(dir, "f")
}

func TestRenameIsTwoChanges(t *testing.T) {
	for name, c := range map[string]struct{ from, to, old, new bool }{
		"neither": {false, false, true, false},
		"source":  {true, false, false, false},
		"target":  {false, true, true, true},
		"both":    {true, true, false, true},
	} {
		for _, typ := range []causeway.FileType{causeway.TypeRegular, causeway.TypeDirectory} {
			t.Run(fmt.Sprint(name, typ), func(t *testing.T) {
				d := newDisk(t)
				from, to := d.mkdir(d.root, "from"), d.mkdir(d.root, "to")
				x := create(t, d.Volatile, from, "x", typ)
				d.persist(d.root, from)
				d.must(d.Rename(ctx, from, "x", to, "y"))
				if c.from {
					d.persist(from)
				}
				if c.to {
					d.persist(to)
				}
				d.crash()
				_, _, errOld := d.Lookup(ctx, from, "x")
				_, _, errNew := d.Lookup(ctx, to, "y")
				found := 0
				for _, err := range []error{errOld, errNew} {
					if err == nil {
						found++
					}
				}
				if typ == causeway.TypeDirectory && c.old && c.new {
					if found != 1 {
						t.Errorf("a directory has %d names", found)
					}
					return
				}
				if (errOld == nil) != c.old || (errNew == nil) != c.new {
					t.Errorf("old name: %v, new name: %v", errOld, errNew)
				}
				if a, err := d.Stat(ctx, x); err == nil && typ == causeway.TypeRegular && int(a.Nlink) != found {
					t.Errorf("%d links, %d names", a.Nlink, found)
				}
			})
		}
	}
}

func TestRenameReplacesAtOnce(t *testing.T) {
	d := newDisk(t)
	f, g := d.file(d.root, "f"), d.file(d.root, "g")
	d.persist(d.root)
	d.must(d.Rename(ctx, d.root, "f", d.root, "g"))
	d.crash()
	d.has(d.root, "f", f)
	d.has(d.root, "g", g)
	d.must(d.Rename(ctx, d.root, "f", d.root, "g"))
	d.persist(d.root)
	d.crash()
	d.hasNot(d.root, "f")
	d.has(d.root, "g", f)
}

func TestLinkBeforeItsFirstName(t *testing.T) {
	d := newDisk(t)
	dir := d.mkdir(d.root, "dir")
	d.persist(d.root)
	f := d.file(d.root, "f")
	d.write(f, 0, "linked")
	d.sync(f, true)
	d.must(d.Link(ctx, f, dir, "g"))
	d.persist(dir)
	d.crash()
	d.hasNot(d.root, "f")
	d.has(dir, "g", f)
	d.holds(f, "linked")
	if a, _ := d.Stat(ctx, f); a.Nlink != 1 {
		t.Errorf("%d links", a.Nlink)
	}
}

func TestFailedSyncLosesData(t *testing.T) {
	d := newDisk(t)
	s := faulty.New(d.Volatile, faulty.Config{})
	f := d.file(d.root, "f")
	d.write(f, 0, "first")
	d.sync(f, false)
	d.persist(d.root)
	o, err := s.Open(ctx, f, causeway.IOReadWrite, nil)
	d.must(err)
	_, err = o.WriteAt(ctx, []byte("SECOND"), 0)
	d.must(err)
	_, err = o.WriteAt(ctx, []byte("far"), 20)
	d.must(err)
	s.SetRules(faulty.Rule{Op: faulty.OpSync, Times: 1, Code: causeway.ErrIO})
	if err := o.Sync(ctx, false); err != error(causeway.ErrIO) {
		t.Fatal(err)
	}
	_, err = o.WriteAt(ctx, []byte("third"), 10)
	d.must(err)
	d.must(o.Sync(ctx, false)) // succeeds, and says nothing of what was lost
	d.holds(f, "SECOND\x00\x00\x00\x00third\x00\x00\x00\x00\x00far")
	d.must(d.Crash(faulty.Keep{Probability: 1}))
	d.holds(f, "first\x00\x00\x00\x00\x00third")
}

func TestLostBehindAnUnstableSize(t *testing.T) {
	d := newDisk(t)
	s := faulty.New(d.Volatile, faulty.Config{})
	f := d.file(d.root, "f")
	d.persist(d.root)
	d.must(d.SetStat(ctx, f, &causeway.SetAttr{Mask: causeway.SetSize, Size: 3}))
	d.write(f, 20, "lost")
	s.SetRules(faulty.Rule{Op: faulty.OpSync, Times: 1, Code: causeway.ErrIO})
	o, err := s.Open(ctx, f, causeway.IOReadWrite, nil)
	d.must(err)
	if err := o.Sync(ctx, false); err != error(causeway.ErrIO) {
		t.Fatal(err)
	}
	d.must(o.Sync(ctx, false))
	d.crash()
	d.holds(f, "\x00\x00\x00")
}

func TestOpenObjectsAreStaleAfterACrash(t *testing.T) {
	d := newDisk(t)
	f := d.file(d.root, "f")
	d.persist(d.root)
	o, err := d.Open(ctx, f, causeway.IOReadWrite, nil)
	d.must(err)
	d.crash()
	_, err = o.WriteAt(ctx, []byte("x"), 0)
	if err != error(causeway.ErrStale) {
		t.Errorf("write: %v", err)
	}
	if err := o.Sync(ctx, false); err != error(causeway.ErrStale) {
		t.Errorf("sync: %v", err)
	}
	d.must(o.Close())
	d.holds(f, "")
}

func TestListingGoesOnAfterACrash(t *testing.T) {
	d := newDisk(t)
	for i := range 100 {
		d.file(d.root, fmt.Sprint("f", i))
	}
	d.persist(d.root)
	for i := range 10 {
		d.file(d.root, fmt.Sprint("lost", i))
	}
	var seen []string
	var cookie uint64
	_, err := d.List(ctx, d.root, 0, false, func(e *causeway.DirEntry) bool {
		seen, cookie = append(seen, e.Name), e.Cookie
		return len(seen) < 50
	})
	d.must(err)
	d.crash()
	eof, err := d.List(ctx, d.root, cookie, false, func(e *causeway.DirEntry) bool {
		seen = append(seen, e.Name)
		return true
	})
	d.must(err)
	slices.Sort(seen)
	if n := len(slices.Compact(seen)); !eof || n != 102 || len(seen) != 102 {
		t.Errorf("%d names, %d different, want 102; eof %v", len(seen), n, eof)
	}
}

func TestChangeRisesThroughACrash(t *testing.T) {
	d := newDisk(t)
	f := d.file(d.root, "f")
	d.persist(d.root)
	d.write(f, 0, "lost")
	before, _ := d.Stat(ctx, f)
	d.crash()
	d.write(f, 0, "other")
	if after, _ := d.Stat(ctx, f); after.Change <= before.Change {
		t.Errorf("change went from %d to %d", before.Change, after.Change)
	}
}

func TestSweep(t *testing.T) {
	d := newDisk(t)
	kept := d.file(d.root, "kept")
	d.persist(d.root)
	d.must(d.Remove(ctx, d.root, "kept", false))
	other := d.mkdir(d.root, "other")
	for i := range 5000 {
		d.file(other, "x")
		d.must(d.Remove(ctx, other, "x", false))
		if i%100 == 0 {
			d.persist(other)
		}
	}
	d.crash()
	d.has(d.root, "kept", kept)
}

// TestKeptIsBetweenStableAndAll: whatever the seed, a crash leaves what was synced, and of the rest only what was done.
func TestKeptIsBetweenStableAndAll(t *testing.T) {
	outcomes := make(map[string]bool)
	for seed := range uint64(200) {
		d := newDisk(t)
		f := d.file(d.root, "f")
		d.write(f, 0, "aaaaaaaaaa")
		d.sync(f, false)
		d.persist(d.root)
		d.write(f, 0, "bb")
		d.write(f, 4, "cc")
		d.file(d.root, "g")
		d.must(d.Crash(faulty.Keep{Probability: 0.5, Seed: seed}))
		p := make([]byte, 20)
		d.with(f, func(o backend.Object) error { n, err := o.ReadAt(ctx, p, 0); p = p[:n]; return err })
		_, _, err := d.Lookup(ctx, d.root, "g")
		outcomes[fmt.Sprintf("%s %v", p, err == nil)] = true
	}
	for _, contents := range []string{"aaaaaaaaaa", "bbaaaaaaaa", "aaaaccaaaa", "bbaaccaaaa"} {
		for _, name := range []bool{false, true} {
			key := fmt.Sprintf("%s %v", contents, name)
			if !outcomes[key] {
				t.Errorf("%q never came about", key)
			}
			delete(outcomes, key)
		}
	}
	if len(outcomes) > 0 {
		t.Errorf("impossible outcomes: %v", outcomes)
	}
}

// TestRandomHistories crashes again and again in random histories; what was persisted and synced must be there.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		d := newDisk(t)
		stable := make(map[string]string) // name in the root to contents
		for range 60 {
			name := fmt.Sprint("f", rnd.IntN(5))
			id, _, err := d.Lookup(ctx, d.root, name)
			switch {
			case rnd.IntN(12) == 0:
				d.must(d.Crash(faulty.Keep{Probability: float64(rnd.IntN(3)) / 2, Seed: seed}))
				for name, data := range stable {
					id, _, err := d.Lookup(ctx, d.root, name)
					if err != nil {
						t.Fatalf("seed %d: %q is lost: %v", seed, name, err)
					}
					d.holds(id, data)
				}
			case err != nil:
				d.file(d.root, name)
			case rnd.IntN(4) == 0 && stable[name] == "":
				other := d.mkdir(d.root, fmt.Sprint("d", rnd.Uint64()))
				d.must(d.Rename(ctx, d.root, name, other, name))
			case stable[name] == "":
				data := fmt.Sprint("data", rnd.IntN(1000))
				d.must(d.SetStat(ctx, id, &causeway.SetAttr{Mask: causeway.SetSize}))
				d.write(id, 0, data)
				d.sync(id, rnd.IntN(2) == 0)
				d.persist(d.root)
				stable[name] = data
			}
		}
	}
}
