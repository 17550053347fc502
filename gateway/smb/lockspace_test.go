package smb

import (
	"context"
	"encoding/binary"
	"io"
	"testing"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/contexts"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// createBody is the body of a CREATE that makes or opens a file for everything and shares all, and asks for a lease of version 1; none
// if its key is zero.
func createBody(name string, key byte, state contexts.LeaseState) []byte {
	b := make([]byte, 56)
	le.PutUint16(b, 57)
	le.PutUint32(b[4:], 2)
	le.PutUint32(b[24:], wire.AccessAll)
	le.PutUint32(b[32:], wire.ShareRead|wire.ShareWrite|wire.ShareDelete)
	le.PutUint32(b[36:], uint32(wire.OpenIf))
	utf16 := wire.AppendUTF16(nil, name)
	le.PutUint16(b[44:], wire.HeaderSize+56)
	le.PutUint16(b[46:], uint16(len(utf16)))
	b = append(b, utf16...)
	if key == 0 {
		return b
	}
	b[3] = wire.OplockLease
	for (wire.HeaderSize+len(b))%8 != 0 {
		b = append(b, 0)
	}
	lease := contexts.LeaseRequest{Version: 1, Key: [16]byte{key}, State: state}
	list := contexts.Append(nil, []contexts.Context{{Name: contexts.Lease, Data: lease.Encode()}})
	le.PutUint32(b[48:], uint32(wire.HeaderSize+len(b)))
	le.PutUint32(b[52:], uint32(len(list)))
	return append(b, list...)
}

// leased opens a file with a lease and returns its id and the lease's state.
func (r *rig) leased(t *testing.T, name string, key byte, state contexts.LeaseState) (wire.FileID, contexts.LeaseState) {
	t.Helper()
	r.send(t, r.request(wire.Create, 0, createBody(name, key, state)))
	m, h := r.receive(t)
	for h.Status == ntstatus.Pending {
		m, h = r.receive(t)
	}
	if h.Status != 0 || m[wire.HeaderSize+2] != wire.OplockLease {
		t.Fatal("create:", h.Status, m[wire.HeaderSize+2])
	}
	at := le.Uint32(m[wire.HeaderSize+80:])
	list, err := contexts.Parse(m[at : at+le.Uint32(m[wire.HeaderSize+84:])])
	if err != nil {
		t.Fatal(err)
	}
	lease, err := contexts.DecodeLease(contexts.Find(list, contexts.Lease).Data)
	if err != nil {
		t.Fatal(err)
	}
	id := m[wire.HeaderSize+64:]
	return wire.FileID{Persistent: le.Uint64(id), Volatile: le.Uint64(id[8:])}, lease.State
}

// nfs is a caller of NFSv3, with the name of a lock owner for NLM.
func nfs() *gateway.Caller {
	return &gateway.Caller{Owner: causeway.Owner{Kind: causeway.OwnerNLM, Client: "host@192.0.2.1", Opaque: "\x00\x00\x00\x01"}}
}

const (
	stateR   = contexts.LeaseRead
	stateRH  = contexts.LeaseRead | contexts.LeaseHandle
	stateRW  = contexts.LeaseRead | contexts.LeaseWrite
	stateRWH = contexts.LeaseRead | contexts.LeaseHandle | contexts.LeaseWrite
)

// TestNFSBreaksLeases: what NFS does to a file that an SMB client caches breaks the client's lease, and what the client may have to
// write back, or to close, is waited for.
func TestNFSBreaksLeases(t *testing.T) {
	type act func(ctx context.Context, a Access, tr gateway.Transfer, dir, h causeway.Handle) error
	for _, c := range []struct {
		name string
		do   act
		held contexts.LeaseState
		to   contexts.LeaseState
		ack  bool
	}{
		{"write", func(ctx context.Context, _ Access, tr gateway.Transfer, _, h causeway.Handle) error {
			_, err := tr.Write(ctx, nfs(), h, 0, []byte("nfs"), causeway.FileSync)
			return err
		}, stateRWH, 0, true},
		{"write to what is only read", func(ctx context.Context, _ Access, tr gateway.Transfer, _, h causeway.Handle) error {
			_, err := tr.Write(ctx, nfs(), h, 0, []byte("nfs"), causeway.FileSync)
			return err
		}, stateR, 0, false},
		{"read", func(ctx context.Context, _ Access, tr gateway.Transfer, _, h causeway.Handle) error {
			_, err := tr.Read(ctx, nfs(), h, 0, make([]byte, 4))
			return err
		}, stateRWH, stateRH, true},
		{"truncate", func(ctx context.Context, a Access, _ gateway.Transfer, _, h causeway.Handle) error {
			_, err := a.SetAttr(ctx, nfs(), h, &causeway.SetAttr{Mask: causeway.SetSize}, nil)
			return err
		}, stateRWH, 0, true},
		{"lock", func(ctx context.Context, a Access, _ gateway.Transfer, _, h causeway.Handle) error {
			_, err := a.Lock(ctx, nfs(), h, gateway.LockSpec{Span: causeway.Span{Length: 1}, Exclusive: true})
			return err
		}, stateRWH, 0, true},
		{"remove", func(ctx context.Context, a Access, _ gateway.Transfer, dir, _ causeway.Handle) error {
			_, err := a.Remove(ctx, nfs(), dir, "f", gateway.RemoveFile)
			return err
		}, stateRWH, stateRW, true},
		{"rename", func(ctx context.Context, a Access, _ gateway.Transfer, dir, _ causeway.Handle) error {
			_, _, err := a.Rename(ctx, nfs(), dir, "f", dir, "g")
			return err
		}, stateRWH, stateRW, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, false)
			defer r.close()
			_, got := r.leased(t, "f", 1, c.held)
			if got != c.held {
				t.Fatalf("granted %v, want %v", got, c.held)
			}
			a, dir := r.srv.cfg.Access, r.ses.trees[1].root.Handle
			found, _, err := a.Lookup(t.Context(), &gateway.Caller{}, dir, "f")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- c.do(t.Context(), a, r.srv.cfg.Transfer, dir, found.Handle) }()
			m, h := r.receive(t)
			b := m[wire.HeaderSize:]
			if h.Command != wire.OplockBreak || h.MessageID != 1<<64-1 || le.Uint16(b) != 44 {
				t.Fatalf("not a break: %+v", h)
			}
			from, to, ack := contexts.LeaseState(le.Uint32(b[24:])), contexts.LeaseState(le.Uint32(b[28:])), le.Uint32(b[4:]) == 1
			if from != c.held || to != c.to || ack != c.ack {
				t.Fatalf("break from %v to %v, ack %v", from, to, ack)
			}
			if c.ack {
				select {
				case err := <-done:
					t.Fatal("did not wait:", err)
				default:
				}
				body := make([]byte, 36)
				le.PutUint16(body, 36)
				body[8] = 1
				le.PutUint32(body[24:], uint32(c.to))
				r.send(t, r.request(wire.OplockBreak, 0, body))
				if m, h := r.receive(t); h.Status != 0 || contexts.LeaseState(le.Uint32(m[wire.HeaderSize+24:])) != c.to {
					t.Fatal("acknowledgement:", h.Status)
				}
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestMandatoryLocks: a range that an SMB client has locked is closed to NFS if the volume says so, and only then.
func TestMandatoryLocks(t *testing.T) {
	for _, mandatory := range []bool{false, true} {
		r := newRig(t, false, func(v *causeway.Volume) { v.Mandatory = mandatory })
		id, _ := r.leased(t, "f", 1, stateR)
		body := make([]byte, 48)
		le.PutUint16(body, 48)
		le.PutUint16(body[2:], 1)
		le.PutUint64(body[8:], id.Persistent)
		le.PutUint64(body[16:], id.Volatile)
		le.PutUint64(body[32:], 10)
		le.PutUint32(body[40:], wire.LockExclusive|wire.LockFailNow)
		r.send(t, r.request(wire.Lock, 0, body))
		if _, h := r.receive(t); h.Status != 0 {
			t.Fatal("lock:", h.Status)
		}
		go io.Copy(io.Discard, r.client) // the lease is broken
		a, dir := r.srv.cfg.Access, r.ses.trees[1].root.Handle
		found, _, err := a.Lookup(t.Context(), &gateway.Caller{}, dir, "f")
		if err != nil {
			t.Fatal(err)
		}
		want := causeway.OK
		if mandatory {
			want = causeway.ErrLocked
		}
		_, err = r.srv.cfg.Transfer.Write(t.Context(), nfs(), found.Handle, 5, []byte("x"), causeway.Unstable)
		if causeway.CodeOf(err) != want {
			t.Errorf("mandatory %v: write into the range: %v", mandatory, err)
		}
		if _, err := r.srv.cfg.Transfer.Write(t.Context(), nfs(), found.Handle, 10, []byte("x"), causeway.Unstable); err != nil {
			t.Errorf("mandatory %v: write behind the range: %v", mandatory, err)
		}
		lock := gateway.LockSpec{Span: causeway.Span{Offset: 5, Length: 1}, Exclusive: true}
		if _, err := a.Lock(t.Context(), nfs(), found.Handle, lock); causeway.CodeOf(err) != causeway.ErrLocked {
			t.Errorf("mandatory %v: lock of the range: %v", mandatory, err)
		}
		r.close()
	}
}

// FuzzCreate opens files with all kinds of contexts, leases and durable handles among them, twice on one connection.
func FuzzCreate(f *testing.F) {
	f.Add(createBody("f", 1, stateRWH), createBody("f", 2, stateRWH))
	durable := createBody("f", 1, stateRWH)
	list := contexts.Append(nil, []contexts.Context{{Name: contexts.DurableV2Request, Data: make([]byte, 32)}, {Name: contexts.Lease, Data: make([]byte, 52)}})
	at := le.Uint32(durable[48:]) - wire.HeaderSize
	durable = append(durable[:at], list...)
	le.PutUint32(durable[52:], uint32(len(list)))
	f.Add(durable, durable)
	back := contexts.Append(nil, []contexts.Context{{Name: contexts.DurableReconnect, Data: make([]byte, 16)}})
	le.PutUint32(durable[52:], uint32(len(back)))
	f.Add(append(durable[:at:at], back...), []byte{})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		if len(one) > 4096 || len(two) > 4096 {
			return
		}
		r := newRig(t, false)
		defer r.close()
		go func() { // replies, and breaks, come when they will
			b := make([]byte, 1<<16)
			for {
				if _, err := r.client.Read(b); err != nil {
					return
				}
			}
		}()
		for _, body := range [][]byte{one, two} {
			m := r.request(wire.Create, 0, body)
			if _, err := r.client.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(m))), m...)); err != nil {
				return
			}
		}
	})
}
