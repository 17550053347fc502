package relay

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"

	"causeway"
	"causeway/backend/posix"
)

// TestDescriptors holds that what the owner would send from a file's descriptor arrives, whatever its length.
func TestDescriptors(t *testing.T) {
	store, err := posix.Open(t.Context(), t.TempDir(), posix.Config{})
	if causeway.CodeOf(err) == causeway.ErrNotSupp {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := newSiteOn(t, patience, store)
	s.file("data")
	c := s.g[1].dial("127.0.0.1")
	file := nfsv3.NfsFh3{Data: lookedUp(t, c, s.root(), "data")}
	data := make([]byte, 1<<20-3)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	write := &nfsv3.Write3args{File: file, Count: uint32(len(data)), Stable: nfsv3.UNSTABLE, Data: data}
	if got := c.call(1, nfs, 3, 7, encoded(t, write)); status(got) != 0 {
		t.Fatalf("%x", got)
	}
	for i, offset := range []int{0, 1, 4096, 500_001} {
		got := c.call(uint32(i)+2, nfs, 3, nfsRead, encoded(t, &nfsv3.Read3args{File: file, Offset: uint64(offset), Count: 1 << 20}))
		r, n, err := nfsv3.ReadRead3res(bytes.NewReader(got))
		if err != nil || n != int64(len(got)) {
			t.Fatal(n, len(got), err)
		}
		if read := r.(*nfsv3.Read3res_NFS3_OK).Resok; sha256.Sum256(read.Data) != sha256.Sum256(data[offset:]) || !read.Eof {
			t.Errorf("at %d: %d bytes, or others", offset, len(read.Data))
		}
	}
	s.quiet()
}
