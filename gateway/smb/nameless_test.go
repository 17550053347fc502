package smb

import (
	"testing"

	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// TestNameless: who logs on again as nobody keeps what is open, and reaches nothing by name until he has logged on as himself; a session does
// not begin that way.
func TestNameless(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	id := r.openFile(t)
	m := &message{conn: r.conn}
	ch := r.conn.channel(r.ses.id)
	if err := m.loggedOn(ch, &wire.SessionSetupRequest{}, &auth.Result{Anonymous: true}); err != nil {
		t.Fatal(err)
	}
	tree := append([]byte{9, 0, 0, 0, wire.HeaderSize + 8, 0, 14, 0}, wide(`\\x\vol`)...)
	for name, c := range map[string]struct {
		command wire.Command
		body    []byte
		want    ntstatus.Status
	}{
		"create": {wire.Create, createBody("g", 0, 0), ntstatus.AccessDenied}, "tree connect": {wire.TreeConnect, tree, ntstatus.AccessDenied},
		"rename": {wire.SetInfo, renameBody(id, "g"), ntstatus.AccessDenied}, "write": {wire.Write, dataBody(id, true), ntstatus.OK},
	} {
		r.send(t, r.request(c.command, 0, c.body))
		if _, h := r.final(t); h.Status != c.want {
			t.Errorf("%s: %v", name, h.Status)
		}
	}
	if err := m.loggedOn(ch, &wire.SessionSetupRequest{}, &auth.Result{User: auth.User{Name: "other"}}); err != ntstatus.AccessDenied || !r.ses.nameless.Load() {
		t.Error("as somebody else:", err)
	}
	if err := m.loggedOn(ch, &wire.SessionSetupRequest{}, &auth.Result{User: auth.User{Name: "u", UID: 1000}}); err != nil {
		t.Fatal(err)
	}
	r.send(t, r.request(wire.Create, 0, createBody("g", 0, 0)))
	if _, h := r.final(t); h.Status != 0 {
		t.Error("as himself:", h.Status)
	}
	began, err := r.conn.newSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.loggedOn(began, &wire.SessionSetupRequest{}, &auth.Result{Anonymous: true}); err != auth.ErrLogon {
		t.Error("a new session:", err)
	}
	began.session.end()
}
