package access_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
)

// slowLookups lets others go first between the looks of a rename.
type slowLookups struct{ *mem.Store }

func (s slowLookups) Lookup(ctx context.Context, dir causeway.ObjectID, name string) (causeway.ObjectID, causeway.Attr, error) {
	id, attr, err := s.Store.Lookup(ctx, dir, name)
	for range rand.IntN(4) {
		runtime.Gosched()
	}
	return id, attr, err
}

var _ backend.Store = slowLookups{}

// TestRenamesOfOneFile: where many rename one file to and fro between two names, it has been renamed as often as was said.
func TestRenamesOfOneFile(t *testing.T) {
	e := access.New(access.Config{})
	e.Attach(&causeway.Volume{ID: 7, Name: "v", Async: true}, slowLookups{mem.New(mem.Config{Mode: 0o777})})
	root, err := e.Root(t.Context(), &gateway.Caller{}, 7)
	want(t, err, causeway.OK)
	other, _, err := e.Create(t.Context(), &gateway.Caller{}, root.Handle, "d", &gateway.CreateSpec{Type: causeway.TypeDirectory})
	want(t, err, causeway.OK)
	_, _, err = e.Create(t.Context(), &gateway.Caller{}, root.Handle, "0", &gateway.CreateSpec{Type: causeway.TypeRegular})
	want(t, err, causeway.OK)
	dirs, names := [2]causeway.Handle{root.Handle, other.Handle}, [2]string{"0", "1"}
	var forth, back atomic.Int64
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for range 5000 {
				from, count := rand.IntN(2), &forth
				if from == 1 {
					count = &back
				}
				_, _, err := e.Rename(context.Background(), &gateway.Caller{}, dirs[from], names[from], dirs[1-from], names[1-from])
				if err == nil {
					count.Add(1)
				} else if causeway.CodeOf(err) != causeway.ErrNoEnt {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	moved := int64(0)
	if _, _, err := e.Lookup(t.Context(), &gateway.Caller{}, other.Handle, "1"); err == nil {
		moved = 1
	}
	if forth.Load()-back.Load() != moved {
		t.Errorf("renamed %d times forth and %d times back, and it is moved %d times", forth.Load(), back.Load(), moved)
	}
	if forth.Load() < 100 {
		t.Errorf("only %d renames found the file", forth.Load())
	}
}
