package backendtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"causeway"
)

var concurrencyTests = []test{
	{"Concurrency/one creator wins", func(v *volume) {
		for round := range 20 {
			var wg sync.WaitGroup
			var mu sync.Mutex
			won := 0
			for range 8 {
				wg.Go(func() {
					_, _, err := v.s.Create(v.ctx, v.root, fmt.Sprint(round), v.spec(causeway.TypeRegular, 0o644))
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						won++
					} else if causeway.CodeOf(err) != causeway.ErrExist {
						v.Error(err)
					}
				})
			}
			wg.Wait()
			v.check(won == 1, "%d creators won", won)
		}
	}},
	{"Concurrency/made and taken away", func(v *volume) {
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for range 300 {
					if g%2 == 0 {
						_, _, err := v.s.Create(v.ctx, v.root, "f", v.spec(causeway.TypeRegular, 0o644))
						v.check(err == nil || causeway.CodeOf(err) == causeway.ErrExist, "create: %v", err)
					} else {
						err := v.s.Remove(v.ctx, v.root, "f", false)
						v.check(err == nil || causeway.CodeOf(err) == causeway.ErrNoEnt, "remove: %v", err)
					}
				}
			})
		}
		wg.Wait()
	}},
	{"Concurrency/the tree stays a tree", func(v *volume) {
		rounds := 400
		if testing.Short() {
			rounds = 100
		}
		var dirs []causeway.ObjectID
		for i := range 4 {
			dirs = append(dirs, v.mkdir(v.root, fmt.Sprint("d", i)))
		}
		dirs = append(dirs, v.mkdir(dirs[0], "e0"), v.mkdir(dirs[1], "e1"))
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(g), 1))
				for range rounds {
					v.stir(rnd, dirs)
				}
			})
		}
		wg.Wait()
		links := make(map[causeway.ObjectID]uint32)
		v.verify(v.root, v.root, links)
		for id, n := range links {
			a := v.stat(id)
			v.check(!v.caps.HardLinks || a.Nlink == n, "an object with %d names counts %d links", n, a.Nlink)
		}
	}},
	{"Concurrency/writers of one file", func(v *volume) {
		f := v.file(v.root, "f")
		const block, blocks = 5000, 40
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				o, err := v.s.Open(v.ctx, f, causeway.IOReadWrite, nil)
				if err != nil {
					v.Error(err)
					return
				}
				defer o.Close()
				data := slices.Repeat([]byte{byte(g + 1)}, block)
				for i := g; i < blocks; i += 4 {
					if _, err := o.WriteAt(v.ctx, data, uint64(i*block)); err != nil {
						v.Error(err)
					}
				}
			})
		}
		wg.Wait()
		got := v.read(f, 0, block*blocks+1)
		v.check(len(got) == block*blocks, "%d bytes, want %d", len(got), block*blocks)
		for i := range got {
			v.check(got[i] == byte(i/block%4+1), "byte %d is %d", i, got[i])
		}
	}},
}

// expected are the errors that operations on a tree may meet that others change.
var expected = []causeway.Code{causeway.OK, causeway.ErrNoEnt, causeway.ErrExist, causeway.ErrNotEmpty, causeway.ErrIsDir, causeway.ErrNotDir,
	causeway.ErrInval, causeway.ErrStale, causeway.ErrBusy, causeway.ErrNotSupp}

// stir does one random operation in directories that others use too.
func (v *volume) stir(rnd *rand.Rand, dirs []causeway.ObjectID) {
	dir, other := dirs[rnd.IntN(len(dirs))], dirs[rnd.IntN(len(dirs))]
	name, newName := fmt.Sprint("n", rnd.IntN(6)), fmt.Sprint("n", rnd.IntN(6))
	var err error
	op := rnd.IntN(8)
	switch op {
	case 0, 1:
		_, _, err = v.s.Create(v.ctx, dir, name, v.spec(causeway.TypeRegular, 0o644))
	case 2:
		_, _, err = v.s.Create(v.ctx, dir, name, v.spec(causeway.TypeDirectory, 0o755))
	case 3:
		err = v.s.Remove(v.ctx, dir, name, rnd.IntN(2) == 0)
	case 4:
		err = v.s.Rename(v.ctx, dir, name, other, newName)
	case 5:
		err = v.s.Rename(v.ctx, dirs[rnd.IntN(2)], fmt.Sprint("e", rnd.IntN(2)), dirs[rnd.IntN(4)], fmt.Sprint("e", rnd.IntN(2)))
	case 6:
		var id causeway.ObjectID
		var a causeway.Attr
		if id, a, err = v.s.Lookup(v.ctx, dir, name); err == nil && a.Type == causeway.TypeRegular && v.caps.HardLinks {
			err = v.s.Link(v.ctx, id, other, newName)
		}
	case 7:
		_, err = v.s.List(v.ctx, dir, 0, true, func(*causeway.DirEntry) bool { return true })
	}
	if !slices.Contains(expected, causeway.CodeOf(err)) {
		v.Errorf("operation %d: %v", op, err)
	}
}

// verify walks the tree below dir: listing, lookup and attributes must agree. It counts the names of what is not a directory.
func (v *volume) verify(dir, parent causeway.ObjectID, links map[causeway.ObjectID]uint32) {
	v.Helper()
	v.finds(dir, "..", parent)
	subdirs := uint32(0)
	for name, n := range v.list(dir) {
		v.check(n == 1, "%q is listed %d times", name, n)
		if name == "." || name == ".." {
			continue
		}
		id, a, err := v.s.Lookup(v.ctx, dir, name)
		v.ok(err)
		v.check(a == v.stat(id), "%q: %+v, %+v", name, a, v.stat(id))
		if a.Type == causeway.TypeDirectory {
			subdirs++
			v.verify(id, dir, links)
		} else {
			links[id]++
		}
	}
	v.check(!v.caps.DirLinks || v.stat(dir).Nlink == 2+subdirs, "%d subdirectories, %d links", subdirs, v.stat(dir).Nlink)
}
