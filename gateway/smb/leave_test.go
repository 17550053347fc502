package smb

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"causeway/gateway/smb/contexts"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// setupBody is a SESSION_SETUP of a new session, with a token that is none.
func setupBody() []byte {
	b := make([]byte, 24, 32)
	le.PutUint16(b, 25)
	le.PutUint16(b[12:], wire.HeaderSize+24)
	le.PutUint16(b[14:], 4)
	return append(b, "none"...)
}

// known makes the server count the rig's connection among its own.
func (r *rig) known() {
	r.srv.mu.Lock()
	defer r.srv.mu.Unlock()
	r.srv.conns[r.conn] = struct{}{}
}

// acknowledge receives a break and answers it, and returns from what to what it was.
func (r *rig) acknowledge(t *testing.T) (from, to contexts.LeaseState) {
	t.Helper()
	m, h := r.receive(t)
	if h.Command != wire.OplockBreak {
		t.Fatalf("not a break: %+v", h)
	}
	b := m[wire.HeaderSize:]
	from, to = contexts.LeaseState(le.Uint32(b[24:])), contexts.LeaseState(le.Uint32(b[28:]))
	body := make([]byte, 36)
	le.PutUint16(body, 36)
	copy(body[8:24], b[8:24])
	le.PutUint32(body[24:], uint32(to))
	r.send(t, r.request(wire.OplockBreak, 0, body))
	if _, h := r.final(t); h.Status != ntstatus.OK {
		t.Fatal("acknowledgement:", h.Status)
	}
	return from, to
}

// TestDrain: what a client caches unwritten is asked back, nobody logs on or caches writes any more, and the connection is closed when the
// client has closed its files and is quiet.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false)
		defer r.close()
		r.known()
		id, got := r.leased(t, "f", 1, stateRWH)
		if got != stateRWH {
			t.Fatal("granted", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		done := make(chan struct{})
		go func() { defer close(done); r.srv.Drain(ctx) }()
		if from, to := r.acknowledge(t); from != stateRWH || to != stateRH {
			t.Fatalf("broken from %v to %v", from, to)
		}
		unsigned := r.request(wire.SessionSetup, 0, setupBody())
		clear(unsigned[40:48]) // no session
		r.send(t, unsigned)
		if _, h := r.final(t); h.Status != ntstatus.ServerUnavailable {
			t.Error("a new session:", h.Status)
		}
		other, got := r.leased(t, "g", 2, stateRWH)
		if got != stateRH {
			t.Error("granted while the gateway drains:", got)
		}
		time.Sleep(30 * time.Second)
		if r.conn.stopping.Load() {
			t.Fatal("a client that has files open was cut off before its time")
		}
		for _, id := range []wire.FileID{id, other} {
			body := make([]byte, 24)
			le.PutUint16(body, 24)
			le.PutUint64(body[8:], id.Persistent)
			le.PutUint64(body[16:], id.Volatile)
			r.send(t, r.request(wire.Close, 0, body))
			if _, h := r.final(t); h.Status != ntstatus.OK {
				t.Error("close:", h.Status)
			}
		}
		if !r.ended(t) {
			t.Error("the connection is still there")
		}
		<-done
	})
}

// TestDrainIsBounded: who keeps files open, or does not return a lease, is cut off when the time is over.
func TestDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, false)
		defer r.close()
		r.known()
		r.leased(t, "f", 1, stateRWH)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		done := make(chan struct{})
		go func() { defer close(done); r.srv.Drain(ctx) }()
		if _, h := r.receive(t); h.Command != wire.OplockBreak {
			t.Fatalf("not a break: %+v", h)
		}
		if !r.ended(t) {
			t.Error("the connection is still there")
		}
		if <-done; time.Since(began) != 10*time.Second {
			t.Error("took", time.Since(began))
		}
		time.Sleep(time.Minute) // the break's own time is over
	})
}

// TestReturn: after a drain that was taken back clients are served as before.
func TestReturn(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	r.srv.Recall(t.Context())
	r.srv.Return()
	if _, got := r.leased(t, "f", 1, stateRWH); got != stateRWH {
		t.Error("granted", got)
	}
	m := r.request(wire.SessionSetup, 0, setupBody())
	clear(m[40:48])
	r.send(t, m)
	if _, h := r.final(t); h.Status == ntstatus.ServerUnavailable {
		t.Error("nobody can log on")
	}
}

// TestDrainKeepsDurable: what a client was promised to outlive its connection does, and waits for it where the volume is administered.
func TestDrainKeepsDurable(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	r.known()
	body := createBody("f", 1, stateRWH)
	at := le.Uint32(body[48:]) - wire.HeaderSize
	list, err := contexts.Parse(body[at:])
	if err != nil {
		t.Fatal(err)
	}
	ask := make([]byte, 32) // of version 2: for as long as the server likes, no flags, an id
	ask[16] = 7
	all := contexts.Append(nil, append(list, contexts.Context{Name: contexts.DurableV2Request, Data: ask}))
	body = append(body[:at], all...)
	le.PutUint32(body[52:], uint32(len(all)))
	r.send(t, r.request(wire.Create, 0, body))
	if _, h := r.final(t); h.Status != ntstatus.OK {
		t.Fatal(h.Status)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.srv.Drain(ctx) }()
	if from, to := r.acknowledge(t); from != stateRWH || to != stateRH {
		t.Fatalf("broken from %v to %v", from, to)
	}
	cancel() // its time is over
	if !r.ended(t) {
		t.Error("the connection is still there")
	}
	<-done
	for range 1000 { // the connection's end is on its way
		if r.srv.files.count() == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	opens, err := r.srv.cfg.Access.Opens(t.Context(), 7)
	if err != nil || len(opens) != 1 || opens[0].Keep == 0 || len(r.srv.files.kept) != 1 {
		t.Errorf("%+v, %v", opens, err)
	}
}
