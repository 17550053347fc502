package v3_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"

	"causeway/gateway/nfs/rpc"
)

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i>>8)
	}
	return p
}

func TestReadWrite(t *testing.T) {
	t.Run("mem", func(t *testing.T) { testReadWrite(t, newSite(t)) })
	t.Run("posix", func(t *testing.T) { testReadWrite(t, newDiskSite(t)) })
}

func testReadWrite(t *testing.T, s *site) {
	h := s.file(s.root, "f")
	for _, n := range []int{0, 1, 2, 3, 4, 5, 4096, 100_001, 1 << 20} {
		data := pattern(n)
		for how := range nfsv3.FILE_SYNC + 1 {
			wrote := must[*nfsv3.Write3res_NFS3_OK](t, s.write(h, 3, data, how))
			if wrote.Resok.Count != uint32(n) || wrote.Resok.Committed < how || wrote.Resok.Verf == [8]byte{} {
				t.Errorf("%d bytes: %+v", n, wrote)
			}
			if a := wantWcc(t, wrote.Resok.FileWcc); n > 0 && a.Size != uint64(n)+3 {
				t.Errorf("%d bytes: size %d", n, a.Size)
			}
		}
		got := must[*nfsv3.Read3res_NFS3_OK](t, s.read(h, 3, uint32(n)))
		if !bytes.Equal(got.Resok.Data, data) || got.Resok.Count != uint32(n) {
			t.Errorf("%d bytes: read %d others", n, got.Resok.Count)
		}
		attrOf(t, got.Resok.FileAttributes)
		if got.Resok.Eof != true && n > 0 {
			t.Errorf("%d bytes: no eof", n)
		}
	}
	short := must[*nfsv3.Read3res_NFS3_OK](t, s.read(h, 0, 10))
	if short.Resok.Eof || !bytes.Equal(short.Resok.Data, append([]byte{0, 0, 0}, pattern(7)...)) {
		t.Errorf("%+v", short)
	}
}

// TestSplicedRead: bulk reads of storage with descriptors are sent from there.
func TestSplicedRead(t *testing.T) {
	s := newDiskSite(t)
	h := s.file(s.root, "f")
	data := pattern(300_001)
	wantStatus(t, s.write(h, 0, data, nfsv3.UNSTABLE), nfsv3.NFS3_OK)
	for _, test := range []struct {
		off   uint64
		count uint32
		file  bool
	}{{0, 1 << 20, true}, {5, rpc.Bulk, true}, {5, rpc.Bulk - 1, false}, {300_000, 1 << 20, true}, {300_001, 1 << 20, false}, {1 << 40, 1 << 20, false}} {
		got := must[*nfsv3.Read3res_NFS3_OK](t, s.read(h, test.off, test.count))
		from := min(test.off, uint64(len(data)))
		want := data[from:min(from+uint64(test.count), uint64(len(data)))]
		if !bytes.Equal(got.Resok.Data, want) || s.spliced != test.file || got.Resok.Eof != (int(from)+len(want) == len(data)) {
			t.Errorf("%+v: %d bytes, eof %t, from a descriptor: %t", test, got.Resok.Count, got.Resok.Eof, s.spliced)
		}
	}
}

func TestReadBounds(t *testing.T) {
	s := newSite(t)
	h := s.file(s.root, "f")
	data := pattern(2 << 20)
	for off := 0; off < len(data); off += 1 << 20 {
		wantStatus(t, s.write(h, uint64(off), data[off:off+1<<20], nfsv3.UNSTABLE), nfsv3.NFS3_OK)
	}
	most := must[*nfsv3.Read3res_NFS3_OK](t, s.read(h, 1, math.MaxUint32))
	if most.Resok.Count != 1<<20 || most.Resok.Eof || !bytes.Equal(most.Resok.Data, data[1:1+1<<20]) {
		t.Error("count is not clamped:", most.Resok.Count)
	}
	for _, off := range []uint64{2 << 20, 1 << 40, math.MaxInt64 - 1, math.MaxInt64, 1 << 63, math.MaxUint64} {
		end := must[*nfsv3.Read3res_NFS3_OK](t, s.read(h, off, 100))
		if end.Resok.Count != 0 || !end.Resok.Eof {
			t.Errorf("at %#x: %+v", off, end)
		}
	}
	s.caller.Datagram = true
	if small := must[*nfsv3.Read3res_NFS3_OK](t, s.read(h, 0, 1<<20)); small.Resok.Count > 60_000 {
		t.Error("too large for a datagram:", small.Resok.Count)
	}
}

func TestReadFailures(t *testing.T) {
	s := newSite(t)
	h := s.file(s.root, "f")
	for _, count := range []uint32{10, 1 << 20} {
		notFile := must[*nfsv3.Read3res_default](t, s.read(s.root, 0, count))
		if st := notFile.Status; st != nfsv3.NFS3ERR_ISDIR && st != nfsv3.NFS3ERR_INVAL {
			t.Error(st)
		}
		wantStatus(t, s.setAttr(h, withMode(0o600), nil), nfsv3.NFS3_OK)
		s.as(1000, 1000)
		wantStatus(t, s.read(h, 0, count), nfsv3.NFS3ERR_ACCES)
		s.as(0, 0)
	}
	wantStatus(t, s.write(s.root, 0, []byte("x"), nfsv3.UNSTABLE), nfsv3.NFS3ERR_ISDIR)
}

func TestWriteBounds(t *testing.T) {
	s := newSite(t)
	h := s.file(s.root, "f")
	for _, off := range []uint64{math.MaxInt64 - 1, math.MaxInt64, 1 << 63, math.MaxUint64} {
		wantStatus(t, s.write(h, off, []byte("xx"), nfsv3.UNSTABLE), nfsv3.NFS3ERR_FBIG)
	}
	for _, count := range []uint32{0, 1, 3, math.MaxUint32} {
		args := &nfsv3.Write3args{File: h, Count: count, Data: []byte("xx")}
		wantStatus(t, do(s, write, args, nfsv3.ReadWrite3res), nfsv3.NFS3ERR_INVAL)
	}
	bad := &nfsv3.Write3args{File: h, Count: 2, Stable: 3, Data: []byte("xx")}
	if _, verdict := s.send(write, encode(t, bad)); verdict != rpc.GarbageArgs {
		t.Error("stable_how 3:", verdict)
	}
	long := must[*nfsv3.Write3res_NFS3_OK](t, s.write(h, 0, pattern(1<<20+5), nfsv3.UNSTABLE))
	if long.Resok.Count != 1<<20 {
		t.Error("more than wtmax was written:", long.Resok.Count)
	}
	s.volume.Exports[0].ReadOnly = true
	refused := must[*nfsv3.Write3res_default](t, s.write(h, 0, []byte("x"), nfsv3.UNSTABLE))
	wantStatus(t, refused, nfsv3.NFS3ERR_ROFS)
}

func TestCommit(t *testing.T) {
	s := newSite(t)
	h := s.file(s.root, "f")
	wrote := must[*nfsv3.Write3res_NFS3_OK](t, s.write(h, 0, pattern(9000), nfsv3.UNSTABLE))
	for _, span := range [][2]uint64{{0, 0}, {10, 100}, {math.MaxUint64, math.MaxUint32}} {
		done := must[*nfsv3.Commit3res_NFS3_OK](t, s.commit(h, span[0], uint32(span[1])))
		if done.Resok.Verf != wrote.Resok.Verf {
			t.Error("the verifier changed and nothing was lost")
		}
		attrOf(t, done.Resok.FileWcc.After)
	}
	wantStatus(t, s.remove(s.root, "f"), nfsv3.NFS3_OK)
	wantStatus(t, s.commit(h, 0, 0), nfsv3.NFS3ERR_STALE)
}
