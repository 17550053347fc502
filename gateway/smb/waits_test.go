package smb

import (
	"context"
	"testing"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/contexts"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// dataBody is the body of a READ or WRITE of one byte at the start.
func dataBody(id wire.FileID, write bool) []byte {
	b := make([]byte, 49)
	le.PutUint16(b, 49)
	le.PutUint32(b[4:], 1)
	le.PutUint64(b[16:], id.Persistent)
	le.PutUint64(b[24:], id.Volatile)
	if write {
		le.PutUint16(b[2:], wire.HeaderSize+48)
	}
	return b
}

// renameBody is the body of a SET_INFO that renames a file.
func renameBody(id wire.FileID, name string) []byte {
	to := wide(name)
	data := append(make([]byte, 20), to...)
	le.PutUint32(data[16:], uint32(len(to)))
	b := make([]byte, 32)
	b[0], b[2], b[3] = 33, byte(wire.InfoFile), 10
	le.PutUint32(b[4:], uint32(len(data)))
	le.PutUint16(b[8:], wire.HeaderSize+32)
	le.PutUint64(b[16:], id.Persistent)
	le.PutUint64(b[24:], id.Volatile)
	return append(b, data...)
}

// cancelled checks that the request sent last waits, and ends when it is cancelled.
func (r *rig) cancelled(t *testing.T) {
	t.Helper()
	_, interim := r.receive(t)
	if interim.Status != ntstatus.Pending || interim.AsyncID == 0 || interim.Credits == 0 {
		t.Fatalf("interim: %+v", interim)
	}
	cancel := r.request(wire.Cancel, wire.FlagAsync, echo)
	le.PutUint64(cancel[32:], interim.AsyncID)
	r.send(t, cancel)
	if _, final := r.receive(t); final.Status != ntstatus.Cancelled || final.AsyncID != interim.AsyncID || final.MessageID != interim.MessageID || final.Credits != 0 {
		t.Errorf("final: %+v", final)
	}
}

// TestRenameIsCancelled: a rename that waits until another client has given up what it caches is said to, and does not happen when it is
// cancelled.
func TestRenameIsCancelled(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	other := r.again(t)
	defer other.close()
	id := other.openFile(t)
	if _, state := r.leased(t, "f", 7, stateRH); state != stateRH {
		t.Fatal(state)
	}
	other.send(t, other.request(wire.SetInfo, 0, renameBody(id, "g")))
	if m, h := r.receive(t); h.Command != wire.OplockBreak || contexts.LeaseState(le.Uint32(m[wire.HeaderSize+28:])) != stateR {
		t.Fatalf("%+v", h)
	}
	other.cancelled(t)
	if _, _, err := r.srv.cfg.Access.Lookup(t.Context(), nfs(), r.ses.trees[1].root.Handle, "g"); causeway.CodeOf(err) != causeway.ErrNoEnt {
		t.Error("it was renamed:", err)
	}
}

// stuck moves no bytes until whoever waits for them gives up.
type stuck struct{ gateway.Transfer }

func (s stuck) wait(ctx context.Context, c *gateway.Caller) error {
	if c.NoWait {
		return causeway.ErrWouldBlock
	}
	<-ctx.Done()
	return causeway.ErrDelay
}

func (s stuck) Read(ctx context.Context, c *gateway.Caller, _ causeway.Handle, _ uint64, _ []byte) (gateway.ReadResult, error) {
	return gateway.ReadResult{}, s.wait(ctx, c)
}

func (s stuck) Write(ctx context.Context, c *gateway.Caller, _ causeway.Handle, _ uint64, _ []byte, _ causeway.Stability) (gateway.WriteResult, error) {
	return gateway.WriteResult{}, s.wait(ctx, c)
}

// TestDataIsCancelled: a READ or WRITE that waits is said to, and can be cancelled; closing its file ends it too.
func TestDataIsCancelled(t *testing.T) {
	for command, write := range map[wire.Command]bool{wire.Read: false, wire.Write: true} {
		t.Run(command.String(), func(t *testing.T) {
			r := newRig(t, true)
			defer r.close()
			r.ses.signed = false
			id := r.openFile(t)
			r.srv.cfg.Transfer = stuck{r.srv.cfg.Transfer}
			r.send(t, r.request(command, 0, dataBody(id, write)))
			r.cancelled(t)
			r.send(t, r.request(command, 0, dataBody(id, write)))
			if _, h := r.receive(t); h.Status != ntstatus.Pending {
				t.Fatal(h.Status)
			}
			r.send(t, r.request(wire.Close, 0, closeBody(id)))
			seen := map[wire.Command]ntstatus.Status{}
			for range 2 {
				_, h := r.receive(t)
				seen[h.Command] = h.Status
			}
			if seen[command] != ntstatus.Cancelled || seen[wire.Close] != 0 {
				t.Error(seen)
			}
		})
	}
}

func closeBody(id wire.FileID) []byte {
	b := make([]byte, 24)
	b[0] = 24
	le.PutUint64(b[8:], id.Persistent)
	le.PutUint64(b[16:], id.Volatile)
	return b
}
