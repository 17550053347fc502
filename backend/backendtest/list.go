package backendtest

import (
	"fmt"
	"math"

	"causeway"
)

// list counts the names of a directory, "." and ".." too.
func (v *volume) list(dir causeway.ObjectID) map[string]int {
	v.Helper()
	seen := make(map[string]int)
	eof, err := v.s.List(v.ctx, dir, 0, false, func(e *causeway.DirEntry) bool {
		seen[string([]byte(e.Name))]++
		return true
	})
	v.ok(err)
	v.check(eof, "a listing that was not stopped has no end")
	return seen
}

// slice lists at most n entries behind cookie and returns the cookie of the last one.
func (v *volume) slice(dir causeway.ObjectID, cookie uint64, n int, seen map[string]int) (last uint64, eof bool) {
	v.Helper()
	count := 0
	eof, err := v.s.List(v.ctx, dir, cookie, count%2 == 0, func(e *causeway.DirEntry) bool {
		if count == n {
			return false
		}
		count++
		seen[string([]byte(e.Name))]++
		cookie = e.Cookie
		return true
	})
	v.ok(err)
	v.check(count <= n, "emit was called after it had returned false")
	return cookie, eof
}

// drain lists the rest of a directory in slices of n.
func (v *volume) drain(dir causeway.ObjectID, cookie uint64, n int, seen map[string]int) {
	v.Helper()
	for range 1 << 20 {
		var eof bool
		if cookie, eof = v.slice(dir, cookie, n, seen); eof {
			return
		}
	}
	v.Fatal("the listing does not end")
}

var listTests = []test{
	{"List/entries", func(v *volume) {
		d := v.mkdir(v.root, "d")
		want := map[string]causeway.ObjectID{".": d, "..": v.root}
		for _, typ := range allTypes {
			if v.caps.can(typ) {
				name := fmt.Sprint("n", typ)
				want[name] = v.create(d, name, typ, 0o700)
			}
		}
		for _, attrs := range []bool{false, true} {
			cookies := map[uint64]bool{0: true}
			count := 0
			eof, err := v.s.List(v.ctx, d, 0, attrs, func(e *causeway.DirEntry) bool {
				id, known := want[e.Name]
				v.check(known, "unknown name %q", e.Name)
				v.check(!cookies[e.Cookie], "cookie %d of %q is zero or stands twice", e.Cookie, e.Name)
				cookies[e.Cookie] = true
				count++
				a := v.stat(id)
				v.check(e.FileID == a.FileID, "%q: file id %d, want %d", e.Name, e.FileID, a.FileID)
				v.check(e.Type == 0 || e.Type == a.Type, "%q: type %d, want %d", e.Name, e.Type, a.Type)
				if attrs {
					v.check(e.Object == id, "%q: object %v, want %v", e.Name, e.Object, id)
					v.check(e.Attr == a, "%q: attributes %+v, want %+v", e.Name, e.Attr, a)
				}
				return true
			})
			v.ok(err)
			v.check(eof && count == len(want), "%d entries, want %d; eof %v", count, len(want), eof)
		}
	}},
	{"List/empty", func(v *volume) {
		seen := v.list(v.mkdir(v.root, "d"))
		v.check(len(seen) == 2 && seen["."] == 1 && seen[".."] == 1, "an empty directory lists %v", seen)
	}},
	{"List/wrong place", func(v *volume) {
		emit := func(*causeway.DirEntry) bool { v.Error("emit was called"); return true }
		_, err := v.s.List(v.ctx, v.file(v.root, "f"), 0, false, emit)
		v.code(err, causeway.ErrNotDir)
	}},
	{"List/resumed at every entry", func(v *volume) {
		for i := range 20 {
			v.file(v.root, fmt.Sprint("f", i))
		}
		var names []string
		var cookies []uint64
		_, err := v.s.List(v.ctx, v.root, 0, false, func(e *causeway.DirEntry) bool {
			names, cookies = append(names, string([]byte(e.Name))), append(cookies, e.Cookie)
			return true
		})
		v.ok(err)
		for i, cookie := range cookies {
			at := i + 1
			eof, err := v.s.List(v.ctx, v.root, cookie, false, func(e *causeway.DirEntry) bool {
				v.check(at < len(names) && e.Name == names[at] && e.Cookie == cookies[at], "behind %q: %q at %d", names[i], e.Name, at)
				at++
				return true
			})
			v.ok(err)
			v.check(eof && at == len(names), "behind %q the listing ends at %d", names[i], at)
		}
	}},
	{"List/stops when told", func(v *volume) {
		for i := range 10 {
			v.file(v.root, fmt.Sprint("f", i))
		}
		calls := 0
		eof, err := v.s.List(v.ctx, v.root, 0, true, func(e *causeway.DirEntry) bool { calls++; return calls < 5 })
		v.ok(err)
		v.check(calls == 5 && !eof, "%d calls, eof %v", calls, eof)
	}},
	{"List/removed while listed", func(v *volume) {
		for i := range 50 {
			v.file(v.root, fmt.Sprint("f", i))
		}
		seen := make(map[string]int)
		cookie, eof := v.slice(v.root, 0, 20, seen)
		v.check(!eof, "eof after 20 of 52")
		for name := range seen {
			if name != "." && name != ".." {
				v.ok(v.s.Remove(v.ctx, v.root, name, false))
			}
		}
		v.drain(v.root, cookie, 7, seen)
		v.check(len(seen) == 52, "%d names, want 52", len(seen))
		for name, n := range seen {
			v.check(n == 1, "%q is listed %d times", name, n)
		}
	}},
	{"List/changed by its own listing", func(v *volume) {
		const n = 200
		for i := range n {
			v.file(v.root, fmt.Sprint("f", i))
		}
		for cookie, eof := uint64(0), false; !eof; {
			seen := make(map[string]int)
			cookie, eof = v.slice(v.root, cookie, 10, seen)
			for name := range seen {
				if name != "." && name != ".." {
					v.ok(v.s.Remove(v.ctx, v.root, name, false))
				}
			}
		}
		v.check(len(v.list(v.root)) == 2, "removing what is listed leaves %v", v.list(v.root))
	}},
	{"List/emit calls the store", func(v *volume) {
		for i := range 10 {
			v.file(v.root, fmt.Sprint("f", i))
		}
		_, err := v.s.List(v.ctx, v.root, 0, false, func(e *causeway.DirEntry) bool {
			_, _, err := v.s.Lookup(v.ctx, v.root, e.Name)
			v.check(err == nil || e.Name == "." || e.Name == "..", "lookup %q: %v", e.Name, err)
			return true
		})
		v.ok(err)
	}},
	{"List/any cookie", func(v *volume) {
		for i := range 10 {
			v.file(v.root, fmt.Sprint("f", i))
		}
		for _, cookie := range []uint64{1, 2, 3, 1 << 20, 1 << 31, 1 << 32, 1<<63 - 1, 1 << 63, math.MaxUint64 - 1, math.MaxUint64} {
			seen := make(map[string]int)
			_, err := v.s.List(v.ctx, v.root, cookie, true, func(e *causeway.DirEntry) bool {
				seen[string([]byte(e.Name))]++
				return len(seen) < 100
			})
			v.code(err, causeway.OK, causeway.ErrBadCookie)
			for name, n := range seen {
				v.check(n == 1, "behind %d: %q is listed %d times", cookie, name, n)
			}
		}
	}},
	{"List/10000 entries while others come and go", func(v *volume) {
		const stay = 10000
		for i := range stay {
			v.file(v.root, fmt.Sprint("stay", i))
		}
		for i := range 500 {
			v.file(v.root, fmt.Sprint("go", i))
		}
		seen := make(map[string]int)
		for cookie, eof, round := uint64(0), false, 0; !eof; round++ {
			cookie, eof = v.slice(v.root, cookie, 97, seen)
			for i := range 5 {
				_ = v.s.Remove(v.ctx, v.root, fmt.Sprint("go", round*5+i), false)
				if round < 200 {
					v.file(v.root, fmt.Sprint("come", round, "-", i))
				}
			}
			v.check(round < 10*stay, "the listing does not end")
		}
		for i := range stay {
			name := fmt.Sprint("stay", i)
			v.check(seen[name] == 1, "%q is listed %d times", name, seen[name])
		}
		v.check(seen["."] == 1 && seen[".."] == 1, "dots are listed %d and %d times", seen["."], seen[".."])
	}},
	{"List/resumed after a restart", func(v *volume) {
		const n = 500
		for i := range n {
			v.file(v.root, fmt.Sprint("f", i))
		}
		seen := make(map[string]int)
		cookie, _ := v.slice(v.root, 0, n/2, seen)
		v.reopen()
		v.drain(v.root, cookie, 33, seen)
		v.check(len(seen) == n+2, "%d names, want %d", len(seen), n+2)
		for name, count := range seen {
			v.check(count == 1, "%q is listed %d times", name, count)
		}
	}},
}
