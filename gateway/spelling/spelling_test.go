package spelling

import (
	"fmt"
	"testing"
	"time"

	"causeway"
)

func attrAt(change uint64) causeway.Attr {
	return causeway.Attr{Type: causeway.TypeDirectory, Nlink: 2, Change: change, Ctime: causeway.Time{Sec: 1000}, Mtime: causeway.Time{Sec: 1000}}
}

// TestCacheFollows: what is known of a directory holds in the state in which it was listed, and in those that known changes lead to.
func TestCacheFollows(t *testing.T) {
	var c Cache
	dir, now := causeway.Handle{Volume: 1}, time.Unix(5000, 0)
	find := func(at uint64, key string) (string, bool) { a := attrAt(at); return c.Find(dir, &a, key, now) }
	first := attrAt(1)
	if _, known := find(1, "A"); known {
		t.Error("known before it was listed")
	}
	c.Listed(dir, &first, map[string]string{"A": "a", "B": "B"}, now)
	if stored, known := find(1, "A"); !known || stored != "a" {
		t.Error(stored, known)
	}
	if stored, known := find(1, "C"); !known || stored != "" {
		t.Error(stored, known)
	}
	c.Made(dir, &causeway.Change{Before: attrAt(1), After: attrAt(2)}, "C", "c")
	c.Gone(dir, &causeway.Change{Before: attrAt(2), After: attrAt(3)}, "A", "a")
	for key, want := range map[string]string{"A": "", "B": "B", "C": "c"} {
		if stored, known := find(3, key); !known || stored != want {
			t.Errorf("%s: %q, %v", key, stored, known)
		}
	}
	if _, known := find(1, "B"); known {
		t.Error("an earlier state is known")
	}
	c.Made(dir, &causeway.Change{Before: attrAt(7), After: attrAt(8)}, "D", "d") // something happened between
	if _, known := find(8, "B"); known {
		t.Error("a state that nobody saw is known")
	}
	now = now.Add(2 * soon) // it changed since it was listed, perhaps within a tick
	if _, known := find(3, "B"); known {
		t.Error("what changed is known for ever")
	}
	c.Listed(dir, &first, map[string]string{"A": "a"}, now)
	c.Gone(dir, &causeway.Change{Before: attrAt(1), After: attrAt(2)}, "A", "A") // the other of two
	if _, known := find(2, "A"); known {
		t.Error("which of two names is left is not known")
	}
	if c.held != 0 {
		t.Error(c.held, "names are held")
	}
}

// TestCacheIsBounded: the names of all directories together are.
func TestCacheIsBounded(t *testing.T) {
	var c Cache
	a := attrAt(1)
	for i := range 5 {
		names := map[string]string{}
		for j := range maxNames / 3 {
			name := fmt.Sprint(j)
			names[name] = name
		}
		c.Listed(causeway.Handle{Volume: causeway.VolumeID(i + 1)}, &a, names, time.Unix(5000, 0))
		if c.held > maxNames {
			t.Fatal(c.held)
		}
	}
	if len(c.dirs) < 2 {
		t.Error(len(c.dirs), "directories are known")
	}
}
