package rounds

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"causeway"
)

const volume causeway.VolumeID = 7

// disk notes what it is asked for, and answers when it is told to.
type disk struct {
	mu    sync.Mutex
	calls [][]causeway.ObjectID
	reply chan error
}

func (d *disk) Persist(_ context.Context, _ causeway.VolumeID, ids ...causeway.ObjectID) error {
	d.mu.Lock()
	d.calls = append(d.calls, slices.Clone(ids))
	d.mu.Unlock()
	return <-d.reply
}

type change struct {
	ids  []causeway.ObjectID
	ends chan error
}

func (c change) Pending(list []causeway.ObjectID) []causeway.ObjectID { return append(list, c.ids...) }
func (c change) End(err error)                                        { c.ends <- err }

// TestSharedRound: what two sources hand over while a round runs is one call, in which each object stands once, and all hear how it ended.
func TestSharedRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{reply: make(chan error)}
		one := Of(d)
		other := Of(one)
		dir, a, b, c := causeway.ObjectID{1}, causeway.ObjectID{2}, causeway.ObjectID{3}, causeway.ObjectID{4}
		ends := make(chan error, 3)
		one.Add(volume, change{[]causeway.ObjectID{dir, a}, ends})
		synctest.Wait()
		one.Add(volume, change{[]causeway.ObjectID{dir, b}, ends})
		other.Add(volume, change{[]causeway.ObjectID{c, {}, dir}, ends})
		synctest.Wait()
		d.reply <- nil
		if err := <-ends; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(ends) != 0 {
			t.Error("a change was answered before its own round")
		}
		d.reply <- causeway.ErrIO
		for range 2 {
			if err := <-ends; !errors.Is(err, causeway.ErrIO) {
				t.Errorf("the end of a round that failed: %v", err)
			}
		}
		synctest.Wait()
		want := [][]causeway.ObjectID{{dir, a}, {dir, b, c}}
		if !slices.EqualFunc(d.calls, want, slices.Equal) {
			t.Errorf("%v", d.calls)
		}
		if len(one.volumes) != 0 {
			t.Error("a goroutine waits for nothing")
		}
	})
}

// TestVolumesDoNotWait: a volume whose storage hangs keeps no other one waiting.
func TestVolumesDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{reply: make(chan error)}
		r := Of(d)
		ends := make(chan error, 2)
		r.Add(volume, change{nil, ends})
		r.Add(volume+1, change{nil, ends})
		synctest.Wait()
		if len(d.calls) != 2 {
			t.Errorf("%d calls", len(d.calls))
		}
		close(d.reply)
		<-ends
		<-ends
	})
}
