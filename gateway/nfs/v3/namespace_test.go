package v3_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"

	"causeway"
	"causeway/gateway/nfs/fh"
)

func mustAddr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestLookup(t *testing.T) {
	s := newSite(t)
	h, dir := s.file(s.root, "f"), s.dir(s.root, "d")
	found := must[*nfsv3.Lookup3res_NFS3_OK](t, s.lookup(s.root, "f"))
	if !bytes.Equal(found.Resok.Object.Data, h.Data) || attrOf(t, found.Resok.ObjAttributes) != s.attr(h) || attrOf(t, found.Resok.DirAttributes) != s.attr(s.root) {
		t.Errorf("%+v", found)
	}
	up := must[*nfsv3.Lookup3res_NFS3_OK](t, s.lookup(dir, ".."))
	if !bytes.Equal(up.Resok.Object.Data, s.root.Data) {
		t.Error(".. is not the parent")
	}
	top := must[*nfsv3.Lookup3res_NFS3_OK](t, s.lookup(s.root, ".."))
	if !bytes.Equal(top.Resok.Object.Data, s.root.Data) {
		t.Error(".. of the root leads out")
	}
	missing := must[*nfsv3.Lookup3res_default](t, s.lookup(s.root, "none"))
	wantStatus(t, missing, nfsv3.NFS3ERR_NOENT)
	attrOf(t, missing.Resfail.DirAttributes)
	wantStatus(t, s.lookup(h, "x"), nfsv3.NFS3ERR_NOTDIR)
}

// TestBadNames: RFC 1813 §3.2 wants ACCES for the empty name and for what cannot be a name.
func TestBadNames(t *testing.T) {
	s := newSite(t)
	f := s.file(s.root, "f")
	for name, want := range map[string]nfsv3.Nfsstat3{
		"":                        nfsv3.NFS3ERR_ACCES,
		"a/b":                     nfsv3.NFS3ERR_ACCES,
		"a\x00b":                  nfsv3.NFS3ERR_ACCES,
		strings.Repeat("n", 256):  nfsv3.NFS3ERR_NAMETOOLONG,
		strings.Repeat("n", 5000): nfsv3.NFS3ERR_NAMETOOLONG,
	} {
		wantStatus(t, s.lookup(s.root, name), want)
		wantStatus(t, s.create(s.root, name, &nfsv3.Createhow3_UNCHECKED{ObjAttributes: noChange()}), want)
		wantStatus(t, s.mkdir(s.root, name), want)
		wantStatus(t, s.symlink(s.root, name, "target"), want)
		wantStatus(t, s.mknod(s.root, name, &nfsv3.Mknoddata3_NF3FIFO{PipeAttributes: noChange()}), want)
		wantStatus(t, s.remove(s.root, name), want)
		wantStatus(t, s.rmdir(s.root, name), want)
		wantStatus(t, s.rename(s.root, name, s.root, "g"), want)
		wantStatus(t, s.rename(s.root, "f", s.root, name), want)
		wantStatus(t, s.link(f, s.root, name), want)
	}
	longest := strings.Repeat("n", 255)
	s.file(s.root, longest)
	wantStatus(t, s.lookup(s.root, longest), nfsv3.NFS3_OK)
}

func TestReadLink(t *testing.T) {
	s := newSite(t)
	made := must[*nfsv3.Symlink3res_NFS3_OK](t, s.symlink(s.root, "l", "../some where"))
	h := handleOf(t, made.Resok.Obj)
	got := must[*nfsv3.Readlink3res_NFS3_OK](t, do(s, readLink, &nfsv3.Readlink3args{Symlink: h}, nfsv3.ReadReadlink3res))
	if got.Resok.Data != "../some where" || attrOf(t, got.Resok.SymlinkAttributes).Type != nfsv3.NF3LNK {
		t.Errorf("%+v", got)
	}
	wantStatus(t, do(s, readLink, &nfsv3.Readlink3args{Symlink: s.root}, nfsv3.ReadReadlink3res), nfsv3.NFS3ERR_INVAL)
}

func TestRemove(t *testing.T) {
	s := newSite(t)
	s.file(s.root, "f")
	d := s.dir(s.root, "d")
	s.file(d, "inner")
	wantWcc(t, must[*nfsv3.Remove3res_NFS3_OK](t, s.remove(s.root, "f")).Resok.DirWcc)
	gone := must[*nfsv3.Remove3res_default](t, s.remove(s.root, "f"))
	wantStatus(t, gone, nfsv3.NFS3ERR_NOENT)
	attrOf(t, gone.Resfail.DirWcc.After)
	wantStatus(t, s.remove(s.root, "d"), nfsv3.NFS3ERR_ISDIR)
	wantStatus(t, s.rmdir(s.root, "d"), nfsv3.NFS3ERR_NOTEMPTY)
	wantStatus(t, s.rmdir(d, "inner"), nfsv3.NFS3ERR_NOTDIR)
	wantStatus(t, s.rmdir(s.root, "."), nfsv3.NFS3ERR_INVAL)
	wantStatus(t, s.remove(d, "inner"), nfsv3.NFS3_OK)
	wantWcc(t, must[*nfsv3.Rmdir3res_NFS3_OK](t, s.rmdir(s.root, "d")).Resok.DirWcc)
}

func TestRename(t *testing.T) {
	s := newSite(t)
	h, d := s.file(s.root, "f"), s.dir(s.root, "d")
	moved := must[*nfsv3.Rename3res_NFS3_OK](t, s.rename(s.root, "f", d, "g"))
	if wantWcc(t, moved.Resok.FromdirWcc).Fileid == wantWcc(t, moved.Resok.TodirWcc).Fileid {
		t.Error("both directories are the same one")
	}
	if found := must[*nfsv3.Lookup3res_NFS3_OK](t, s.lookup(d, "g")); !bytes.Equal(found.Resok.Object.Data, h.Data) {
		t.Error("the handle changed")
	}
	wantStatus(t, s.rename(s.root, "f", d, "h"), nfsv3.NFS3ERR_NOENT)
	wantStatus(t, s.rename(s.root, "d", d, "h"), nfsv3.NFS3ERR_INVAL)
}

func TestLink(t *testing.T) {
	s := newSite(t)
	h := s.file(s.root, "f")
	linked := must[*nfsv3.Link3res_NFS3_OK](t, s.link(h, s.root, "g"))
	wantWcc(t, linked.Resok.LinkdirWcc)
	if a := attrOf(t, linked.Resok.FileAttributes); a.Nlink != 2 {
		t.Errorf("%+v", a)
	}
	again := must[*nfsv3.Link3res_default](t, s.link(h, s.root, "g"))
	wantStatus(t, again, nfsv3.NFS3ERR_EXIST)
}

// TestTwoVolumes: no link and no rename leads from one volume into another.
func TestTwoVolumes(t *testing.T) {
	s := newSite(t)
	other := *s.volume
	other.ID, other.Name = 9, "other"
	if err := s.catalog.Publish([]*causeway.Volume{s.volume, &other}); err != nil {
		t.Fatal(err)
	}
	there := nfsv3.NfsFh3{Data: fh.Append(nil, &other, s.store.Root())}
	h := s.file(s.root, "f")
	wantStatus(t, s.rename(s.root, "f", there, "g"), nfsv3.NFS3ERR_XDEV)
	wantStatus(t, s.rename(there, "f", s.root, "g"), nfsv3.NFS3ERR_XDEV)
	wantStatus(t, s.link(h, there, "g"), nfsv3.NFS3ERR_XDEV)
}
