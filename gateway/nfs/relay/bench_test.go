package relay

import (
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"
)

// BenchmarkCall measures one client with one call outstanding, at the owner and at the other gateway. Client and gateways share
// this process.
func BenchmarkCall(b *testing.B) {
	s := newSite(b, patience)
	s.file("data")
	direct := s.g[0].dial("127.0.0.1")
	file := nfsv3.NfsFh3{Data: lookedUp(b, direct, s.root(), "data")}
	data := make([]byte, 1<<20)
	write := encoded(b, &nfsv3.Write3args{File: file, Count: 1 << 20, Stable: nfsv3.UNSTABLE, Data: data})
	direct.call(5, nfs, 3, 7, write)
	for _, kind := range []struct {
		name  string
		proc  uint32
		args  []byte
		bytes int64
	}{
		{"GETATTR", getAttr, encoded(b, &nfsv3.Getattr3args{Object: file}), 0},
		{"READ 1 MiB", nfsRead, encoded(b, &nfsv3.Read3args{File: file, Count: 1 << 20}), 1 << 20},
		{"WRITE 1 MiB", 7, write, 1 << 20},
	} {
		for i, where := range []string{"direct", "relayed"} {
			b.Run(kind.name+"/"+where, func(b *testing.B) {
				c := s.g[i].dial("127.0.0.1")
				b.SetBytes(kind.bytes)
				b.ReportAllocs()
				for b.Loop() {
					if got := c.call(1, nfs, 3, kind.proc, kind.args); status(got) != 0 {
						b.Fatalf("%x", got[:4])
					}
				}
			})
		}
	}
}

// BenchmarkMany measures GETATTR of many clients at once.
func BenchmarkMany(b *testing.B) {
	s := newSite(b, patience)
	for i, where := range []string{"direct", "relayed"} {
		b.Run(where, func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(p *testing.PB) {
				c, args := s.g[i].dial("127.0.0.1"), s.getAttrArgs()
				for p.Next() {
					c.call(1, nfs, 3, getAttr, args)
				}
			})
		})
	}
}
