package posix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

// eachIdentity runs a test with every way of naming objects that this process can use.
func eachIdentity(t *testing.T, f func(t *testing.T, cfg Config)) {
	for _, way := range []Identity{IdentityHandle, IdentityIndex} {
		t.Run(string(way), func(t *testing.T) {
			if way == IdentityHandle {
				needRoot(t)
			}
			f(t, Config{Identity: way, MaxDescriptors: MinDescriptors})
		})
	}
}

// TestOthersChangeTheTree sees what other programs do, as a local file system shows it.
func TestOthersChangeTheTree(t *testing.T) {
	eachIdentity(t, func(t *testing.T, cfg Config) {
		ctx := context.Background()
		dir := t.TempDir()
		s := open(t, dir, cfg)
		d := mk(t, s, s.Root(), "d", causeway.TypeDirectory)
		f := mk(t, s, d, "f", causeway.TypeRegular)
		if err := os.WriteFile(filepath.Join(dir, "d", "f"), []byte("from outside"), 0o600); err != nil {
			t.Fatal(err)
		}
		if attr, err := s.Stat(ctx, f); err != nil || attr.Size != 12 {
			t.Fatal(attr, err)
		}
		if err := os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "e")); err != nil {
			t.Fatal(err)
		}
		_, _, err := s.Lookup(ctx, s.Root(), "d")
		wantCode(t, err, causeway.ErrNoEnt)
		s.cache.shrink(1 << 30) // now it must be found again
		if attr, err := s.Stat(ctx, f); err != nil || attr.Size != 12 {
			t.Fatal(attr, err)
		}
		if id, _, err := s.Lookup(ctx, d, "f"); err != nil || id != f {
			t.Fatal(id, err)
		}
		if err := os.Remove(filepath.Join(dir, "e", "f")); err != nil {
			t.Fatal(err)
		}
		_, err = s.Stat(ctx, f)
		wantCode(t, err, causeway.ErrStale)
		g := mk(t, s, d, "g", causeway.TypeRegular)
		if err := os.Remove(filepath.Join(dir, "e", "g")); err != nil {
			t.Fatal(err)
		}
		s.dropDeleted()
		if n := s.cache.get(&g); n != nil {
			t.Fatal("the descriptor of a deleted file is kept")
		}
	})
}

// TestLostIndex finds everything again after the index was lost, by one scan.
func TestLostIndex(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := open(t, dir, Config{Identity: IdentityIndex})
	var ids []causeway.ObjectID
	parent := s.Root()
	for i := range 20 {
		parent = mk(t, s, parent, fmt.Sprint("d", i), causeway.TypeDirectory)
		ids = append(ids, parent, mk(t, s, parent, "f", causeway.TypeRegular))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, damage := range []func(file string) error{
		os.Remove,
		func(file string) error { return os.WriteFile(file, []byte(strings.Repeat("no index", 1000)), 0o600) },
	} {
		if err := damage(filepath.Join(dir, markerDir, indexFile)); err != nil {
			t.Fatal(err)
		}
		again := open(t, dir, Config{})
		if again.Identity() != IdentityIndex {
			t.Fatal("the volume became another one")
		}
		for i := range ids {
			id := ids[len(ids)-1-i]
			if _, err := again.Stat(ctx, id); err != nil {
				t.Fatal(i, err)
			}
		}
		if scans := again.Stats().Scans; scans != 1 {
			t.Fatalf("%d scans", scans)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMarkerIsKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Config{Identity: IdentityIndex})
	s.Close()
	if os.Geteuid() == 0 {
		_, err := Open(context.Background(), dir, Config{Identity: IdentityHandle})
		if err == nil || !strings.Contains(err.Error(), "born with identity") {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, markerDir, markerFile), []byte(`{"format": 99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), dir, Config{}); err == nil || !strings.Contains(err.Error(), "format 99") {
		t.Fatal(err)
	}
}

func TestReadOnlyWithStateDir(t *testing.T) {
	ctx := context.Background()
	dir, state := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, dir, Config{ReadOnly: true}); err == nil {
		t.Fatal("read-only without a place for the marker")
	}
	s := open(t, dir, Config{ReadOnly: true, StateDir: state})
	f, _, err := s.Lookup(ctx, s.Root(), "f")
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.SetStat(ctx, f, &causeway.SetAttr{Mask: causeway.SetSize}), causeway.ErrROFS)
	wantCode(t, s.Remove(ctx, s.Root(), "f", false), causeway.ErrROFS)
	_, err = s.Open(ctx, f, causeway.IOReadWrite, nil)
	wantCode(t, err, causeway.ErrROFS)
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Fatal("something was written to a read-only directory")
	}
	id := s.VolumeID()
	s.Close()
	if again := open(t, dir, Config{ReadOnly: true, StateDir: state}); again.VolumeID() != id {
		t.Fatal("another volume")
	}
}

// TestUnsyncedFilesStayOpen writes to more files than the cache holds: none with unsynced data may lose its descriptor.
func TestUnsyncedFilesStayOpen(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), Config{MaxDescriptors: MinDescriptors})
	for i := range 5 * MinDescriptors {
		f := mk(t, s, s.Root(), fmt.Sprint(i), causeway.TypeRegular)
		o := must[backend.Object](t)(s.Open(ctx, f, causeway.IOReadWrite, nil))
		must[int](t)(o.WriteAt(ctx, []byte("x"), 0))
		o.Close()
	}
	st := s.Stats()
	// A sync of everything covers at most what may be unsynced at a time, so the files that were given up needed several.
	if st.Descriptors > MinDescriptors || st.Dirty > MinDescriptors*3/4+1 || st.Evictions < 4*MinDescriptors || st.Syncs < 5 {
		t.Fatalf("%+v", st)
	}
}

// TestLossIsTold: when the sync of everything fails, who lost data is found out file by file, before its descriptor goes.
func TestLossIsTold(t *testing.T) {
	ctx := context.Background()
	var told []causeway.ObjectID
	s := open(t, t.TempDir(), Config{OnSyncError: func(id causeway.ObjectID, err error) { told = append(told, id) }})
	var lost causeway.ObjectID
	var lostFD int
	for i := range 5 {
		f := mk(t, s, s.Root(), fmt.Sprint(i), causeway.TypeRegular)
		o := must[backend.Object](t)(s.Open(ctx, f, causeway.IOReadWrite, nil))
		must[int](t)(o.WriteAt(ctx, []byte("x"), 0))
		lost, lostFD = f, o.(backend.Descriptor).FD()
		o.Close()
	}
	s.syncfs = func(int) unix.Errno { return unix.EIO }
	s.fsync = func(fd int, full bool) unix.Errno {
		if fd == lostFD {
			return unix.EIO
		}
		return fsync(fd, full)
	}
	if err := s.syncDirty(); !errors.Is(err, causeway.ErrIO) {
		t.Error(err)
	}
	if len(told) != 1 || told[0] != lost || s.Stats().Dirty != 0 {
		t.Fatalf("told of %v, lost %v; %+v", told, lost, s.Stats())
	}
}

// TestSyncErrorIsTold makes a sync fail and expects whoever keeps write verifiers to be told.
func TestSyncErrorIsTold(t *testing.T) {
	ctx := context.Background()
	var mu sync.Mutex
	var told []causeway.ObjectID
	s := open(t, t.TempDir(), Config{OnSyncError: func(id causeway.ObjectID, err error) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, id)
		if !errors.Is(err, causeway.ErrIO) {
			t.Error(err)
		}
	}})
	f := mk(t, s, s.Root(), "f", causeway.TypeRegular)
	o := must[backend.Object](t)(s.Open(ctx, f, causeway.IOReadWrite, nil))
	defer o.Close()
	must[int](t)(o.WriteAt(ctx, []byte("x"), 0))
	s.fsync = func(int, bool) unix.Errno { return unix.EIO }
	wantCode(t, o.Sync(ctx, false), causeway.ErrIO)
	s.fsync = fsync
	if err := o.Sync(ctx, false); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || told[0] != f || s.Stats().SyncErrors != 1 {
		t.Fatal(told, s.Stats())
	}
}

// TestSyncErrorIsSeenByAll makes a sync fail that nobody waits for: whoever has the file open learns of it once, and if nobody
// has, the next one.
func TestSyncErrorIsSeenByAll(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), Config{})
	f := mk(t, s, s.Root(), "f", causeway.TypeRegular)
	openFile := func() backend.Object {
		o := must[backend.Object](t)(s.Open(ctx, f, causeway.IOReadWrite, nil))
		t.Cleanup(func() { o.Close() })
		return o
	}
	broken := func(sync func()) {
		s.fsync = func(int, bool) unix.Errno { return unix.EIO }
		sync()
		s.fsync = fsync
	}
	a, b := openFile(), openFile()
	must[int](t)(a.WriteAt(ctx, []byte("x"), 0))
	broken(func() { _ = s.syncDirty() })
	late := openFile() // before anybody was told
	for range 2 {
		for i, o := range []backend.Object{a, b, late} {
			wantCode(t, o.Sync(ctx, false), causeway.ErrIO)
			if err := o.Sync(ctx, false); err != nil {
				t.Fatal(i, "was told twice: ", err)
			}
		}
		if err := openFile().Sync(ctx, false); err != nil {
			t.Fatal("who came after all were told: ", err)
		}
		broken(func() { wantCode(t, openFile().Sync(ctx, true), causeway.ErrIO) })
	}
}

// TestSyncsAreShared lets many ask for a sync of one file while one runs: they share the next.
func TestSyncsAreShared(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), Config{})
	f := mk(t, s, s.Root(), "f", causeway.TypeRegular)
	n, err := s.get(ctx, &f)
	if err != nil {
		t.Fatal(err)
	}
	defer n.unpin()
	hold, began := make(chan struct{}), make(chan struct{}, 1000)
	s.fsync = func(int, bool) unix.Errno { began <- struct{}{}; <-hold; return 0 }
	var all sync.WaitGroup
	all.Go(func() { _ = s.syncNode(n, false) })
	<-began
	const followers = 50
	for range followers {
		all.Go(func() { _ = s.syncNode(n, false) })
	}
	for end := time.Now().Add(10 * time.Second); s.Stats().SyncRequests < followers+1 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(10 * time.Millisecond) // a follower that has been counted may not have queued yet: then it makes a third sync
	close(hold)
	all.Wait()
	if syncs := s.Stats().Syncs; syncs < 2 || syncs > 5 {
		t.Fatalf("%d syncs for %d requests", syncs, followers+1)
	}
}

// TestLongWalk lists a large directory in small pieces while it changes.
func TestLongWalk(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), Config{MaxDescriptors: MinDescriptors})
	d := mk(t, s, s.Root(), "d", causeway.TypeDirectory)
	count := 5000
	if testing.Short() {
		count = 1000
	}
	for i := range count {
		mk(t, s, d, fmt.Sprintf("stays-%d", i), causeway.TypeFIFO)
	}
	seen, cookie, round := map[string]int{}, uint64(0), 0
	for eof := false; !eof; round++ {
		name := fmt.Sprint("comes-", round)
		mk(t, s, d, name, causeway.TypeFIFO)
		n := 0
		var err error
		eof, err = s.List(ctx, d, cookie, round%2 == 0, func(e *causeway.DirEntry) bool {
			if n == 37 {
				return false
			}
			n++
			seen[strings.Clone(e.Name)]++
			cookie = e.Cookie
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Remove(ctx, d, name, false); err != nil {
			t.Fatal(err)
		}
		if round%10 == 0 {
			s.streams.close()
		}
	}
	for i := range count {
		if got := seen[fmt.Sprintf("stays-%d", i)]; got != 1 {
			t.Fatalf("entry %d was listed %d times", i, got)
		}
	}
}
