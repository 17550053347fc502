package smb

import (
	"testing"

	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// TestLeaseOfAnotherUser: who tells the GUID and the lease key of another user's client neither shares that one's lease, nor hears of its
// breaks, nor answers them.
func TestLeaseOfAnotherUser(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	guid := [16]byte{1, 2, 3}
	r.conn.negotiated.clientGUID, r.ses.guid = guid, guid
	spoofer := r.again(t)
	defer spoofer.close()
	spoofer.ses.user.Store(&auth.User{Name: "other", UID: 1001, GID: 1001})
	r.srv.enlist(spoofer.conn) // he was here first
	r.srv.enlist(r.conn)
	_, state := r.leased(t, "f", 7, stateRWH)
	if state != stateRWH {
		t.Fatal(state)
	}
	// The same key of another user is another lease: that of the first one is broken, and he is told.
	body := createBody("f", 7, stateRWH)
	le.PutUint32(body[24:], wire.AccessReadData)
	spoofer.send(t, spoofer.request(wire.Create, 0, body))
	m, h := r.receive(t)
	if h.Command != wire.OplockBreak || le.Uint16(m[wire.HeaderSize:]) != 44 {
		t.Fatalf("%+v", h)
	}
	ack := make([]byte, 36)
	ack[0] = 36
	ack[8] = 7
	le.PutUint32(ack[24:], uint32(stateRH))
	spoofer.send(t, spoofer.request(wire.OplockBreak, 0, ack))
	for {
		_, h := spoofer.receive(t)
		if h.Command == wire.OplockBreak {
			if h.Status != ntstatus.ObjectNameNotFound {
				t.Error("another user's lease was given up:", h.Status)
			}
			break
		}
	}
	r.send(t, r.request(wire.OplockBreak, 0, ack))
	if _, h := r.receive(t); h.Status != 0 {
		t.Error(h.Status)
	}
	for {
		m, h := spoofer.receive(t)
		if h.Status != ntstatus.Pending {
			if h.Status != 0 || m[wire.HeaderSize+2] != wire.OplockLease {
				t.Error(h.Status)
			}
			break
		}
	}
}
