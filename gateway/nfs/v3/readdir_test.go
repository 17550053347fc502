package v3_test

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"

	"causeway/gateway/nfs/rpc"
)

// fill makes entries whose names are of all lengths of padding.
func fill(s *site, dir nfsv3.NfsFh3, n int) map[string]nfsv3.NfsFh3 {
	made := map[string]nfsv3.NfsFh3{}
	for i := range n {
		name := fmt.Sprintf("n%0*d", 1+i%7, i)
		made[name] = s.file(dir, name)
	}
	return made
}

func TestReadDir(t *testing.T) {
	s := newSite(t)
	d := s.dir(s.root, "d")
	made := fill(s, d, 300)
	for _, count := range []uint32{140, 141, 200, 512, 4096, 1 << 16, math.MaxUint32} {
		seen, cookie := map[string]int{}, uint64(0)
		for eof := false; !eof; {
			args := &nfsv3.Readdir3args{Dir: d, Cookie: cookie, Count: count}
			result, _ := s.send(readDir, encode(t, args))
			if len(result)-4 > int(min(count, 256<<10)) {
				t.Fatalf("count %d: resok of %d bytes", count, len(result)-4)
			}
			r := must[*nfsv3.Readdir3res_NFS3_OK](t, do(s, readDir, args, nfsv3.ReadReaddir3res))
			attrOf(t, r.Resok.DirAttributes)
			if r.Resok.Cookieverf != [8]byte{} {
				t.Fatal("the cookie verifier is not constant")
			}
			for e := r.Resok.Reply.Entries; e != nil; e = e.Nextentry {
				seen[e.Name]++
				cookie = e.Cookie
			}
			eof = r.Resok.Reply.Eof
		}
		wantOnce(t, seen, made)
	}
}

func wantOnce(t *testing.T, seen map[string]int, made map[string]nfsv3.NfsFh3) {
	t.Helper()
	for name, n := range seen {
		if _, ours := made[name]; n != 1 || !ours && name != "." && name != ".." {
			t.Errorf("%q was listed %d times", name, n)
		}
	}
	if len(seen) != len(made)+2 {
		t.Errorf("%d entries of %d", len(seen), len(made)+2)
	}
}

func TestReadDirPlus(t *testing.T) {
	s := newSite(t)
	d := s.dir(s.root, "d")
	made := fill(s, d, 300)
	for _, counts := range [][2]uint32{{512, 512}, {60, 1 << 16}, {1, 4096}, {4096, 4096}, {math.MaxUint32, 300}, {math.MaxUint32, math.MaxUint32}} {
		seen, cookie := map[string]int{}, uint64(0)
		for eof := false; !eof; {
			args := &nfsv3.Readdirplus3args{Dir: d, Cookie: cookie, Dircount: counts[0], Maxcount: counts[1]}
			result, _ := s.send(readDirPlus, encode(t, args))
			if len(result)-4 > int(min(counts[1], 256<<10)) {
				t.Fatalf("%d: resok of %d bytes", counts, len(result)-4)
			}
			r := must[*nfsv3.Readdirplus3res_NFS3_OK](t, do(s, readDirPlus, args, nfsv3.ReadReaddirplus3res))
			names, n := 0, 0
			for e := r.Resok.Reply.Entries; e != nil; e = e.Nextentry {
				seen[e.Name]++
				cookie = e.Cookie
				names, n = names+20+(len(e.Name)+3)&^3, n+1
				h := handleOf(t, e.NameHandle)
				if want, ours := made[e.Name]; ours && !bytes.Equal(h.Data, want.Data) {
					t.Fatal("another handle than CREATE's")
				}
				if a := attrOf(t, e.NameAttributes); a != s.attr(h) || a.Fileid != e.Fileid {
					t.Fatalf("%q: %+v", e.Name, a)
				}
			}
			if n > 1 && names > int(min(counts[0], math.MaxInt32)) {
				t.Fatalf("%d: names of %d bytes", counts, names)
			}
			eof = r.Resok.Reply.Eof
		}
		wantOnce(t, seen, made)
	}
}

func TestReadDirTooSmall(t *testing.T) {
	s := newSite(t)
	d := s.dir(s.root, "d")
	fill(s, d, 3)
	for _, count := range []uint32{0, 1, 100, 127} {
		r := must[*nfsv3.Readdir3res_default](t, do(s, readDir, &nfsv3.Readdir3args{Dir: d, Count: count}, nfsv3.ReadReaddir3res))
		wantStatus(t, r, nfsv3.NFS3ERR_TOOSMALL)
		attrOf(t, r.Resfail.DirAttributes)
		wantStatus(t, do(s, readDirPlus, &nfsv3.Readdirplus3args{Dir: d, Dircount: 4096, Maxcount: count}, nfsv3.ReadReaddirplus3res), nfsv3.NFS3ERR_TOOSMALL)
	}
	// "." takes 4+8+8+8 bytes beside the 96 in front and the 8 behind.
	first := must[*nfsv3.Readdir3res_NFS3_OK](t, do(s, readDir, &nfsv3.Readdir3args{Dir: d, Count: 132}, nfsv3.ReadReaddir3res))
	if first.Resok.Reply.Entries == nil || first.Resok.Reply.Entries.Nextentry != nil {
		t.Error("132 bytes hold exactly one entry")
	}
}

func TestReadDirFailures(t *testing.T) {
	s := newSite(t)
	h := s.file(s.root, "f")
	wantStatus(t, do(s, readDir, &nfsv3.Readdir3args{Dir: h, Count: 4096}, nfsv3.ReadReaddir3res), nfsv3.NFS3ERR_NOTDIR)
	d := s.dir(s.root, "d")
	s.as(1000, 1000)
	wantStatus(t, do(s, readDirPlus, &nfsv3.Readdirplus3args{Dir: d, Dircount: 4096, Maxcount: 4096}, nfsv3.ReadReaddirplus3res), nfsv3.NFS3_OK)
	s.as(0, 0)
	wantStatus(t, s.setAttr(d, withMode(0o700), nil), nfsv3.NFS3_OK)
	s.as(1000, 1000)
	wantStatus(t, do(s, readDirPlus, &nfsv3.Readdirplus3args{Dir: d, Dircount: 4096, Maxcount: 4096}, nfsv3.ReadReaddirplus3res), nfsv3.NFS3ERR_ACCES)
	if _, verdict := s.send(readDir, encode(t, &nfsv3.Getattr3args{Object: d})); verdict != rpc.GarbageArgs {
		t.Error(verdict)
	}
}
