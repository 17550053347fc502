package smb

import (
	"net"
	"testing"
	"time"

	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/contexts"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/secure"
	"causeway/gateway/smb/wire"
)

// again is the same client on a new connection, in a new session.
func (r *rig) again(t *testing.T) *rig {
	client, server := net.Pipe()
	c := newConn(r.srv, server)
	c.negotiated = r.conn.negotiated
	c.window.take(0, 1)
	c.window.grant(8000)
	ses := &session{srv: r.srv, id: r.ses.id + 1, guid: r.ses.guid, dialect: r.ses.dialect, trees: map[uint32]*tree{}, opens: map[wire.FileID]*open{}}
	ses.signer, _ = secure.NewSigner(wire.SignAESCMAC, make([]byte, 16))
	ses.user.Store(&auth.User{Name: "u", UID: 1000, GID: 1000})
	ch := &channel{conn: c, session: ses, signer: ses.signer}
	ch.usable.Store(true)
	ses.channels = []*channel{ch}
	ses.trees[1] = r.ses.trees[1]
	r.srv.mu.Lock()
	r.srv.sessions[ses.id] = ses
	r.srv.mu.Unlock()
	c.sessions[ses.id] = ch
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.serve()
	}()
	return &rig{srv: r.srv, conn: c, ses: ses, client: client, close: func() {
		client.Close()
		<-done
	}}
}

// durableCreate is a CREATE with a batch oplock and a CreateGuid that shares nothing.
func durableCreate(name string, guid byte) []byte {
	b := createBody(name, 1, stateRWH)
	at := le.Uint32(b[48:]) - wire.HeaderSize
	data := make([]byte, 32)
	data[16] = guid
	list := contexts.Append(nil, []contexts.Context{{Name: contexts.DurableV2Request, Data: data}})
	le.PutUint32(b[52:], uint32(len(list)))
	le.PutUint32(b[32:], 0)
	b[3] = wire.OplockBatch
	return append(b[:at], list...)
}

func (r *rig) create(t *testing.T, flags wire.Flags, body []byte) (wire.FileID, ntstatus.Status) {
	t.Helper()
	r.send(t, r.request(wire.Create, flags, body))
	m, h := r.receive(t)
	for h.Status == ntstatus.Pending {
		m, h = r.receive(t)
	}
	if h.Status != ntstatus.OK {
		return wire.FileID{}, h.Status
	}
	id := m[wire.HeaderSize+64:]
	return wire.FileID{Persistent: le.Uint64(id), Volatile: le.Uint64(id[8:])}, h.Status
}

// TestReplayedCreate: a CREATE that is repeated gives the client the open that it has made, on the same connection, after that was lost,
// and where this server remembers nothing of it.
func TestReplayedCreate(t *testing.T) {
	first := newRig(t, false)
	first.ses.guid = [16]byte{1}
	body := durableCreate("f", 7)
	made, status := first.create(t, 0, body)
	if status != ntstatus.OK {
		t.Fatal(status)
	}
	if _, status := first.create(t, 0, body); status != duplicateObjectID {
		t.Error("not marked as repeated:", status)
	}
	if again, status := first.create(t, wire.FlagReplay, body); again != made || status != ntstatus.OK {
		t.Error("repeated:", again, status)
	}
	first.client.Close()
	for first.srv.session(first.ses.id) != nil {
		time.Sleep(time.Millisecond)
	}
	second := first.again(t)
	if again, status := second.create(t, wire.FlagReplay, body); again != made || status != ntstatus.OK {
		t.Error("after the connection was lost:", again, status)
	}
	second.close()
	first.srv.files.mu.Lock()
	clear(first.srv.files.kept) // as at another gateway
	first.srv.files.mu.Unlock()
	third := second.again(t)
	if again, status := third.create(t, wire.FlagReplay, body); again != made || status != ntstatus.OK {
		t.Error("elsewhere:", again, status)
	}
	if first.srv.files.count() != 1 {
		t.Error(first.srv.files.count(), "opens")
	}
	third.close()
	first.close()
}
