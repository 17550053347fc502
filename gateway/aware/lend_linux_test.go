package aware

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"causeway"
	"causeway/backend/posix"
	"causeway/client/clientpb"
	"causeway/gateway"
	"causeway/gateway/access"
	"causeway/gateway/nfs/fh"
	"causeway/gateway/transfer"
	"causeway/lockmgr"
)

// lends is a Lender of a volume in a directory with one file, and that file's handle.
func lends(t testing.TB) (l *Lender, wire []byte) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	store, err := posix.Open(t.Context(), dir, posix.Config{})
	if err != nil {
		t.Skip("a volume in a directory cannot be opened here: ", err)
	}
	locks, err := lockmgr.New(lockmgr.Config{})
	if err != nil {
		t.Fatal(err)
	}
	holder := &struct{ gateway.Holder }{}
	engine := access.New(access.Config{Holder: holder, Locks: locks})
	moves := transfer.New(transfer.Config{Grants: engine})
	holder.Holder = moves
	v := &causeway.Volume{ID: 7, Name: "v", Keys: []causeway.HandleKey{{ID: 1, Secret: [16]byte{1}}},
		Exports: []causeway.ExportRule{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Squash: causeway.NoRootSquash}}}
	engine.Attach(v, store)
	moves.Attach(v.ID, store)
	catalog := &gateway.Catalog{}
	if err := catalog.Publish([]*causeway.Volume{v}); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Access: engine, Transfer: moves, Catalog: catalog, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Shutdown(t.Context())
		moves.Close()
		store.Close()
		locks.Close()
	})
	root, err := engine.Root(t.Context(), &gateway.Caller{}, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := engine.Lookup(t.Context(), &gateway.Caller{}, root.Handle, "file")
	if err != nil {
		t.Fatal(err)
	}
	return s.NewLender(), fh.Append(nil, v, e.Handle.Object)
}

// ends are both ends of a socket of packets.
func ends(t testing.TB) (ours *net.UnixConn, theirs int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(pair[0]), "ours")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.UnixConn), pair[1]
}

// broken is a transfer part that fails its callers.
type broken struct{ gateway.Transfer }

func (broken) ReadRange(context.Context, *gateway.Caller, causeway.Handle, uint64, int) (gateway.FileRange, error) {
	panic("broken")
}

// TestPanicOfLender: a panic ends the connection of the program that caused it, and leaves nothing lent.
func TestPanicOfLender(t *testing.T) {
	l, wire := lends(t)
	l.s.cfg.Transfer = broken{l.s.cfg.Transfer}
	c, theirs := ends(t)
	defer unix.Close(theirs)
	defer c.Close()
	packet, err := proto.Marshal(&clientpb.LocalRequest{Id: 1, Handle: wire})
	if err != nil {
		t.Fatal(err)
	}
	b := &borrower{UnixConn: c, who: &process{uid: uint32(os.Getuid())}, loans: map[uint64]*loan{}}
	if l.receive(b, packet) {
		t.Error("the connection goes on")
	}
	l.hungUp(b)
	for begun := time.Now(); l.Loans() != 0; time.Sleep(time.Millisecond) { // until the lease is over
		if time.Since(begun) > 30*time.Second {
			t.Fatal("it is lent for ever")
		}
	}
}

// FuzzLocal gives a Lender packets, each behind a byte that says how long it is. Each request is answered once, what is given back is not lent any
// more, and who is gone has nothing.
func FuzzLocal(f *testing.F) {
	l, wire := lends(f)
	packet := func(r *clientpb.LocalRequest) []byte {
		m, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		return append([]byte{byte(len(m))}, m...)
	}
	ask, back := packet(&clientpb.LocalRequest{Id: 1, Handle: wire}), packet(&clientpb.LocalRequest{Id: 1, Back: true})
	f.Add(slices.Concat(ask, ask, back, ask, back, back))
	f.Add(slices.Concat(ask, packet(&clientpb.LocalRequest{Id: 1 << 63, Handle: wire}), packet(&clientpb.LocalRequest{Id: 1, Handle: wire[1:]})))
	f.Add(slices.Concat(packet(&clientpb.LocalRequest{Handle: wire}), ask))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, theirs := ends(t)
		defer unix.Close(theirs)
		defer c.Close()
		b := &borrower{UnixConn: c, who: &process{uid: uint32(os.Getuid()), gid: uint32(os.Getgid())}, loans: map[uint64]*loan{}}
		for len(text) > 0 {
			n := min(int(text[0]), len(text)-1)
			more := l.receive(b, text[1:1+n])
			text = text[1+n:]
			buf, oob := make([]byte, maxLocal), make([]byte, unix.CmsgSpace(4))
			for {
				n, nOOB, _, _, err := unix.Recvmsg(theirs, buf, oob, 0)
				if err != nil || n == 0 {
					break
				}
				var r clientpb.LocalReply
				if err := proto.Unmarshal(buf[:n], &r); err != nil || r.Id == 0 || r.Recall {
					t.Fatal(&r, err)
				}
				lent := false
				if messages, _ := unix.ParseSocketControlMessage(oob[:nOOB]); len(messages) > 0 {
					fds, err := unix.ParseUnixRights(&messages[0])
					if err != nil || len(fds) != 1 {
						t.Fatal(fds, err)
					}
					unix.Close(fds[0])
					lent = true
				}
				if lent && r.Code != 0 || r.Code == 0 && b.loans[r.Id] == nil {
					t.Fatal(&r, lent)
				}
			}
			if !more {
				break
			}
		}
		l.hungUp(b)
		if n := l.Loans(); n != 0 {
			t.Fatal(n, "loans of nobody")
		}
	})
}
