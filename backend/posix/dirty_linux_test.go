package posix

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/backend"
)

// TestWriteDuringSync lets a sync begin inside a write: the file is not clean when both have ended.
func TestWriteDuringSync(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), Config{})
	data := bytes.Repeat([]byte("x"), 32<<20)
	for try := range 20 {
		f := mk(t, s, s.Root(), fmt.Sprint(try), causeway.TypeRegular)
		o := must[backend.Object](t)(s.Open(ctx, f, causeway.IOReadWrite, nil))
		size := func() int64 {
			var st unix.Stat_t
			fstat(o.(*object).node.fd, &st)
			return st.Size
		}
		at := int64(0)
		s.fsync = func(int, bool) unix.Errno { at = size(); return 0 }
		var writer sync.WaitGroup
		writer.Go(func() { _, _ = o.WriteAt(ctx, data, 0) })
		for end := time.Now().Add(10 * time.Second); size() == 0 && time.Now().Before(end); {
		}
		_ = s.syncDirty()
		writer.Wait()
		dirty := o.(*object).node.dirty.Load()
		o.Close()
		s.fsync = fsync
		if at > 0 && at < int64(len(data)) {
			if !dirty {
				t.Errorf("clean, though the sync saw %d of %d bytes", at, len(data))
			}
			return
		}
	}
	t.Skip("no sync came into a write")
}
