package smb

import (
	"testing"
	"testing/synctest"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/wire"
)

// TestBreakOfSilentClient: a client that holds a lease and reads nothing any more delays who changes the file by the time that a break may
// take, and nobody else.
func TestBreakOfSilentClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false)
		defer r.close()
		a, tr, dir := r.srv.cfg.Access, r.srv.cfg.Transfer, r.ses.trees[1].root.Handle
		handles := map[string]causeway.Handle{}
		for i, name := range []string{"one", "two", "three"} {
			r.leased(t, name, byte(i+1), stateRWH)
			found, _, err := a.Lookup(t.Context(), &gateway.Caller{}, dir, name)
			if err != nil {
				t.Fatal(err)
			}
			handles[name] = found.Handle
		}
		r.send(t, r.request(wire.Echo, 0, echo)) // its reply is not read, nor what comes then
		entry, _, err := a.Create(t.Context(), nfs(), dir, "free", &gateway.CreateSpec{Type: causeway.TypeRegular, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o666}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		write := func(h causeway.Handle) time.Duration {
			if _, err := tr.Write(t.Context(), nfs(), h, 0, []byte("nfs"), causeway.FileSync); err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		done := make(chan time.Duration, 2)
		go func() { done <- write(handles["one"]) }()
		go func() { done <- write(handles["two"]) }()
		synctest.Wait()
		if took := write(entry.Handle); took > time.Second {
			t.Error("a file that nobody caches waited", took)
		}
		for range 2 {
			if took := <-done; took < 30*time.Second || took > 36*time.Second {
				t.Error("a break that nobody answers took", took)
			}
		}
		time.Sleep(time.Minute) // the connection is cut
		if !r.conn.stopping.Load() {
			t.Error("the client that does not read is still connected")
		}
	})
}

// TestUnreadIsBounded: who leaves too much unread that others have caused loses his connection.
func TestUnreadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false)
		defer r.close()
		size := 64 << 10
		for range maxPosted/size + 3 {
			hold := r.srv.pool.Get(size)
			r.conn.out.post(hold.B[:size], hold)
		}
		synctest.Wait()
		if !r.conn.stopping.Load() {
			t.Error("more than", maxPosted, "bytes are kept")
		}
	})
}
