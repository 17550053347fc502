package smb

import (
	"bytes"
	"testing"

	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/secure"
	"causeway/gateway/smb/wire"
)

// withGMAC makes the session sign with AES-GMAC.
func (r *rig) withGMAC(t *testing.T) {
	t.Helper()
	s, err := secure.NewSigner(wire.SignAESGMAC, make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	r.ses.signer = s
	r.conn.channel(r.ses.id).signer = s
}

// notifyBody is the body of a CHANGE_NOTIFY for everything.
func notifyBody(id wire.FileID) []byte {
	b := make([]byte, 32)
	b[0] = 32
	le.PutUint32(b[4:], 200)
	le.PutUint64(b[8:], id.Persistent)
	le.PutUint64(b[16:], id.Volatile)
	le.PutUint32(b[24:], 1)
	return b
}

// rootBody is the body of a CREATE of the root of the share.
func rootBody() []byte {
	b := make([]byte, 56)
	b[0] = 57
	le.PutUint32(b[4:], 2)
	le.PutUint32(b[24:], wire.AccessReadData)
	le.PutUint32(b[32:], wire.ShareRead|wire.ShareWrite|wire.ShareDelete)
	le.PutUint32(b[36:], uint32(wire.OpenOnly))
	return b
}

func (r *rig) signed(c wire.Command, flags wire.Flags, body []byte) []byte {
	m := r.request(c, flags, body)
	r.ses.signer.Sign(m)
	return m
}

// TestOneTagPerMessageID: with AES-GMAC, whose nonce is the message id, an interim reply and the final one are not both signed.
func TestOneTagPerMessageID(t *testing.T) {
	r := newRig(t, true)
	defer r.close()
	r.withGMAC(t)
	r.send(t, r.signed(wire.Create, 0, rootBody()))
	m, h := r.receive(t)
	if h.Status != 0 || h.Flags&wire.FlagSigned == 0 {
		t.Fatal(h.Status, h.Flags)
	}
	id := wire.FileID{Persistent: le.Uint64(m[wire.HeaderSize+64:]), Volatile: le.Uint64(m[wire.HeaderSize+72:])}
	r.send(t, r.signed(wire.ChangeNotify, 0, notifyBody(id)))
	_, interim := r.receive(t)
	cancel := r.request(wire.Cancel, wire.FlagAsync, echo)
	le.PutUint64(cancel[32:], interim.AsyncID)
	r.ses.signer.Sign(cancel)
	r.send(t, cancel)
	m, final := r.receive(t)
	if interim.Status != ntstatus.Pending || final.MessageID != interim.MessageID || final.Flags&wire.FlagSigned == 0 || !r.ses.signer.Verify(m) {
		t.Fatalf("%+v, %+v", interim, final)
	}
	if interim.Flags&wire.FlagSigned != 0 {
		t.Error("two replies are signed under one nonce")
	}
}

// TestRecordedRequest: a signed request that somebody has recorded, and sends on a connection of his own, is not answered with a signature,
// whose nonce the reply to the first one had.
func TestRecordedRequest(t *testing.T) {
	r := newRig(t, true)
	defer r.close()
	r.withGMAC(t)
	recorded := r.signed(wire.Create, 0, rootBody())
	r.send(t, append([]byte(nil), recorded...))
	if _, h := r.receive(t); h.Status != 0 || h.Flags&wire.FlagSigned == 0 {
		t.Fatal(h.Status)
	}
	attacker := r.again(t)
	defer attacker.close()
	attacker.send(t, append([]byte(nil), recorded...))
	if _, h := attacker.receive(t); h.Status != ntstatus.UserSessionDeleted || h.Flags&wire.FlagSigned != 0 {
		t.Errorf("%v, flags %x", h.Status, h.Flags)
	}
	// One that he keeps from us until he has sent it himself ends the connection.
	kept := r.signed(wire.Create, 0, rootBody())
	le.PutUint64(kept[24:], 2)
	r.ses.signer.Sign(kept)
	attacker.send(t, append([]byte(nil), kept...))
	attacker.receive(t)
	r.send(t, kept)
	if !r.ended(t) {
		t.Error("it was answered twice")
	}
}

// bindBody begins to bind a connection: a NEGOTIATE message of NTLM, which is the same each time.
func bindBody() []byte {
	b := make([]byte, 24)
	b[0], b[2] = 25, wire.SetupBinding
	token := append([]byte("NTLMSSP\x00\x01\x00\x00\x00"), 0x15, 0x82, 0x08, 0x62)
	token = append(token, make([]byte, 16)...)
	le.PutUint16(b[12:], wire.HeaderSize+24)
	le.PutUint16(b[14:], uint16(len(token)))
	return append(b, token...)
}

// TestManyChannels: a client binds several connections to its session, each with the same first request. All get the same answer, so that no
// two are signed under one nonce; where it would be another one, it is not signed.
func TestManyChannels(t *testing.T) {
	r := newRig(t, true)
	defer r.close()
	r.withGMAC(t)
	first := r.request(wire.SessionSetup, 0, bindBody())
	le.PutUint16(first[14:], 100) // credits
	r.ses.signer.Sign(first)
	var answers [][]byte
	for range 3 {
		c := r.again(t)
		defer c.close()
		c.send(t, append([]byte(nil), first...))
		m, h := c.receive(t)
		if h.Status != ntstatus.MoreProcessingRequired || h.Flags&wire.FlagSigned == 0 || !r.ses.signer.Verify(m) {
			t.Fatalf("%v, flags %x", h.Status, h.Flags)
		}
		answers = append(answers, m)
	}
	if !bytes.Equal(answers[0], answers[1]) || !bytes.Equal(answers[0], answers[2]) {
		t.Error("different answers are signed under one nonce")
	}
	full := r.again(t)
	defer full.close()
	full.conn.window.grant(1 << 16) // it gets fewer credits
	full.send(t, append([]byte(nil), first...))
	if m, h := full.receive(t); h.Flags&wire.FlagSigned != 0 || bytes.Equal(m, answers[0]) {
		t.Errorf("%v, flags %x", h.Status, h.Flags)
	}
	r.request(wire.Echo, 0, nil) // the next id
	other := r.signed(wire.SessionSetup, 0, bindBody())
	c := r.again(t)
	defer c.close()
	c.send(t, other)
	if m, h := c.receive(t); h.Flags&wire.FlagSigned == 0 || bytes.Equal(m[wire.HeaderSize:], answers[0][wire.HeaderSize:]) {
		t.Errorf("another request: %v, flags %x", h.Status, h.Flags)
	}
}
