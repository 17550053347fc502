package smb

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/smb/auth"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/secure"
	"causeway/gateway/smb/security"
	"causeway/gateway/smb/wire"
	"causeway/gateway/transfer"
)

type nobody struct{}

func (nobody) Lookup(context.Context, string) (auth.User, bool) { return auth.User{}, false }

type holder struct{ gateway.Holder }

// rig is a server with a connection on which a user is logged on already, and the client's end of it.
type rig struct {
	srv    *Server
	conn   *conn
	ses    *session
	client net.Conn
	sent   uint64
	close  func()
}

func newRig(t testing.TB, signed bool, change ...func(*causeway.Volume)) *rig {
	return newRigOn(t, mem.New(mem.Config{Mode: 0o777}), signed, change...)
}

// newRigOn is newRig of a volume that lives in a store, which it closes.
func newRigOn(t testing.TB, store backend.Store, signed bool, change ...func(*causeway.Volume)) *rig {
	h := &holder{}
	a := access.New(access.Config{Holder: h, Granted: security.Granted})
	tr := transfer.New(transfer.Config{Grants: a, Guard: a})
	h.Holder = tr
	v := &causeway.Volume{ID: 7, Name: "vol", Async: true}
	for _, c := range change {
		c(v)
	}
	a.Attach(v, store)
	tr.Attach(v.ID, store)
	var catalog gateway.Catalog
	catalog.Publish([]*causeway.Volume{v})
	srv, err := New(Config{Referrals: referrers{"10.0.0.1", "10.0.0.2"}, Access: a, Transfer: tr, Catalog: &catalog, Auth: auth.Config{Users: nobody{}}, LogonTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	client, server := net.Pipe()
	c := newConn(srv, server)
	c.negotiated = negotiated{done: true, dialect: wire.Dialect302, signing: wire.SignAESCMAC, offered: wire.CapLargeMTU}
	c.window.take(0, 1)
	c.window.grant(8000)
	ses := &session{srv: srv, id: 9, dialect: wire.Dialect302, trees: map[uint32]*tree{}, opens: map[wire.FileID]*open{}, signed: signed}
	ses.signer, _ = secure.NewSigner(wire.SignAESCMAC, make([]byte, 16))
	ses.user.Store(&auth.User{Name: "u", UID: 1000, GID: 1000})
	ch := &channel{conn: c, session: ses, signer: ses.signer}
	ch.usable.Store(true)
	ses.channels = []*channel{ch}
	srv.sessions[ses.id] = ses
	c.sessions[ses.id] = ch
	root, err := a.Root(t.Context(), &gateway.Caller{}, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	ses.trees[1] = &tree{id: 1, name: "vol", volume: v, root: root}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.serve()
	}()
	return &rig{srv: srv, conn: c, ses: ses, client: client, close: func() {
		client.Close()
		<-done
		tr.Close()
		store.Close()
	}}
}

// request makes an element; the header's flags are as given.
func (r *rig) request(c wire.Command, flags wire.Flags, body []byte) []byte {
	r.sent++
	m := make([]byte, wire.HeaderSize, wire.HeaderSize+len(body))
	h := wire.Header{CreditCharge: 1, Command: c, Credits: 1, Flags: flags, MessageID: r.sent, TreeID: 1, SessionID: r.ses.id}
	h.Put(m)
	return append(m, body...)
}

func (r *rig) send(t testing.TB, m []byte) {
	t.Helper()
	r.client.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := r.client.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(m))), m...)); err != nil {
		t.Fatal(err)
	}
}

// receive returns the next reply and its first header.
func (r *rig) receive(t testing.TB) ([]byte, wire.Header) {
	t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(r.client, head[:]); err != nil {
		t.Fatal(err)
	}
	m := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(r.client, m); err != nil {
		t.Fatal(err)
	}
	var h wire.Header
	if err := h.Parse(m); err != nil {
		t.Fatal(err)
	}
	return m, h
}

// ended reports whether the server has closed the connection.
func (r *rig) ended(t testing.TB) bool {
	r.client.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, err := r.client.Read(make([]byte, 1))
	return err == io.EOF || err == io.ErrClosedPipe
}

var echo = []byte{4, 0, 0, 0}

// TestUnsignedIsRefused: in a signed session nothing unsigned is done, and a wrong signature is no signature.
func TestUnsignedIsRefused(t *testing.T) {
	r := newRig(t, true)
	defer r.close()
	r.send(t, r.request(wire.TreeDisconnect, 0, echo))
	if _, h := r.receive(t); h.Status != ntstatus.AccessDenied {
		t.Error("unsigned:", h.Status)
	}
	m := r.request(wire.TreeDisconnect, 0, echo)
	r.ses.signer.Sign(m)
	m[50] ^= 1
	r.send(t, m)
	if _, h := r.receive(t); h.Status != ntstatus.AccessDenied {
		t.Error("wrong signature:", h.Status)
	}
	m = r.request(wire.TreeDisconnect, 0, echo)
	r.ses.signer.Sign(m)
	r.send(t, m)
	got, h := r.receive(t)
	if h.Status != ntstatus.OK || h.Flags&wire.FlagSigned == 0 || !r.ses.signer.Verify(got) {
		t.Error("signed:", h.Status, h.Flags)
	}
}

// TestCompoundIsSignedPerElement: each reply of a compound has its own signature, padding included.
func TestCompoundIsSignedPerElement(t *testing.T) {
	r := newRig(t, true)
	defer r.close()
	first := append(r.request(wire.Echo, 0, echo), 0, 0, 0, 0)
	wire.PutNext(first, uint32(len(first)))
	second := r.request(wire.Echo, 0, echo)
	r.ses.signer.Sign(first)
	r.ses.signer.Sign(second)
	r.send(t, append(first, second...))
	m, _ := r.receive(t)
	a, b, err := wire.Element(m)
	if err != nil || len(a)%8 != 0 || len(b) == 0 || !r.ses.signer.Verify(a) || !r.ses.signer.Verify(b) {
		t.Error(len(a), len(b), err)
	}
}

// TestBadIDsEndTheConnection: a message id that is not the client's, or was used, is beyond repair ([MS-SMB2] 3.3.5.2.3).
func TestBadIDsEndTheConnection(t *testing.T) {
	for name, id := range map[string]uint64{"used": 1, "far": 1 << 40, "last": 1<<64 - 1} {
		r := newRig(t, false)
		r.send(t, r.request(wire.Echo, 0, echo))
		r.receive(t)
		m := r.request(wire.Echo, 0, echo)
		binary.LittleEndian.PutUint64(m[24:], id)
		r.send(t, m)
		if !r.ended(t) {
			t.Error(name, "was taken")
		}
		r.close()
	}
}

// TestFrames: what cannot be a message ends the connection, and takes no memory.
func TestFrames(t *testing.T) {
	for name, b := range map[string][]byte{
		"session request": {0x81, 0, 0, 68}, "huge": {0, 0xff, 0xff, 0xff}, "empty": {0, 0, 0, 0},
		"compressed": {0, 0, 0, 4, 0xfc, 'S', 'M', 'B'}, "sealed by nobody": append([]byte{0, 0, 0, 60, 0xfd, 'S', 'M', 'B'}, make([]byte, 56)...),
		"a second negotiate": append([]byte{0, 0, 0, 39, 0xff, 'S', 'M', 'B', 0x72}, make([]byte, 34)...),
	} {
		r := newRig(t, false)
		r.client.SetDeadline(time.Now().Add(20 * time.Second))
		r.client.Write(b)
		if !r.ended(t) {
			t.Error(name, "was taken")
		}
		r.close()
		if n := r.srv.pool.Used(); n != 0 {
			t.Error(name, n, "bytes are lent still")
		}
	}
}

// TestCancel: a request that waits is answered twice, and the second answer grants no credits.
func TestCancel(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	create := make([]byte, 56)
	create[0] = 57
	binary.LittleEndian.PutUint32(create[4:], 2)
	binary.LittleEndian.PutUint32(create[24:], wire.AccessReadData)
	binary.LittleEndian.PutUint32(create[36:], uint32(wire.OpenOnly))
	r.send(t, r.request(wire.Create, 0, create))
	m, h := r.receive(t)
	if h.Status != ntstatus.OK {
		t.Fatal(h.Status)
	}
	notify := make([]byte, 32)
	notify[0] = 32
	notify[4] = 200
	copy(notify[8:], m[wire.HeaderSize+64:wire.HeaderSize+80])
	notify[24] = 1
	r.send(t, r.request(wire.ChangeNotify, 0, notify))
	_, h = r.receive(t)
	if h.Status != ntstatus.Pending || h.Flags&wire.FlagAsync == 0 || h.AsyncID == 0 || h.Credits == 0 {
		t.Fatalf("interim: %+v", h)
	}
	cancel := r.request(wire.Cancel, wire.FlagAsync, echo)
	binary.LittleEndian.PutUint64(cancel[32:], h.AsyncID)
	r.send(t, cancel)
	_, final := r.receive(t)
	if final.Status != ntstatus.Cancelled || final.AsyncID != h.AsyncID || final.MessageID != h.MessageID || final.Credits != 0 {
		t.Errorf("final: %+v", final)
	}
}

// TestPanicOfReader: what goes wrong before a message is taken apart ends its connection, too, and nothing else.
func TestPanicOfReader(t *testing.T) {
	r := newRig(t, false)
	defer r.close()
	other := r.again(t)
	defer other.close()
	r.ses.opener = new(secure.Sealer) // one that was never made ready
	m := make([]byte, wire.TransformSize+wire.HeaderSize)
	(&wire.Transform{Size: wire.HeaderSize, Flags: 1, SessionID: r.ses.id}).Put(m)
	r.send(t, m)
	if !r.ended(t) {
		t.Error("the connection goes on")
	}
	if r.srv.counts.panics.Load() != 1 {
		t.Error("it was no panic")
	}
	other.openFile(t)
}

// FuzzElements sends anything as what follows a header in a session without signatures: the server must answer or hang up, and
// neither panic nor keep a buffer.
func FuzzElements(f *testing.F) {
	for c := range uint16(wire.Commands) {
		for _, first := range []byte{4, 9, 24, 25, 32, 33, 36, 41, 48, 49, 57} {
			body := make([]byte, 80)
			body[0] = first
			f.Add(c, uint32(0), body, false)
			f.Add(c, uint32(4), body, true)
		}
	}
	f.Fuzz(func(t *testing.T, command uint16, flags uint32, body []byte, twice bool) {
		if len(body) > 4096 {
			return
		}
		r := newRig(t, false)
		go io.Copy(io.Discard, r.client)
		m := r.request(wire.Command(command), wire.Flags(flags)&^wire.FlagReply, body)
		if twice {
			for len(m)%8 != 0 {
				m = append(m, 0)
			}
			wire.PutNext(m, uint32(len(m)))
			m = append(m, r.request(wire.Command(command), wire.Flags(flags)&^wire.FlagReply, body)...)
		}
		r.client.SetWriteDeadline(time.Now().Add(20 * time.Second))
		r.client.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(m))), m...))
		r.close()
		if st := r.srv.Stats(); st.Panics != 0 || st.Buffers != 0 || st.Opens != 0 || st.Sessions != 0 {
			t.Fatalf("left behind: %+v", st)
		}
	})
}
