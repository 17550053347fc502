package v3_test

import (
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"
)

// Procedure numbers (RFC 1813 §3.3).
const (
	null uint32 = iota
	getAttr
	setAttr
	lookup
	access3
	readLink
	read
	write
	create
	mkdir
	symlink
	mknod
	remove
	rmdir
	rename
	link
	readDir
	readDirPlus
	fsStat
	fsInfo
	pathConf
	commit
	procedures
)

func at(dir nfsv3.NfsFh3, name string) nfsv3.Diropargs3 {
	return nfsv3.Diropargs3{Dir: dir, Name: name}
}

// noChange is a sattr3 that sets nothing.
func noChange() nfsv3.Sattr3 {
	return nfsv3.Sattr3{Mode: &nfsv3.SetMode3_default{}, Uid: &nfsv3.SetUid3_default{}, Gid: &nfsv3.SetGid3_default{},
		Size: &nfsv3.SetSize3_default{}, Atime: &nfsv3.SetAtime_default{}, Mtime: &nfsv3.SetMtime_default{}}
}

func withMode(mode uint32) nfsv3.Sattr3 {
	a := noChange()
	a.Mode = &nfsv3.SetMode3_TRUE{Mode: mode}
	return a
}

func (s *site) getAttr(h nfsv3.NfsFh3) nfsv3.Getattr3res {
	s.Helper()
	return do(s, getAttr, &nfsv3.Getattr3args{Object: h}, nfsv3.ReadGetattr3res)
}

func (s *site) attr(h nfsv3.NfsFh3) nfsv3.Fattr3 {
	s.Helper()
	return must[*nfsv3.Getattr3res_NFS3_OK](s, s.getAttr(h)).Resok.ObjAttributes
}

func (s *site) setAttr(h nfsv3.NfsFh3, a nfsv3.Sattr3, guard *nfsv3.Nfstime3) nfsv3.Setattr3res {
	s.Helper()
	args := &nfsv3.Setattr3args{Object: h, NewAttributes: a, Guard: &nfsv3.Sattrguard3_FALSE{}}
	if guard != nil {
		args.Guard = &nfsv3.Sattrguard3_TRUE{ObjCtime: *guard}
	}
	return do(s, setAttr, args, nfsv3.ReadSetattr3res)
}

func (s *site) lookup(dir nfsv3.NfsFh3, name string) nfsv3.Lookup3res {
	s.Helper()
	return do(s, lookup, &nfsv3.Lookup3args{What: at(dir, name)}, nfsv3.ReadLookup3res)
}

func (s *site) create(dir nfsv3.NfsFh3, name string, how nfsv3.Createhow3) nfsv3.Create3res {
	s.Helper()
	return do(s, create, &nfsv3.Create3args{Where: at(dir, name), How: how}, nfsv3.ReadCreate3res)
}

func (s *site) file(dir nfsv3.NfsFh3, name string) nfsv3.NfsFh3 {
	s.Helper()
	made := must[*nfsv3.Create3res_NFS3_OK](s, s.create(dir, name, &nfsv3.Createhow3_GUARDED{ObjAttributes: withMode(0o644)}))
	return handleOf(s, made.Resok.Obj)
}

func (s *site) mkdir(dir nfsv3.NfsFh3, name string) nfsv3.Mkdir3res {
	s.Helper()
	return do(s, mkdir, &nfsv3.Mkdir3args{Where: at(dir, name), Attributes: withMode(0o755)}, nfsv3.ReadMkdir3res)
}

func (s *site) dir(dir nfsv3.NfsFh3, name string) nfsv3.NfsFh3 {
	s.Helper()
	return handleOf(s, must[*nfsv3.Mkdir3res_NFS3_OK](s, s.mkdir(dir, name)).Resok.Obj)
}

func (s *site) symlink(dir nfsv3.NfsFh3, name, target string) nfsv3.Symlink3res {
	s.Helper()
	args := &nfsv3.Symlink3args{Where: at(dir, name), Symlink: nfsv3.Symlinkdata3{SymlinkAttributes: withMode(0o777), SymlinkData: target}}
	return do(s, symlink, args, nfsv3.ReadSymlink3res)
}

func (s *site) mknod(dir nfsv3.NfsFh3, name string, what nfsv3.Mknoddata3) nfsv3.Mknod3res {
	s.Helper()
	return do(s, mknod, &nfsv3.Mknod3args{Where: at(dir, name), What: what}, nfsv3.ReadMknod3res)
}

func (s *site) remove(dir nfsv3.NfsFh3, name string) nfsv3.Remove3res {
	s.Helper()
	return do(s, remove, &nfsv3.Remove3args{Object: at(dir, name)}, nfsv3.ReadRemove3res)
}

func (s *site) rmdir(dir nfsv3.NfsFh3, name string) nfsv3.Rmdir3res {
	s.Helper()
	return do(s, rmdir, &nfsv3.Rmdir3args{Object: at(dir, name)}, nfsv3.ReadRmdir3res)
}

func (s *site) rename(from nfsv3.NfsFh3, name string, to nfsv3.NfsFh3, newName string) nfsv3.Rename3res {
	s.Helper()
	return do(s, rename, &nfsv3.Rename3args{From: at(from, name), To: at(to, newName)}, nfsv3.ReadRename3res)
}

func (s *site) link(h, dir nfsv3.NfsFh3, name string) nfsv3.Link3res {
	s.Helper()
	return do(s, link, &nfsv3.Link3args{File: h, Link: at(dir, name)}, nfsv3.ReadLink3res)
}

func (s *site) read(h nfsv3.NfsFh3, off uint64, count uint32) nfsv3.Read3res {
	s.Helper()
	return do(s, read, &nfsv3.Read3args{File: h, Offset: off, Count: count}, nfsv3.ReadRead3res)
}

func (s *site) write(h nfsv3.NfsFh3, off uint64, data []byte, how nfsv3.StableHow) nfsv3.Write3res {
	s.Helper()
	args := &nfsv3.Write3args{File: h, Offset: off, Count: uint32(len(data)), Stable: how, Data: data}
	return do(s, write, args, nfsv3.ReadWrite3res)
}

func (s *site) commit(h nfsv3.NfsFh3, off uint64, count uint32) nfsv3.Commit3res {
	s.Helper()
	return do(s, commit, &nfsv3.Commit3args{File: h, Offset: off, Count: count}, nfsv3.ReadCommit3res)
}

// wantStatus checks the status of any result.
func wantStatus(t testing.TB, r interface{ GetStatus() nfsv3.Nfsstat3 }, want nfsv3.Nfsstat3) {
	t.Helper()
	if got := r.GetStatus(); got != want {
		t.Errorf("status %d, want %d", got, want)
	}
}
