package posix

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"causeway"
)

// waitSettled waits until what was made before is old enough to be told by its time of birth.
func waitSettled() { time.Sleep(time.Duration(settle) + 5*time.Millisecond) }

// wantByName skips where objects cannot be told without being opened.
func wantByName(t testing.TB, s *Store) {
	if !s.byName {
		t.Skip("the file system's times of birth or handles are not known well enough")
	}
}

// TestKnownObjectsAreNotOpened lists and looks up objects that others made: their ids are right, and no descriptor is used.
func TestKnownObjectsAreNotOpened(t *testing.T) {
	eachIdentity(t, func(t *testing.T, cfg Config) {
		ctx := context.Background()
		dir := t.TempDir()
		const files = 300
		for i := range files {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		waitSettled()
		cfg.MaxDescriptors = 10 * files
		s := open(t, dir, cfg)
		wantByName(t, s)
		ids := map[string]causeway.ObjectID{}
		for range 2 {
			must[bool](t)(s.List(ctx, s.Root(), 0, true, func(e *causeway.DirEntry) bool {
				if !e.Attr.Valid() || e.Attr.FileID != e.FileID {
					t.Errorf("%s: %+v", e.Name, e)
				}
				if old, ok := ids[e.Name]; ok && old != e.Object {
					t.Errorf("%s has another id", e.Name)
				}
				ids[string([]byte(e.Name))] = e.Object
				return true
			}))
		}
		for i := range files {
			id, attr, err := s.Lookup(ctx, s.Root(), fmt.Sprint(i))
			if err != nil || id != ids[fmt.Sprint(i)] || attr.Type != causeway.TypeRegular {
				t.Fatal(i, id, attr, err)
			}
		}
		if st := s.Stats(); st.Descriptors > 2 || st.Known < files {
			t.Fatalf("%+v", st)
		}
		for name, id := range ids {
			n, err := s.get(ctx, &id) // by the id alone
			if err != nil {
				t.Fatal(name, err)
			}
			if n.id != id {
				t.Fatal(name, "opens as another object")
			}
			n.unpin()
		}
	})
}

// TestInodeNumberComesAgain has others remove a known object and make others until one has its inode number: that one must
// have an id of its own.
func TestInodeNumberComesAgain(t *testing.T) {
	eachIdentity(t, func(t *testing.T, cfg Config) {
		ctx := context.Background()
		dir := t.TempDir()
		s := open(t, dir, cfg)
		wantByName(t, s)
		name := filepath.Join(dir, "f")
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		waitSettled()
		again := 0
		for range 12 {
			old, attr, err := s.Lookup(ctx, s.Root(), "f")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if again%2 == 1 {
				waitSettled()
			}
			id, now, err := s.Lookup(ctx, s.Root(), "f")
			if err != nil {
				t.Fatal(err)
			}
			if id == old {
				t.Fatal("two objects have one id")
			}
			if now.FileID == attr.FileID {
				again++
			}
			if _, err := s.Stat(ctx, old); causeway.CodeOf(err) != causeway.ErrStale {
				t.Fatal("the old object: ", err)
			}
		}
		if again == 0 {
			t.Skip("the file system gave no inode number twice")
		}
	})
}

// TestOthersExchangeNames looks up and lists while other programs exchange, remove and make what has the names. An answer
// may be of any moment, but id and attributes must be those of one object.
func TestOthersExchangeNames(t *testing.T) {
	eachIdentity(t, func(t *testing.T, cfg Config) {
		ctx := context.Background()
		dir := t.TempDir()
		s := open(t, dir, cfg)
		wantByName(t, s)
		var others sync.WaitGroup
		stop := make(chan struct{})
		const names = 8
		name := func(i int) string { return filepath.Join(dir, fmt.Sprint("n", i)) }
		for w := range 2 {
			others.Go(func() {
				r := rand.New(rand.NewPCG(uint64(w), 7))
				for {
					select {
					case <-stop:
						return
					default:
					}
					switch a, b := name(r.IntN(names)), name(r.IntN(names)); r.IntN(4) {
					case 0:
						os.Remove(a)
					case 1:
						os.Rename(a, b)
					case 2:
						os.WriteFile(a, nil, 0o600)
					default:
						time.Sleep(time.Duration(r.IntN(30)) * time.Millisecond)
					}
				}
			})
		}
		births := map[causeway.ObjectID]causeway.Attr{}
		check := func(id causeway.ObjectID, attr causeway.Attr) {
			if old, ok := births[id]; ok && (old.FileID != attr.FileID || old.Btime != attr.Btime) {
				t.Errorf("one id, two objects: %+v and %+v", old, attr)
			}
			births[id] = attr
		}
		for end := time.Now().Add(time.Second); time.Now().Before(end) && !t.Failed(); {
			for i := range names {
				if id, attr, err := s.Lookup(ctx, s.Root(), fmt.Sprint("n", i)); err == nil {
					check(id, attr)
				}
			}
			must[bool](t)(s.List(ctx, s.Root(), 0, true, func(e *causeway.DirEntry) bool {
				if e.Attr.Valid() && e.Name != ".." {
					check(e.Object, e.Attr)
				}
				return true
			}))
		}
		close(stop)
		others.Wait()
	})
}

// TestListingOfWhatIsGone removes entries of a directory while it is listed, and makes others elsewhere that get their inode
// numbers: no entry may be shown with another one's object.
func TestListingOfWhatIsGone(t *testing.T) {
	eachIdentity(t, func(t *testing.T, cfg Config) {
		for _, cfg.Exclusive = range []bool{false, true} {
			ctx := context.Background()
			s := open(t, t.TempDir(), cfg)
			here, there := mk(t, s, s.Root(), "here", causeway.TypeDirectory), mk(t, s, s.Root(), "there", causeway.TypeDirectory)
			const files = 100
			for i := range files {
				mk(t, s, here, fmt.Sprint(i), causeway.TypeRegular)
			}
			list := func(emit func(*causeway.DirEntry)) {
				must[bool](t)(s.List(ctx, here, 0, true, func(e *causeway.DirEntry) bool { emit(e); return true }))
			}
			list(func(*causeway.DirEntry) {})
			moved := map[causeway.ObjectID]uint64{}
			again := 0
			list(func(e *causeway.DirEntry) {
				if e.Name == "." || e.Name == ".." {
					return
				}
				if len(moved) > 0 && e.Attr.Valid() {
					if _, ok := moved[e.Object]; ok {
						t.Errorf("%s is shown as an object of another directory", e.Name)
					}
				}
				if len(moved) > 0 {
					return
				}
				numbers := map[uint64]bool{}
				for i := range files {
					if fmt.Sprint(i) != e.Name {
						_, attr, _ := s.Lookup(ctx, here, fmt.Sprint(i))
						numbers[attr.FileID] = true
						if err := s.Remove(ctx, here, fmt.Sprint(i), false); err != nil {
							t.Fatal(err)
						}
					}
				}
				for i := range files {
					id := mk(t, s, there, fmt.Sprint(i), causeway.TypeRegular)
					attr := must[causeway.Attr](t)(s.Stat(ctx, id))
					moved[id] = attr.FileID
					if numbers[attr.FileID] {
						again++
					}
				}
			})
			if again == 0 {
				t.Log("the file system gave no inode number twice")
			}
		}
	})
}

func TestKnownIsBounded(t *testing.T) {
	k := newKnown(knownShards * 4)
	id := func(ino uint64) causeway.ObjectID { return indexID(ino, 1) }
	birth := causeway.Time{Sec: 1}
	for ino := range uint64(10_000) {
		k.put(ino, birth, id(ino))
		k.get(0, birth) // always used, so it must stay
	}
	if n := k.count(); n > knownShards*4 {
		t.Fatal(n, "entries")
	}
	if got, ok := k.get(0, birth); !ok || got != id(0) {
		t.Fatal("what is used was evicted")
	}
	if _, ok := k.get(0, causeway.Time{Sec: 2}); ok {
		t.Fatal("another birth is believed")
	}
	found := 0
	for ino := range uint64(10_000) {
		got, ok := k.get(ino, birth)
		if !ok {
			continue
		}
		found++
		if got != id(ino) {
			t.Fatal("a wrong id")
		}
		other := id(ino + 1)
		k.forget(ino, &other)
		if _, ok := k.get(ino, birth); !ok {
			t.Fatal("forgot another object's entry")
		}
		k.forget(ino, &got)
		if _, ok := k.get(ino, birth); ok {
			t.Fatal("not forgotten")
		}
	}
	if found != knownShards*4 || k.count() != 0 {
		t.Fatal(found, k.count())
	}
}
