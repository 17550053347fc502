package posix

import (
	"os"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func testIndex(t *testing.T) *indexDB {
	t.Helper()
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	d, err := openIndexDB(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.db.Close() })
	return d
}

// TestIndexThatCannotBeWritten: where objects are is not forgotten because storage was full for a moment.
func TestIndexThatCannotBeWritten(t *testing.T) {
	d := testIndex(t)
	d.add(7, place{1, "name"})
	d.forget(8, 1)
	if err := d.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.flush(); err == nil {
		t.Fatal("written")
	}
	if got := d.places(7); !slices.Equal(got, []place{{1, "name"}}) {
		t.Error(got)
	}
	for ino := range uint64(2 * maxPending) {
		d.add(100+ino, place{1, "many"})
	}
	if err := d.flush(); err == nil || len(d.pending) > maxPending/2 {
		t.Errorf("%v, %d wait", err, len(d.pending))
	}
}

// TestIndexIsReadWhileItIsWritten: a second name does not make the first one forgotten that is being written.
func TestIndexIsReadWhileItIsWritten(t *testing.T) {
	d := testIndex(t)
	d.add(7, place{1, "first"})
	held := make(chan struct{})
	ended := make(chan error)
	go func() {
		ended <- d.db.Update(func(*bolt.Tx) error { // others write meanwhile
			held <- struct{}{}
			<-held
			return nil
		})
	}()
	<-held
	flushed := make(chan error)
	go func() { flushed <- d.flush() }()
	for taken := false; !taken; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		taken = len(d.pending) == 0
		d.mu.Unlock()
	}
	d.add(7, place{2, "second"})
	want := []place{{2, "second"}, {1, "first"}}
	if got := d.places(7); !slices.Equal(got, want) {
		t.Error(got)
	}
	held <- struct{}{}
	for _, c := range []chan error{ended, flushed} {
		if err := <-c; err != nil {
			t.Error(err)
		}
	}
	if err := d.flush(); err != nil {
		t.Error(err)
	}
	if got := d.stored(7); !slices.Equal(got, want) {
		t.Error(got)
	}
}
