package posix

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

// listRun is many users of few directories of an exclusive volume, whose listings have several pages.
type listRun struct {
	s    *Store
	path string
	dirs []causeway.ObjectID // in path, named d0, d1, …
}

const (
	listNames  = 300
	fixedNames = 20 // that stay where they are
)

func listName(i int) string { return fmt.Sprintf("n%d-%s", i, strings.Repeat("x", 200)) }

func newListRun(t *testing.T, path string) *listRun {
	x := &listRun{s: open(t, path, Config{Exclusive: true, NoPersist: true, MaxDescriptors: MinDescriptors}), path: path}
	for d := range 2 {
		dir := mk(t, x.s, x.s.Root(), fmt.Sprint("d", d), causeway.TypeDirectory)
		x.dirs = append(x.dirs, dir)
		for i := range fixedNames {
			mk(t, x.s, dir, fmt.Sprint("fixed", i), causeway.TypeRegular)
		}
		for i := 0; i < listNames; i += 2 {
			mk(t, x.s, dir, listName(i), causeway.TypeRegular)
		}
	}
	return x
}

// told is what a listing told of an entry.
type told struct {
	name        string
	ino, cookie uint64
	typ         causeway.FileType
	id          causeway.ObjectID
	attr        causeway.Attr
}

// walk lists a directory in steps of at most so many entries.
func (x *listRun) walk(t *testing.T, dir causeway.ObjectID, attrs bool, step int) (all []told) {
	t.Helper()
	cookie := uint64(0)
	for eof := false; !eof; {
		n := 0
		var err error
		eof, err = x.s.List(context.Background(), dir, cookie, attrs, func(e *causeway.DirEntry) bool {
			if n == step {
				return false
			}
			n++
			cookie = e.Cookie
			all = append(all, told{strings.Clone(e.Name), e.FileID, e.Cookie, e.Type, e.Object, e.Attr})
			return true
		})
		if err != nil {
			t.Error(err)
			return all
		}
	}
	return all
}

// change changes something at random. Failures are part of it: others do the same to the same names.
func (x *listRun) change(r *rand.Rand) {
	ctx := context.Background()
	dir, to := x.dirs[r.IntN(len(x.dirs))], x.dirs[r.IntN(len(x.dirs))]
	name, other := listName(r.IntN(listNames)), listName(r.IntN(listNames))
	spec := &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o640, UID: x.s.owner.uid, GID: x.s.owner.gid, Target: "t"}
	switch r.IntN(9) {
	case 0:
		_, _, _ = x.s.Create(ctx, dir, name, spec)
	case 1:
		spec.Type = []causeway.FileType{causeway.TypeDirectory, causeway.TypeFIFO, causeway.TypeSymlink}[r.IntN(3)]
		_, _, _ = x.s.Create(ctx, dir, name, spec)
	case 2:
		_ = x.s.Remove(ctx, dir, name, r.IntN(4) == 0)
	case 3:
		_ = x.s.Rename(ctx, dir, name, to, other)
	case 4:
		if id, _, err := x.s.Lookup(ctx, dir, name); err == nil {
			_ = x.s.Link(ctx, id, to, other)
		}
	default:
		if r.IntN(2) == 0 {
			name = fmt.Sprint("fixed", r.IntN(fixedNames))
		}
		x.touch(dir, name, r)
	}
}

// touch changes attributes of what has a name.
func (x *listRun) touch(dir causeway.ObjectID, name string, r *rand.Rand) {
	ctx := context.Background()
	id, attr, err := x.s.Lookup(ctx, dir, name)
	switch {
	case err != nil:
	case attr.Type == causeway.TypeDirectory && r.IntN(2) == 0:
		_, _, _ = x.s.Create(ctx, id, "below", &backend.CreateSpec{Type: causeway.TypeDirectory, Mode: 0o700, UID: x.s.owner.uid, GID: x.s.owner.gid})
	case attr.Type != causeway.TypeRegular || r.IntN(3) == 0:
		_ = x.s.SetStat(ctx, id, &causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o600 | uint32(r.IntN(64))})
	default:
		o, err := x.s.Open(ctx, id, causeway.IOReadWrite, nil)
		if err != nil {
			return
		}
		_, _ = o.WriteAt(ctx, make([]byte, r.IntN(5000)), uint64(r.IntN(5000)))
		o.Close()
	}
}

// look walks while others change things: what stays is listed once.
func (x *listRun) look(t *testing.T, r *rand.Rand) {
	seen := map[string]int{}
	for _, e := range x.walk(t, x.dirs[r.IntN(len(x.dirs))], r.IntN(3) > 0, 1+r.IntN(200)) {
		seen[e.name]++
		if e.attr.Valid() && e.id.IsZero() {
			t.Errorf("%s: attributes of nothing", e.name)
		}
	}
	for i := range fixedNames {
		if name := fmt.Sprint("fixed", i); seen[name] != 1 {
			t.Errorf("%s was listed %d times", name, seen[name])
		}
	}
}

// check compares listings with the kernel's, while nothing changes: what was remembered, what is read anew, and that again.
func (x *listRun) check(t *testing.T, kept bool) {
	t.Helper()
	for d, dir := range x.dirs {
		path := filepath.Join(x.path, fmt.Sprint("d", d))
		want := kernelList(t, path)
		for pass := range 3 {
			got := x.walk(t, dir, pass < 2, 1+pass*70)
			for i := range got {
				if i >= len(want) || got[i].name != want[i].name || got[i].ino != want[i].ino || got[i].cookie != want[i].cookie || got[i].typ != want[i].typ {
					t.Fatalf("%s, pass %d, entry %d: %+v", path, pass, i, got[i])
				}
				if pass < 2 && got[i].name != ".." {
					x.compare(t, filepath.Join(path, got[i].name), &got[i])
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%s, pass %d: %d entries of %d", path, pass, len(got), len(want))
			}
		}
		if n := x.s.cache.get(&dir); n != nil {
			if kept && x.s.memory.listing(n) == nil {
				t.Fatal("the listing was not remembered")
			}
			n.unpin()
		}
	}
}

func (x *listRun) compare(t *testing.T, path string, e *told) {
	t.Helper()
	var sx unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &sx); err != nil {
		t.Fatal(path, err)
	}
	var want causeway.Attr
	x.s.fillStatx(&sx, &want)
	got := e.attr
	got.Atime, got.Extended, got.ACL, got.Used = want.Atime, want.Extended, want.ACL, want.Used
	if got != want {
		t.Fatalf("%s:\n got %+v\nwant %+v", path, got, want)
	}
	if attr, err := x.s.Stat(context.Background(), e.id); err != nil || attr.FileID != sx.Ino {
		t.Fatalf("%s: the object is that of inode %d, not %d: %v", path, attr.FileID, sx.Ino, err)
	}
}

// kernelList is the kernel's listing.
func kernelList(t *testing.T, path string) (all []told) {
	t.Helper()
	fd := must[int](t)(unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0))
	defer unix.Close(fd)
	buf := make([]byte, streamBytes)
	for {
		n, e := getdents(fd, buf)
		if e != 0 {
			t.Fatal(e)
		}
		if n == 0 {
			return all
		}
		for rest := buf[:n]; len(rest) > 0; rest = rest[binary.NativeEndian.Uint16(rest[direntReclen:]):] {
			all = append(all, told{name: string(direntNameOf(rest)), ino: binary.NativeEndian.Uint64(rest),
				cookie: binary.NativeEndian.Uint64(rest[8:]), typ: direntType[rest[direntType8]&15]})
		}
	}
}

// eachDisk runs a test on a file system of a disk and on one in memory.
func eachDisk(t *testing.T, f func(t *testing.T, path string)) {
	needRoot(t)
	for name, base := range map[string]string{"disk": "", "memory": "/dev/shm"} {
		t.Run(name, func(t *testing.T) {
			path := must[string](t)(os.MkdirTemp(base, "causeway-test-"))
			t.Cleanup(func() { os.RemoveAll(path) })
			f(t, path)
		})
	}
}

// TestListingIsExact lets many change and list the same directories at once, and whenever they rest compares with the kernel.
func TestListingIsExact(t *testing.T) {
	eachDisk(t, func(t *testing.T, path string) {
		x := newListRun(t, path)
		rounds, steps := 40, 60
		if testing.Short() {
			rounds = 12
		}
		for round := range rounds {
			x.check(t, true)
			if round == rounds/2 {
				x.s.memory = newMemory(memoryShards * 2) // so that it forgets
			}
			var users sync.WaitGroup
			for user := range 5 {
				users.Go(func() {
					r := rand.New(rand.NewPCG(uint64(round), uint64(user)))
					for range steps >> (round % 4 * 2) { // from many changes to next to none
						if user == 0 {
							x.look(t, r)
						} else {
							x.change(r)
						}
					}
				})
			}
			users.Wait()
		}
		x.check(t, true)
	})
}

// TestListingOfChanges begins and ends changes around listings: none may be remembered that was read meanwhile.
func TestListingOfChanges(t *testing.T) {
	eachDisk(t, func(t *testing.T, path string) {
		x := newListRun(t, path)
		dir := must[*node](t)(x.s.get(context.Background(), &x.dirs[0]))
		defer dir.unpin()
		m := x.s.memory
		m.begin(dir.ino)
		x.walk(t, dir.id, true, 50)
		if m.listing(dir) != nil {
			t.Fatal("remembered while the directory changes")
		}
		m.end(dir.ino)
		if m.listing(dir) != nil {
			t.Fatal("remembered what was read while the directory changed")
		}
		for _, when := range []int{1, 100, fixedNames + listNames/2 + 3} { // the last is after all was read
			n := 0
			must[bool](t)(x.s.List(context.Background(), dir.id, 0, true, func(*causeway.DirEntry) bool {
				if n++; n == when {
					mk(t, x.s, dir.id, fmt.Sprint("new", when), causeway.TypeRegular)
				}
				return true
			}))
			if m.listing(dir) != nil || n < when {
				t.Fatalf("remembered a listing in which the directory changed at entry %d of %d", when, n)
			}
		}
		if m.lists.drafts != 0 {
			t.Fatalf("%d bytes of drafts were not given back", m.lists.drafts)
		}
		x.check(t, true)
		// A file that changes while its record is looked for.
		_, attr, err := x.s.Lookup(context.Background(), dir.id, "fixed0")
		if err != nil {
			t.Fatal(err)
		}
		m.begin(attr.FileID)
		x.walk(t, dir.id, true, 50)
		if err := os.Truncate(filepath.Join(path, "d0", "fixed0"), 77); err != nil {
			t.Fatal(err)
		}
		m.end(attr.FileID)
		x.check(t, true)
	})
}

// TestListingSeesEveryChange makes each change alone, when the listings of all directories are remembered.
func TestListingSeesEveryChange(t *testing.T) {
	eachDisk(t, func(t *testing.T, path string) {
		x := newListRun(t, path)
		ctx, s, a, b := context.Background(), x.s, x.dirs[0], x.dirs[1]
		regular := &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o600, UID: s.owner.uid, GID: s.owner.gid}
		id := func(dir causeway.ObjectID, name string) causeway.ObjectID {
			id, _, err := s.Lookup(ctx, dir, name)
			if err != nil {
				t.Fatal(name, err)
			}
			return id
		}
		open := func(dir causeway.ObjectID, name string) backend.Object {
			o := must[backend.Object](t)(s.Open(ctx, id(dir, name), causeway.IOReadWrite, nil))
			t.Cleanup(func() { o.Close() })
			return o
		}
		for i, change := range []func() error{
			func() error { _, _, err := s.Create(ctx, a, "c", regular); return err },
			func() error { _, err := open(a, "c").WriteAt(ctx, make([]byte, 9000), 5); return err },
			func() error { return open(a, "c").(backend.Puncher).Punch(ctx, causeway.Span{Length: 4096}) },
			func() error {
				return s.SetStat(ctx, id(a, "c"), &causeway.SetAttr{Mask: causeway.SetSize, Size: 3})
			},
			func() error { return s.Link(ctx, id(a, "c"), b, "link") },
			func() error { return s.Rename(ctx, a, "c", a, "d") },
			func() error { return s.Rename(ctx, a, "d", b, "d") },
			func() error { return s.Rename(ctx, b, "d", a, "fixed1") },
			func() error { return s.Remove(ctx, a, "fixed1", false) },
			func() error { return s.Remove(ctx, b, "link", false) },
			func() error { return s.Link(ctx, id(a, "fixed2"), b, "two") },
			func() error { return s.Rename(ctx, b, "fixed3", b, "two") }, // fixed2 has one link again
			func() error { return s.SetStat(ctx, a, &causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o711}) },
			func() error { mk(t, s, a, "sub", causeway.TypeDirectory); return nil },
			func() error { mk(t, s, id(a, "sub"), "below", causeway.TypeDirectory); return nil },
			func() error { x.walk(t, id(a, "sub"), true, 9); return s.Rename(ctx, a, "sub", b, "sub") },
			func() error {
				for _, e := range x.walk(t, id(b, "sub"), true, 9) {
					if e.name == ".." && (e.id != b || e.ino != e.attr.FileID) {
						t.Fatalf("the parent of what was moved is %+v", e)
					}
				}
				return s.Remove(ctx, id(b, "sub"), "below", true)
			},
			func() error { return s.Remove(ctx, b, "sub", true) },
		} {
			x.check(t, true)
			if err := change(); err != nil {
				t.Fatal(i, err)
			}
			x.check(t, true)
		}
	})
}

// TestListingOfReusedNumber removes a name while a listing is being told, and gives the inode number to another object.
func TestListingOfReusedNumber(t *testing.T) {
	x := newListRun(t, t.TempDir())
	ctx, dir := context.Background(), x.dirs[0]
	x.walk(t, dir, true, 50)
	all := x.walk(t, dir, true, 50)
	last := all[len(all)-1]
	if last.name == "." || last.name == ".." {
		last = all[len(all)-3]
	}
	reused := false
	must[bool](t)(x.s.List(ctx, dir, 0, true, func(e *causeway.DirEntry) bool {
		if e.Cookie == all[0].cookie {
			if err := x.s.Remove(ctx, dir, last.name, false); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < 50 && !reused; i++ {
				id := mk(t, x.s, x.dirs[1], fmt.Sprint("other", i), causeway.TypeRegular)
				attr := must[causeway.Attr](t)(x.s.Stat(ctx, id))
				reused = attr.FileID == last.ino
			}
		}
		if e.Name == last.name && (e.Attr.Valid() || !e.Object.IsZero()) {
			t.Fatalf("a name that is gone was told with another object: %+v", e)
		}
		return true
	}))
	if !reused {
		t.Skip("the file system does not give the number again")
	}
}

// TestListingResumes goes on behind every entry, and behind one that is gone.
func TestListingResumes(t *testing.T) {
	eachDisk(t, func(t *testing.T, path string) {
		x := newListRun(t, path)
		ctx, dir := context.Background(), x.dirs[0]
		x.check(t, true)
		want := kernelList(t, filepath.Join(path, "d0"))
		for i := range want {
			n := 0
			eof := must[bool](t)(x.s.List(ctx, dir, want[i].cookie, i%2 == 0, func(e *causeway.DirEntry) bool {
				if n++; e.Name != want[i+n].name || e.Cookie != want[i+n].cookie || e.Attr.Valid() != (i%2 == 0) || e.Object.IsZero() != (i%2 == 1) {
					t.Fatalf("%d behind %d: %+v", n, i, e)
				}
				return true
			}))
			if !eof || n != len(want)-1-i {
				t.Fatalf("behind %d: %d entries, eof %v", i, n, eof)
			}
		}
		gone := slices.IndexFunc(want, func(e told) bool { return strings.HasPrefix(e.name, "n") })
		if err := x.s.Remove(ctx, dir, want[gone].name, false); err != nil {
			t.Fatal(err)
		}
		x.check(t, true)
		rest := map[string]int{}
		must[bool](t)(x.s.List(ctx, dir, want[gone].cookie, true, func(e *causeway.DirEntry) bool { rest[e.Name]++; return true }))
		for _, e := range want[gone+1:] {
			if rest[e.name] != 1 {
				t.Fatalf("%s was listed %d times behind a name that is gone", e.name, rest[e.name])
			}
		}
	})
}

// TestListingBounds lists more than there is room for.
func TestListingBounds(t *testing.T) {
	s := open(t, t.TempDir(), Config{Exclusive: true, NoPersist: true})
	ctx, ls := context.Background(), &s.memory.lists
	ls.max = 100 << 10
	var dirs []causeway.ObjectID
	for d := range 12 {
		dir := mk(t, s, s.Root(), fmt.Sprint("d", d), causeway.TypeDirectory)
		dirs = append(dirs, dir)
		for i := range 10 + 30*d {
			mk(t, s, dir, fmt.Sprint("f", i), causeway.TypeRegular)
		}
	}
	most := 0
	for round := range 300 {
		d := round * 7 % len(dirs)
		n, stop := 0, round%5 == 4 // some are never read to the end
		_, err := s.List(ctx, dirs[d], 0, true, func(e *causeway.DirEntry) bool { n++; return !stop || n < 5 })
		if err != nil || !stop && n != 12+30*d {
			t.Fatalf("%d entries, %v", n, err)
		}
		if round%3 == 0 {
			id, _, err := s.Lookup(ctx, dirs[d], "f3")
			if err == nil {
				err = s.SetStat(ctx, id, &causeway.SetAttr{Mask: causeway.SetMode, Mode: uint32(round)})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		sum := 0
		for _, l := range ls.ring {
			sum += l.bytes
		}
		if ls.kept != sum || ls.kept > ls.room() || ls.drafts > ls.max/4 || len(ls.ring) != len(ls.byIno) {
			t.Fatalf("kept %d of %d (counted %d), drafts %d", ls.kept, ls.room(), sum, ls.drafts)
		}
		most = max(most, len(ls.ring))
	}
	if most < 3 {
		t.Fatalf("at most %d were kept", most)
	}
	s.streams.close()
	if ls.drafts != 0 {
		t.Fatalf("%d bytes of drafts are left", ls.drafts)
	}
}

// TestListingOutlivesLeftWalks fills the room of drafts with walks that nobody ends: the next one is remembered all the same.
func TestListingOutlivesLeftWalks(t *testing.T) {
	x := newListRun(t, t.TempDir())
	ctx, ls := context.Background(), &x.s.memory.lists
	ls.max = 4 * 150 << 10
	for range 20 {
		if _, err := x.s.List(ctx, x.dirs[1], 0, true, func(*causeway.DirEntry) bool { return false }); err != nil {
			t.Fatal(err)
		}
	}
	if ls.drafts < ls.max/4-64<<10 {
		t.Fatalf("only %d bytes of drafts", ls.drafts)
	}
	x.walk(t, x.dirs[0], true, 50)
	dir := must[*node](t)(x.s.get(ctx, &x.dirs[0]))
	defer dir.unpin()
	if x.s.memory.listing(dir) == nil || ls.drafts > ls.max/4 {
		t.Fatalf("not remembered, %d bytes of drafts", ls.drafts)
	}
}

// TestListingAllocates nothing per entry.
func TestListingAllocates(t *testing.T) {
	x := newListRun(t, t.TempDir())
	x.walk(t, x.dirs[0], true, 50)
	list := func() {
		must[bool](t)(x.s.List(context.Background(), x.dirs[0], 0, true, func(*causeway.DirEntry) bool { return true }))
	}
	list()
	if n := testing.AllocsPerRun(20, list); n > 10 {
		t.Fatalf("%v allocations for %d entries", n, listNames/2)
	}
}
