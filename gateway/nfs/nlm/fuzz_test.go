package nlm

import (
	"context"
	"net/netip"
	"testing"

	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
	"causeway/lockmgr"
)

// FuzzCalls gives any bytes to any procedure of both programs. Nobody is called back: the service is closed.
func FuzzCalls(f *testing.F) {
	f.Add(uint32(4), uint32(procLock), unhex(f, goldenLock))
	f.Add(uint32(1), uint32(procLock), unhex(f, goldenLock))
	f.Add(uint32(4), uint32(procLockMsg), unhex(f, goldenLock))
	f.Add(uint32(3), uint32(procShare), unhex(f, goldenLock))
	f.Add(uint32(100), uint32(smNotify), []byte("\x00\x00\x00\x01a\x00\x00\x00\x00\x00\x00\x03"))
	records, err := OpenStateDir(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	locks, err := lockmgr.New(lockmgr.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, vers, proc uint32, in []byte) {
		s, err := New(Config{Locker: &tableLocker{locks}, Guard: openGuard{}, Records: unsynced{records}, MaxClients: 4})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		c := &rpc.Call{Vers: vers, Proc: proc, Remote: netip.MustParseAddrPort("127.0.0.2:1"), Local: netip.MustParseAddrPort("127.0.0.1:1"), Args: xdr.NewDecoder(in)}
		if vers == 100 {
			s.NSM().Handle(context.Background(), c)
		} else if v := s.Handle(context.Background(), c); v == rpc.Done && len(c.Reply.Bytes()) > len(in)+64 {
			t.Fatalf("a reply of %d bytes to %d", len(c.Reply.Bytes()), len(in))
		}
		if n := s.Stats(); n.Clients > 1 {
			t.Fatal(n)
		}
	})
}

// unsynced keeps nothing: fuzzing is no work for a disk.
type unsynced struct{ *StateDir }

func (unsynced) Put(context.Context, Record) error { return nil }
