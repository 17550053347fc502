package v3_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"

	"causeway/gateway/nfs/rpc"
)

func decoder[R any](read func(io.Reader) (R, int64, error)) func(io.Reader) (int64, error) {
	return func(r io.Reader) (int64, error) {
		_, n, err := read(r)
		return n, err
	}
}

// decoders decode the result of every procedure with an independent codec.
var decoders = [procedures]func(io.Reader) (int64, error){
	func(io.Reader) (int64, error) { return 0, nil },
	decoder(nfsv3.ReadGetattr3res), decoder(nfsv3.ReadSetattr3res), decoder(nfsv3.ReadLookup3res), decoder(nfsv3.ReadAccess3res),
	decoder(nfsv3.ReadReadlink3res), decoder(nfsv3.ReadRead3res), decoder(nfsv3.ReadWrite3res), decoder(nfsv3.ReadCreate3res),
	decoder(nfsv3.ReadMkdir3res), decoder(nfsv3.ReadSymlink3res), decoder(nfsv3.ReadMknod3res), decoder(nfsv3.ReadRemove3res),
	decoder(nfsv3.ReadRmdir3res), decoder(nfsv3.ReadRename3res), decoder(nfsv3.ReadLink3res), decoder(nfsv3.ReadReaddir3res),
	decoder(nfsv3.ReadReaddirplus3res), decoder(nfsv3.ReadFsstat3res), decoder(nfsv3.ReadFsinfo3res), decoder(nfsv3.ReadPathconf3res),
	decoder(nfsv3.ReadCommit3res),
}

// samples are well-formed calls of every procedure.
func samples(s *site, h, dir nfsv3.NfsFh3) [procedures]encodable {
	device := nfsv3.Devicedata3{DevAttributes: noChange(), Spec: nfsv3.Specdata3{Specdata1: 1, Specdata2: 3}}
	set := withMode(0o4751)
	set.Size = &nfsv3.SetSize3_TRUE{Size: 10}
	set.Atime = &nfsv3.SetAtime_SET_TO_CLIENT_TIME{Atime: nfsv3.Nfstime3{Seconds: 1, Nseconds: 2}}
	set.Mtime = &nfsv3.SetMtime_default{SetIt: nfsv3.SET_TO_SERVER_TIME}
	return [procedures]encodable{
		&nfsv3.Getattr3args{Object: h},
		&nfsv3.Getattr3args{Object: h},
		&nfsv3.Setattr3args{Object: h, NewAttributes: set, Guard: &nfsv3.Sattrguard3_FALSE{}},
		&nfsv3.Lookup3args{What: at(dir, "f")},
		&nfsv3.Access3args{Object: h, Access: 63},
		&nfsv3.Readlink3args{Symlink: h},
		&nfsv3.Read3args{File: h, Offset: 1, Count: 5},
		&nfsv3.Write3args{File: h, Offset: 1, Count: 3, Stable: 2, Data: []byte("abc")},
		&nfsv3.Create3args{Where: at(dir, "made"), How: &nfsv3.Createhow3_UNCHECKED{ObjAttributes: set}},
		&nfsv3.Mkdir3args{Where: at(dir, "dir"), Attributes: noChange()},
		&nfsv3.Symlink3args{Where: at(dir, "link"), Symlink: nfsv3.Symlinkdata3{SymlinkAttributes: noChange(), SymlinkData: "to"}},
		&nfsv3.Mknod3args{Where: at(dir, "dev"), What: &nfsv3.Mknoddata3_NF3CHR{Device: device}},
		&nfsv3.Remove3args{Object: at(dir, "f")},
		&nfsv3.Rmdir3args{Object: at(dir, "dir")},
		&nfsv3.Rename3args{From: at(dir, "made"), To: at(dir, "moved")},
		&nfsv3.Link3args{File: h, Link: at(dir, "hard")},
		&nfsv3.Readdir3args{Dir: dir, Count: 4096},
		&nfsv3.Readdirplus3args{Dir: dir, Dircount: 512, Maxcount: 4096},
		&nfsv3.Fsstat3args{Fsroot: dir},
		&nfsv3.Fsinfo3args{Fsroot: dir},
		&nfsv3.Pathconf3args{Object: dir},
		&nfsv3.Commit3args{File: h, Offset: 1, Count: 2},
	}
}

// FuzzCall sends arbitrary arguments to every procedure. Nothing may panic, and every reply must be what an independent codec
// understands to the last byte. The handles in the seeds are good, so that mutations reach the engines.
func FuzzCall(f *testing.F) {
	s := newSite(f)
	d := s.dir(s.root, "d")
	h := s.file(d, "f")
	for proc, args := range samples(s, h, d) {
		f.Add(uint32(proc), uint32(0), encode(f, args))
		f.Add(uint32(proc), uint32(1000), encode(f, args))
	}
	made := 0
	f.Fuzz(func(t *testing.T, proc, uid uint32, args []byte) {
		if made++; made%1000 == 0 { // the store is bounded, and full it would refuse everything
			s.TB = t
			s.reset(memory())
		}
		s.TB = t
		s.as(uid, uid)
		result, verdict := s.send(proc, args)
		switch {
		case proc >= procedures:
			if verdict != rpc.ProcUnavail {
				t.Fatal(verdict)
			}
			return
		case verdict == rpc.GarbageArgs:
			return
		case verdict != rpc.Done:
			t.Fatal(verdict)
		}
		n, err := decoders[proc](bytes.NewReader(result))
		if err != nil && strings.Contains(err.Error(), "non-ASCII") {
			return // their codec takes ASCII only
		}
		if err != nil || n != int64(len(result)) {
			t.Fatalf("proc %d: decoded %d of %d bytes: %v\n%x", proc, n, len(result), err, result)
		}
	})
}

// TestTruncatedCalls: arguments that end anywhere are garbage, never a panic and never an answer.
func TestTruncatedCalls(t *testing.T) {
	s := newSite(t)
	d := s.dir(s.root, "d")
	h := s.file(d, "f")
	for proc, args := range samples(s, h, d) {
		wire := encode(t, args)
		for n := range wire {
			if _, verdict := s.send(uint32(proc), wire[:n]); verdict != rpc.GarbageArgs && proc != 0 {
				t.Fatalf("proc %d, %d of %d bytes: verdict %d", proc, n, len(wire), verdict)
			}
		}
		if _, verdict := s.send(uint32(proc), wire); verdict != rpc.Done {
			t.Errorf("proc %d: %d", proc, verdict)
		}
	}
}
