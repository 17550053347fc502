package posix

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

// exclusiveRun is many users of an exclusive volume: every step changes or reads something, of names that all of them use.
type exclusiveRun struct {
	s    *Store
	path string
	dirs []string // under path, "" is the root
	mu   sync.Mutex
	ids  map[causeway.ObjectID]bool // seen ever
}

const runNames = 12

func (x *exclusiveRun) saw(id causeway.ObjectID, err error) {
	if err == nil {
		x.mu.Lock()
		x.ids[id] = true
		x.mu.Unlock()
	}
}

// dir looks a directory up from the root.
func (x *exclusiveRun) dir(name string) (causeway.ObjectID, bool) {
	if name == "" {
		return x.s.Root(), true
	}
	id, attr, err := x.s.Lookup(context.Background(), x.s.Root(), name)
	return id, err == nil && attr.Type == causeway.TypeDirectory
}

// step does something at random. Failures are part of it: others do the same to the same names.
func (x *exclusiveRun) step(r *rand.Rand) {
	ctx := context.Background()
	dir, ok := x.dir(x.dirs[r.IntN(len(x.dirs))])
	to, ok2 := x.dir(x.dirs[r.IntN(len(x.dirs))])
	if !ok || !ok2 {
		return
	}
	name, other := fmt.Sprint("n", r.IntN(runNames)), fmt.Sprint("n", r.IntN(runNames))
	spec := &backend.CreateSpec{Type: causeway.TypeRegular, Mode: 0o640, UID: x.s.owner.uid, GID: x.s.owner.gid, Target: "t"}
	switch r.IntN(14) {
	case 0, 1:
		if r.IntN(4) == 0 {
			spec.Mtime = &causeway.Time{Sec: int64(r.IntN(1000))}
		}
		id, _, err := x.s.Create(ctx, dir, name, spec)
		x.saw(id, err)
	case 2:
		spec.Type = []causeway.FileType{causeway.TypeDirectory, causeway.TypeFIFO, causeway.TypeSymlink}[r.IntN(3)]
		id, _, err := x.s.Create(ctx, dir, name, spec)
		x.saw(id, err)
	case 3:
		_ = x.s.Remove(ctx, dir, name, false)
	case 4:
		_ = x.s.Remove(ctx, dir, name, true)
	case 5, 6:
		_ = x.s.Rename(ctx, dir, name, to, other)
	case 7:
		if id, _, err := x.s.Lookup(ctx, dir, name); err == nil {
			_ = x.s.Link(ctx, id, to, other)
		}
	case 8:
		if id, _, err := x.s.Lookup(ctx, dir, name); err == nil {
			_ = x.s.SetStat(ctx, id, &causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o600 | uint32(r.IntN(64))})
		}
	case 9, 10:
		x.write(dir, name, r)
	case 11:
		_, _ = x.s.List(ctx, dir, 0, true, func(e *causeway.DirEntry) bool {
			if e.Attr.Valid() {
				x.saw(e.Object, nil)
			}
			return true
		})
	default:
		if id, _, err := x.s.Lookup(ctx, dir, name); err == nil {
			_, _ = x.s.Stat(ctx, id)
			_, _ = x.s.ACL(ctx, id)
			x.saw(id, nil)
		}
	}
}

func (x *exclusiveRun) write(dir causeway.ObjectID, name string, r *rand.Rand) {
	ctx := context.Background()
	id, _, err := x.s.Lookup(ctx, dir, name)
	if err != nil {
		return
	}
	o, err := x.s.Open(ctx, id, causeway.IOReadWrite, nil)
	if err != nil {
		return
	}
	defer o.Close()
	switch r.IntN(4) {
	case 0:
		_ = x.s.SetStat(ctx, id, &causeway.SetAttr{Mask: causeway.SetSize, Size: uint64(r.IntN(10_000))})
	case 1:
		_ = o.(backend.Puncher).Punch(ctx, causeway.Span{Length: 4096})
	default:
		_, _ = o.WriteAt(ctx, make([]byte, r.IntN(5000)), uint64(r.IntN(5000)))
	}
	_, _ = o.Stat(ctx)
	if r.IntN(10) == 0 {
		_ = o.Sync(ctx, true)
	}
}

// check compares all that the store tells with what the kernel tells, while nothing changes.
func (x *exclusiveRun) check(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	alive := map[causeway.ObjectID]bool{}
	for _, dirName := range x.dirs {
		dir, ok := x.dir(dirName)
		if !ok {
			if dirName == "" {
				t.Fatal("no root")
			}
			continue
		}
		for range 2 { // what is remembered, and what was just read
			for i := range runNames {
				name := fmt.Sprint("n", i)
				id, attr, err := x.s.Lookup(ctx, dir, name)
				x.compare(t, filepath.Join(dirName, name), id, attr, err)
				if err == nil {
					alive[id] = true
					stat, err := x.s.Stat(ctx, id)
					x.compare(t, filepath.Join(dirName, name), id, stat, err)
				}
			}
			listed := 0
			must[bool](t)(x.s.List(ctx, dir, 0, true, func(e *causeway.DirEntry) bool {
				if e.Name != "." && e.Name != ".." {
					listed++
					x.compare(t, filepath.Join(dirName, e.Name), e.Object, e.Attr, nil)
					alive[e.Object] = true
				}
				return true
			}))
			entries, err := os.ReadDir(filepath.Join(x.path, dirName))
			if dirName == "" {
				listed++ // the marker
			}
			if err != nil || len(entries) != listed {
				t.Fatalf("%q: %d entries, listed %d, %v", dirName, len(entries), listed, err)
			}
		}
		attr, err := x.s.Stat(ctx, dir)
		x.compare(t, dirName, dir, attr, err)
	}
	for id := range x.ids {
		attr, err := x.s.Stat(ctx, id)
		if alive[id] {
			continue
		}
		if err == nil && attr.Type == causeway.TypeDirectory || len(alive) == 0 {
			continue // in a directory of the names
		}
		if err == nil && !x.reachable(id) {
			t.Fatalf("%v is alive for the store only: %+v", id, attr)
		}
	}
}

// reachable looks for an object in the directories that steps made among the names.
func (x *exclusiveRun) reachable(want causeway.ObjectID) (found bool) {
	ctx := context.Background()
	var walk func(dir causeway.ObjectID, depth int)
	walk = func(dir causeway.ObjectID, depth int) {
		var below []causeway.ObjectID
		_, _ = x.s.List(ctx, dir, 0, true, func(e *causeway.DirEntry) bool {
			found = found || e.Object == want
			if e.Attr.Type == causeway.TypeDirectory && e.Name != "." && e.Name != ".." {
				below = append(below, e.Object)
			}
			return true
		})
		for _, d := range below {
			if depth < 8 && !found {
				walk(d, depth+1)
			}
		}
	}
	walk(x.s.Root(), 0)
	return found
}

func (x *exclusiveRun) compare(t *testing.T, name string, id causeway.ObjectID, got causeway.Attr, err error) {
	t.Helper()
	var sx unix.Statx_t
	e := unix.Statx(unix.AT_FDCWD, filepath.Join(x.path, name), unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &sx)
	if e == unix.ENOENT && causeway.CodeOf(err) == causeway.ErrNoEnt {
		return
	}
	if e != nil || err != nil {
		t.Fatalf("%s: the kernel says %v, the store %v", name, e, err)
	}
	var want causeway.Attr
	x.s.fillStatx(&sx, &want)
	got.Atime, got.Extended, got.ACL, got.Used = want.Atime, want.Extended, want.ACL, want.Used
	if got != want {
		t.Fatalf("%s:\n got %+v\nwant %+v", name, got, want)
	}
	if n := x.s.cache.get(&id); n != nil {
		if n.ino != want.FileID {
			t.Fatalf("%s: id of inode %d, attributes of %d", name, n.ino, want.FileID)
		}
		n.unpin()
	}
}

// TestExclusiveIsExact lets many use an exclusive volume at once, and whenever they rest compares all that the store tells
// with the kernel.
func TestExclusiveIsExact(t *testing.T) {
	needRoot(t) // it asks the kernel about directories of all modes
	for name, base := range map[string]string{"disk": "", "memory": "/dev/shm"} {
		t.Run(name, func(t *testing.T) {
			path, err := os.MkdirTemp(base, "causeway-test-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(path) })
			rounds, steps := 15, 300
			if testing.Short() {
				rounds, steps = 4, 150
			}
			x := &exclusiveRun{s: open(t, path, Config{Exclusive: true, NoPersist: true, MaxDescriptors: MinDescriptors}), path: path,
				dirs: []string{"", "d0", "d1", "n1", "n2"}, ids: map[causeway.ObjectID]bool{}}
			mk(t, x.s, x.s.Root(), "d0", causeway.TypeDirectory)
			mk(t, x.s, x.s.Root(), "d1", causeway.TypeDirectory)
			for round := range rounds {
				if round == rounds/2 {
					x.s.memory = newMemory(memoryShards * 2) // so that it forgets
				}
				var users sync.WaitGroup
				for user := range 6 {
					users.Go(func() {
						r := rand.New(rand.NewPCG(uint64(round), uint64(user)))
						for range steps {
							x.step(r)
						}
					})
				}
				users.Wait()
				x.check(t)
			}
		})
	}
}

// TestExclusiveAsksNothing looks at a tree twice: the second time must come from memory, as a change behind the store's back
// shows, which the promise excludes.
func TestExclusiveAsksNothing(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := open(t, dir, Config{Exclusive: true})
	f := mk(t, s, s.Root(), "f", causeway.TypeRegular)
	look := func() (attrs [4]causeway.Attr) {
		attrs[0] = must[causeway.Attr](t)(s.Stat(ctx, f))
		_, attr, err := s.Lookup(ctx, s.Root(), "f")
		if err != nil {
			t.Fatal(err)
		}
		attrs[1] = attr
		must[bool](t)(s.List(ctx, s.Root(), 0, true, func(e *causeway.DirEntry) bool {
			if e.Name == "f" {
				attrs[2] = e.Attr
			}
			return true
		}))
		o := must[backend.Object](t)(s.Open(ctx, f, causeway.IORead, nil))
		defer o.Close()
		attrs[3] = must[causeway.Attr](t)(o.Stat(ctx))
		return attrs
	}
	_, _, err := s.Lookup(ctx, s.Root(), "none")
	wantCode(t, err, causeway.ErrNoEnt)
	_ = must[causeway.Attr](t)(s.Stat(ctx, s.Root()))
	_, _, err = s.Lookup(ctx, s.Root(), "none")
	wantCode(t, err, causeway.ErrNoEnt)
	look()
	before := look()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("not promised"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "none"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if after := look(); after != before {
		t.Fatalf("something was asked: %+v, then %+v", before, after)
	}
	_, _, err = s.Lookup(ctx, s.Root(), "none")
	wantCode(t, err, causeway.ErrNoEnt)
	// A change of the store's own shows the truth.
	if err := s.SetStat(ctx, f, &causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	for i, attr := range look() {
		if attr.Size != 12 || attr.Mode != 0o600 {
			t.Fatalf("%d: %+v", i, attr)
		}
	}
}
