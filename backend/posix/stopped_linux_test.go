package posix

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

// TestStoppedFileSystem has a file system that went read-only after an I/O error: its sync says EROFS, and nothing is stable.
func TestStoppedFileSystem(t *testing.T) {
	ctx := context.Background()
	told := 0
	s := open(t, t.TempDir(), Config{OnSyncError: func(causeway.ObjectID, error) { told++ }})
	f := mk(t, s, s.Root(), "f", causeway.TypeRegular)
	o := must[backend.Object](t)(s.Open(ctx, f, causeway.IOReadWrite, nil))
	defer o.Close()
	must[int](t)(o.WriteAt(ctx, []byte("x"), 0))
	s.fsync = func(int, bool) unix.Errno { return unix.EROFS }
	wantCode(t, o.Sync(ctx, true), causeway.ErrROFS)
	wantCode(t, s.Persist(ctx, s.Root()), causeway.ErrROFS)
	if told != 2 {
		t.Errorf("told of %d failures", told)
	}
}
