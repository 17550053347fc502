package v3_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"
)

func TestCreate(t *testing.T) {
	s := newSite(t)
	s.as(1000, 100)
	made := must[*nfsv3.Create3res_NFS3_OK](t, s.create(s.root, "f", &nfsv3.Createhow3_GUARDED{ObjAttributes: withMode(0o640)}))
	a := attrOf(t, made.Resok.ObjAttributes)
	if a.Mode != 0o640 || a.Uid != 1000 || a.Gid != 100 || a.Type != nfsv3.NF3REG {
		t.Errorf("%+v", a)
	}
	if wantWcc(t, made.Resok.DirWcc) != s.attr(s.root) || s.attr(handleOf(t, made.Resok.Obj)) != a {
		t.Error("attributes in the result are not those of the objects")
	}
	refused := must[*nfsv3.Create3res_default](t, s.create(s.root, "f", &nfsv3.Createhow3_GUARDED{ObjAttributes: withMode(0)}))
	wantStatus(t, refused, nfsv3.NFS3ERR_EXIST)
	attrOf(t, refused.Resfail.DirWcc.After)
	taken := must[*nfsv3.Create3res_NFS3_OK](t, s.create(s.root, "f", &nfsv3.Createhow3_UNCHECKED{ObjAttributes: noChange()}))
	if !bytes.Equal(handleOf(t, taken.Resok.Obj).Data, handleOf(t, made.Resok.Obj).Data) {
		t.Error("UNCHECKED made another file")
	}
}

func TestCreateExclusive(t *testing.T) {
	s := newSite(t)
	first, second := &nfsv3.Createhow3_EXCLUSIVE{Verf: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}}, &nfsv3.Createhow3_EXCLUSIVE{Verf: [8]byte{8}}
	made := must[*nfsv3.Create3res_NFS3_OK](t, s.create(s.root, "f", first))
	again := must[*nfsv3.Create3res_NFS3_OK](t, s.create(s.root, "f", first))
	if !bytes.Equal(handleOf(t, made.Resok.Obj).Data, handleOf(t, again.Resok.Obj).Data) {
		t.Error("the same verifier made another file")
	}
	wantStatus(t, s.create(s.root, "f", second), nfsv3.NFS3ERR_EXIST)
}

func TestMkdir(t *testing.T) {
	s := newSite(t)
	made := must[*nfsv3.Mkdir3res_NFS3_OK](t, s.mkdir(s.root, "d"))
	wantWcc(t, made.Resok.DirWcc)
	if a := attrOf(t, made.Resok.ObjAttributes); a.Type != nfsv3.NF3DIR || a.Mode != 0o755 || a.Nlink != 2 {
		t.Errorf("%+v", a)
	}
	wantStatus(t, s.mkdir(s.root, "d"), nfsv3.NFS3ERR_EXIST)
	s.as(1000, 1000)
	wantStatus(t, s.mkdir(handleOf(t, made.Resok.Obj), "x"), nfsv3.NFS3ERR_ACCES)
	s.volume.Exports[0].ReadOnly = true
	wantStatus(t, s.mkdir(s.root, "x"), nfsv3.NFS3ERR_ROFS)
}

func TestSymlink(t *testing.T) {
	s := newSite(t)
	made := must[*nfsv3.Symlink3res_NFS3_OK](t, s.symlink(s.root, "l", "target"))
	wantWcc(t, made.Resok.DirWcc)
	if a := attrOf(t, made.Resok.ObjAttributes); a.Type != nfsv3.NF3LNK || a.Size != 6 {
		t.Errorf("%+v", a)
	}
	wantStatus(t, s.symlink(s.root, "m", ""), nfsv3.NFS3ERR_INVAL)
	wantStatus(t, s.symlink(s.root, "m", "a\x00b"), nfsv3.NFS3ERR_INVAL)
	wantStatus(t, s.symlink(s.root, "m", strings.Repeat("t", 4097)), nfsv3.NFS3ERR_NAMETOOLONG)
}

func TestMknod(t *testing.T) {
	s := newSite(t)
	device := nfsv3.Devicedata3{DevAttributes: withMode(0o600), Spec: nfsv3.Specdata3{Specdata1: 8, Specdata2: 1}}
	for name, test := range map[string]struct {
		what nfsv3.Mknoddata3
		want nfsv3.Ftype3
	}{
		"char":  {&nfsv3.Mknoddata3_NF3CHR{Device: device}, nfsv3.NF3CHR},
		"block": {&nfsv3.Mknoddata3_NF3BLK{Device: device}, nfsv3.NF3BLK},
		"sock":  {&nfsv3.Mknoddata3_NF3SOCK{PipeAttributes: withMode(0o600)}, nfsv3.NF3SOCK},
		"fifo":  {&nfsv3.Mknoddata3_NF3FIFO{PipeAttributes: withMode(0o600)}, nfsv3.NF3FIFO},
	} {
		made := must[*nfsv3.Mknod3res_NFS3_OK](t, s.mknod(s.root, name, test.what))
		a := attrOf(t, made.Resok.ObjAttributes)
		if a.Type != test.want || a.Mode != 0o600 {
			t.Errorf("%s: %+v", name, a)
		}
		if isDevice := test.want == nfsv3.NF3CHR || test.want == nfsv3.NF3BLK; isDevice && a.Rdev != device.Spec {
			t.Errorf("%s: %+v", name, a.Rdev)
		}
		wantWcc(t, made.Resok.DirWcc)
	}
	for _, bad := range []nfsv3.Ftype3{0, nfsv3.NF3REG, nfsv3.NF3DIR, nfsv3.NF3LNK, 8, -1} {
		wantStatus(t, s.mknod(s.root, "bad", &nfsv3.Mknoddata3_default{Type: bad}), nfsv3.NFS3ERR_BADTYPE)
	}
	s.as(1000, 1000)
	wantStatus(t, s.mknod(s.root, "mine", &nfsv3.Mknoddata3_NF3CHR{Device: device}), nfsv3.NFS3ERR_PERM)
	wantStatus(t, s.mknod(s.root, "mine", &nfsv3.Mknoddata3_NF3FIFO{PipeAttributes: noChange()}), nfsv3.NFS3_OK)
}
