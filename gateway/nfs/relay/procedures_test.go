package relay

import (
	"bytes"
	"encoding/hex"
	"io"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"
)

func at(dir []byte, name string) nfsv3.Diropargs3 {
	return nfsv3.Diropargs3{Dir: nfsv3.NfsFh3{Data: dir}, Name: name}
}

func mode(bits uint32) nfsv3.Sattr3 {
	return nfsv3.Sattr3{Mode: &nfsv3.SetMode3_TRUE{Mode: bits}, Uid: &nfsv3.SetUid3_default{}, Gid: &nfsv3.SetGid3_default{},
		Size: &nfsv3.SetSize3_default{}, Atime: &nfsv3.SetAtime_default{}, Mtime: &nfsv3.SetMtime_default{}}
}

// step is a call of a script. Its arguments may need handles that earlier ones returned.
type step struct {
	proc uint32
	args io.WriterTo
}

// run makes calls and returns their results.
func (c *client) run(prog uint32, xid uint32, steps ...step) (results [][]byte) {
	c.Helper()
	for i, s := range steps {
		var args []byte
		if s.args != nil {
			args = encoded(c, s.args)
		}
		results = append(results, c.call(xid+uint32(i), prog, 3, s.proc, args))
	}
	return results
}

// created returns the handle in the result of a CREATE, MKDIR or SYMLINK.
func created(t testing.TB, result []byte) []byte {
	t.Helper()
	r, _, err := nfsv3.ReadCreate3res(bytes.NewReader(result))
	if err != nil {
		t.Fatal(err)
	}
	made, ok := r.(*nfsv3.Create3res_NFS3_OK)
	if !ok {
		t.Fatalf("not made: %#v", r)
	}
	return made.Resok.Obj.(*nfsv3.PostOpFh3_TRUE).Handle.Data
}

// everything calls all procedures of NFS version 3.
func everything(t testing.TB, c *client, root []byte) [][]byte {
	t.Helper()
	fh := func(h []byte) nfsv3.NfsFh3 { return nfsv3.NfsFh3{Data: h} }
	data := bytes.Repeat([]byte("some bytes, "), 30_000) // more than 128 KiB
	first := c.run(nfs, 100,
		step{0, nil},
		step{8, &nfsv3.Create3args{Where: at(root, "file"), How: &nfsv3.Createhow3_GUARDED{ObjAttributes: mode(0o644)}}},
		step{9, &nfsv3.Mkdir3args{Where: at(root, "dir"), Attributes: mode(0o755)}},
	)
	file, dir := created(t, first[1]), created(t, first[2])
	second := c.run(nfs, 200,
		step{10, &nfsv3.Symlink3args{Where: at(dir, "link"), Symlink: nfsv3.Symlinkdata3{SymlinkAttributes: mode(0o777), SymlinkData: "../file"}}},
		step{11, &nfsv3.Mknod3args{Where: at(dir, "pipe"), What: &nfsv3.Mknoddata3_NF3FIFO{PipeAttributes: mode(0o600)}}},
	)
	link := created(t, second[0])
	third := c.run(nfs, 300,
		step{1, &nfsv3.Getattr3args{Object: fh(file)}},
		step{2, &nfsv3.Setattr3args{Object: fh(file), NewAttributes: mode(0o640), Guard: &nfsv3.Sattrguard3_FALSE{}}},
		step{3, &nfsv3.Lookup3args{What: at(root, "file")}},
		step{4, &nfsv3.Access3args{Object: fh(file), Access: 63}},
		step{5, &nfsv3.Readlink3args{Symlink: fh(link)}},
		step{7, &nfsv3.Write3args{File: fh(file), Count: uint32(len(data)), Stable: nfsv3.UNSTABLE, Data: data}},
		step{7, &nfsv3.Write3args{File: fh(file), Offset: 5, Count: 3, Stable: nfsv3.FILE_SYNC, Data: []byte("abc")}},
		step{6, &nfsv3.Read3args{File: fh(file), Offset: 1, Count: 100}},
		step{6, &nfsv3.Read3args{File: fh(file), Count: 1 << 20}},
		step{21, &nfsv3.Commit3args{File: fh(file)}},
		step{14, &nfsv3.Rename3args{From: at(root, "file"), To: at(dir, "moved")}},
		step{15, &nfsv3.Link3args{File: fh(file), Link: at(root, "again")}},
		step{16, &nfsv3.Readdir3args{Dir: fh(dir), Count: 4096}},
		step{17, &nfsv3.Readdirplus3args{Dir: fh(dir), Dircount: 4096, Maxcount: 8192}},
		step{18, &nfsv3.Fsstat3args{Fsroot: fh(root)}},
		step{19, &nfsv3.Fsinfo3args{Fsroot: fh(root)}},
		step{20, &nfsv3.Pathconf3args{Object: fh(root)}},
		step{12, &nfsv3.Remove3args{Object: at(dir, "moved")}},
		step{12, &nfsv3.Remove3args{Object: at(dir, "pipe")}},
		step{12, &nfsv3.Remove3args{Object: at(dir, "pipe")}}, // NOENT
		step{12, &nfsv3.Remove3args{Object: at(dir, "link")}},
		step{13, &nfsv3.Rmdir3args{Object: at(root, "dir")}},
	)
	for _, i := range []int{5, 6, 9} { // WRITE, WRITE, COMMIT: the verifier is another one at every server
		third[i] = third[i][:len(third[i])-8]
	}
	return append(append(first, second...), third...)
}

// TestEveryProcedure holds that a client cannot tell by any result through which gateway it came.
func TestEveryProcedure(t *testing.T) {
	direct, relayed := newSite(t, patience), newSite(t, patience)
	want := everything(t, direct.g[0].dial("127.0.0.1"), direct.root())
	got := everything(t, relayed.g[1].dial("127.0.0.1"), relayed.root())
	for i := range want {
		if !bytes.Equal(want[i], got[i]) {
			t.Errorf("call %d:\n got %.400s\nwant %.400s", i, hex.EncodeToString(got[i]), hex.EncodeToString(want[i]))
		}
	}
	if n := relayed.g[1].peers.Stats().Forwarded; n != uint64(len(got)-1) { // all but NULL
		t.Errorf("%d of %d calls were forwarded", n, len(got))
	}
	relayed.quiet()
}

// TestAsTheClient holds that the owner admits a relayed call as it would the client's own: by its address, its port and its user.
func TestAsTheClient(t *testing.T) {
	s := newSite(t, patience)
	path := []byte{0, 0, 0, 2, '/', 'v', 0, 0}
	for from, want := range map[string]uint32{"127.0.0.1": 0, "127.0.0.7": 13, "127.0.0.8": 13, "127.0.0.9": 0} {
		if got := status(s.g[1].dial(from).call(1, mount, 3, mountMnt, path)); got != want {
			t.Errorf("MNT from %s: %d, want %d", from, got, want)
		}
		if got := status(s.g[1].dial(from).call(2, nfs, 3, 4, encoded(t, &nfsv3.Access3args{Object: nfsv3.NfsFh3{Data: s.root()}}))); got != want {
			t.Errorf("ACCESS from %s: %d, want %d", from, got, want)
		}
	}
	create := &nfsv3.Create3args{Where: at(s.root(), "mine"), How: &nfsv3.Createhow3_GUARDED{ObjAttributes: mode(0o644)}}
	file := created(t, s.g[1].dial("127.0.0.9").call(3, nfs, 3, 8, encoded(t, create)))
	result := s.g[1].dial("127.0.0.1").call(4, nfs, 3, 1, encoded(t, &nfsv3.Getattr3args{Object: nfsv3.NfsFh3{Data: file}}))
	attr, _, err := nfsv3.ReadGetattr3res(bytes.NewReader(result))
	if err != nil {
		t.Fatal(err)
	}
	if a := attr.(*nfsv3.Getattr3res_NFS3_OK).Resok.ObjAttributes; a.Uid != 4711 || a.Gid != 4712 {
		t.Error("made by", a.Uid, a.Gid)
	}
	if n := s.g[1].peers.Stats().Forwarded; n != 10 {
		t.Error(n, "calls were forwarded")
	}
}

// lookedUp returns the handle of a name.
func lookedUp(t testing.TB, c *client, dir []byte, name string) []byte {
	t.Helper()
	r, _, err := nfsv3.ReadLookup3res(bytes.NewReader(c.call(77, nfs, 3, 3, encoded(t, &nfsv3.Lookup3args{What: at(dir, name)}))))
	if err != nil {
		t.Fatal(err)
	}
	return r.(*nfsv3.Lookup3res_NFS3_OK).Resok.Object.Data
}
