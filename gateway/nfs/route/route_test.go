package route

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"causeway"
	"causeway/gateway/nfs/drc"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

const vol causeway.VolumeID = 7

// world is a table with a handler that counts.
type world struct {
	table *Table
	valid atomic.Bool
	here  atomic.Int32
	away  atomic.Int32
	slow  chan struct{} // answers here wait for it, if it is not nil
	Handler
}

func newWorld(t *testing.T) *world {
	w := &world{}
	w.valid.Store(true)
	var err error
	if w.table, err = New(Config{Valid: w.valid.Load}); err != nil {
		t.Fatal(err)
	}
	w.Handler = Handler{Table: w.table, Volume: func(*rpc.Call) (causeway.VolumeID, bool) { return vol, true },
		Local: rpc.HandlerFunc(func(_ context.Context, c *rpc.Call) rpc.Verdict {
			if w.slow != nil {
				<-w.slow
			}
			c.Reply.Uint32(uint32(w.here.Add(1)) + 100)
			return rpc.Done
		}),
		Away: rpc.HandlerFunc(func(_ context.Context, c *rpc.Call) rpc.Verdict {
			c.Reply.Uint32(uint32(w.away.Add(1)) + 200)
			return rpc.Done
		})}
	return w
}

func (w *world) call(t *testing.T, noWait bool) rpc.Verdict {
	return w.Handle(t.Context(), &rpc.Call{Proc: 1, NoWait: noWait})
}

func TestCallsGoWhereTheVolumeIs(t *testing.T) {
	w := newWorld(t)
	if v := w.call(t, true); v != rpc.Park {
		t.Errorf("a closed volume, and nobody may wait: %v", v)
	}
	w.table.Open(vol, true, "me", causeway.Epoch{Revision: 1})
	if v := w.call(t, true); v != rpc.Done || w.here.Load() != 1 {
		t.Errorf("%v, %d calls here", v, w.here.Load())
	}
	w.table.Open(vol, false, "other", causeway.Epoch{Revision: 2})
	if v := w.call(t, true); v != rpc.Park {
		t.Errorf("it is elsewhere, and nobody may wait: %v", v)
	}
	if v := w.call(t, false); v != rpc.Done || w.away.Load() != 1 || w.here.Load() != 1 {
		t.Errorf("%v, %d calls here, %d away", v, w.here.Load(), w.away.Load())
	}
	if s := w.table.Now(vol); s.Node != "other" || s.Epoch.Revision != 2 || s.Here || !s.Open {
		t.Errorf("%+v", s)
	}
}

func TestCallsWaitWhileTheVolumeMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, done := newWorld(t), make(chan rpc.Verdict, 1)
		changed := w.table.Changed()
		go func() { done <- w.call(t, false) }()
		time.Sleep(10 * time.Second)
		if len(done) > 0 {
			t.Fatal("it did not wait")
		}
		w.table.Open(vol, false, "other", causeway.Epoch{})
		if v := <-done; v != rpc.Done || w.away.Load() != 1 {
			t.Errorf("%v, %d calls away", v, w.away.Load())
		}
		<-changed
		w.table.Close(vol)
		begun := time.Now()
		if v := w.call(t, false); v != rpc.Drop || time.Since(begun) > 30*time.Second {
			t.Errorf("a volume that stays closed: %v after %v", v, time.Since(begun))
		}
	})
}

func TestDrainWaitsForCallsInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slow = make(chan struct{})
		w.table.Open(vol, true, "me", causeway.Epoch{})
		drained := atomic.Bool{}
		go w.call(t, false)
		synctest.Wait()
		w.table.Close(vol)
		go func() {
			if err := w.table.Drain(t.Context(), vol); err != nil {
				t.Error(err)
			}
			drained.Store(true)
		}()
		time.Sleep(time.Second)
		if drained.Load() {
			t.Error("a call is inside")
		}
		close(w.slow)
		time.Sleep(time.Second)
		if !drained.Load() {
			t.Error("nobody is inside")
		}
	})
}

// TestLeaseEndsMeanwhile: a gateway that may have lost its lease starts nothing, and reports no success.
func TestLeaseEndsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, done := newWorld(t), make(chan rpc.Verdict, 1)
		w.slow = make(chan struct{})
		w.table.Open(vol, true, "me", causeway.Epoch{})
		go func() { done <- w.call(t, false) }()
		synctest.Wait()
		w.valid.Store(false)
		close(w.slow)
		if v := <-done; v != rpc.Drop {
			t.Errorf("done before, reported after the lease: %v", v)
		}
		before := w.here.Load()
		if v := w.call(t, true); v != rpc.Park || w.here.Load() != before {
			t.Errorf("%v, and %d calls began", v, w.here.Load()-before)
		}
		w.table.CloseAll()
		if w.table.Now(vol).Open {
			t.Error("open after the fence")
		}
	})
}

// TestRemember: the answer of another gateway survives it, and an answer of this gateway's own is not kept twice.
func TestRemember(t *testing.T) {
	w := newWorld(t)
	replies, err := drc.New(drc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := Remember{Handler: w.Handler, Table: w.table, Replies: replies, Volume: w.Volume}
	mkdir := func(xid uint32) uint32 {
		c := &rpc.Call{XID: xid, Prog: 100003, Vers: 3, Proc: 9, Args: xdr.NewDecoder([]byte("args"))}
		if v := r.Handle(t.Context(), c); v != rpc.Done {
			t.Fatal(v)
		}
		d := xdr.NewDecoder(c.Reply.Bytes())
		return d.Uint32()
	}
	w.table.Open(vol, false, "other", causeway.Epoch{})
	first := mkdir(1)
	w.table.Open(vol, true, "me", causeway.Epoch{})
	if again := mkdir(1); again != first || w.here.Load() != 0 {
		t.Errorf("%d, and then %d", first, again)
	}
	if other := mkdir(2); other != 101 {
		t.Errorf("another call is answered %d", other)
	}
	if n := replies.Usage().Entries; n != 1 {
		t.Errorf("%d answers are kept", n)
	}
}
