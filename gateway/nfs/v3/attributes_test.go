package v3_test

import (
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"
)

func TestGetAttr(t *testing.T) {
	s := newSite(t)
	a := s.attr(s.root)
	if a.Type != nfsv3.NF3DIR || a.Mode != 0o777 || a.Fsid != 0x1122334455667788 || a.Fileid == 0 || a.Mtime.Seconds != 1_700_000_000 {
		t.Errorf("%+v", a)
	}
	h := s.file(s.root, "f")
	wantStatus(t, s.remove(s.root, "f"), nfsv3.NFS3_OK)
	wantStatus(t, s.getAttr(h), nfsv3.NFS3ERR_STALE)
	h.Data[20] ^= 1
	wantStatus(t, s.getAttr(h), nfsv3.NFS3ERR_BADHANDLE)
	wantStatus(t, s.getAttr(nfsv3.NfsFh3{Data: []byte("short")}), nfsv3.NFS3ERR_BADHANDLE)
	s.volume.Exports[0].Secure = true
	s.caller.Remote = mustAddr("127.0.0.1:5000")
	wantStatus(t, s.getAttr(s.root), nfsv3.NFS3ERR_ACCES)
	if err := s.catalog.Publish(nil); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, s.getAttr(s.root), nfsv3.NFS3ERR_STALE)
}

func TestSetAttr(t *testing.T) {
	s := newSite(t)
	h := s.file(s.root, "f")
	a := nfsv3.Sattr3{
		Mode: &nfsv3.SetMode3_TRUE{Mode: 0o170600}, Uid: &nfsv3.SetUid3_TRUE{Uid: 5}, Gid: &nfsv3.SetGid3_TRUE{Gid: 6},
		Size:  &nfsv3.SetSize3_TRUE{Size: 77},
		Atime: &nfsv3.SetAtime_SET_TO_CLIENT_TIME{Atime: nfsv3.Nfstime3{Seconds: 0xfffffff0, Nseconds: 1}},
		Mtime: &nfsv3.SetMtime_SET_TO_CLIENT_TIME{Mtime: nfsv3.Nfstime3{Seconds: 12, Nseconds: 999_999_999}},
	}
	done := must[*nfsv3.Setattr3res_NFS3_OK](t, s.setAttr(h, a, nil))
	got := wantWcc(t, done.Resok.ObjWcc)
	if got.Mode != 0o600 || got.Uid != 5 || got.Gid != 6 || got.Size != 77 || got.Atime.Seconds != 0xfffffff0 || got.Mtime != (nfsv3.Nfstime3{Seconds: 12, Nseconds: 999_999_999}) {
		t.Errorf("%+v", got)
	}
	now := noChange()
	now.Atime, now.Mtime = &nfsv3.SetAtime_default{SetIt: nfsv3.SET_TO_SERVER_TIME}, &nfsv3.SetMtime_default{SetIt: nfsv3.SET_TO_SERVER_TIME}
	got = wantWcc(t, must[*nfsv3.Setattr3res_NFS3_OK](t, s.setAttr(h, now, nil)).Resok.ObjWcc)
	if got.Atime.Seconds != 1_700_000_000 || got.Mtime.Seconds != 1_700_000_000 {
		t.Errorf("%+v", got)
	}
}

func TestSetAttrGuard(t *testing.T) {
	s := newSite(t)
	h := s.file(s.root, "f")
	ctime := s.attr(h).Ctime
	wrong := ctime
	wrong.Nseconds++
	refused := must[*nfsv3.Setattr3res_default](t, s.setAttr(h, withMode(0), &wrong))
	wantStatus(t, refused, nfsv3.NFS3ERR_NOT_SYNC)
	if got := wantWcc(t, refused.Resfail.ObjWcc); got.Mode != 0o644 {
		t.Errorf("%+v", got)
	}
	wantStatus(t, s.setAttr(h, withMode(0), &ctime), nfsv3.NFS3_OK)
}

func TestSetAttrBadValues(t *testing.T) {
	s := newSite(t)
	h := s.file(s.root, "f")
	a := noChange()
	a.Mtime = &nfsv3.SetMtime_SET_TO_CLIENT_TIME{Mtime: nfsv3.Nfstime3{Nseconds: 1_000_000_000}}
	wantStatus(t, s.setAttr(h, a, nil), nfsv3.NFS3ERR_INVAL)
	a = noChange()
	a.Size = &nfsv3.SetSize3_TRUE{Size: 1 << 63}
	wantStatus(t, s.setAttr(h, a, nil), nfsv3.NFS3ERR_FBIG)
	a.Size = &nfsv3.SetSize3_TRUE{Size: 1}
	wantStatus(t, s.setAttr(s.root, a, nil), nfsv3.NFS3ERR_ISDIR)
	s.as(1000, 1000)
	wantStatus(t, s.setAttr(h, withMode(0o777), nil), nfsv3.NFS3ERR_PERM)
}

func TestAccess(t *testing.T) {
	s := newSite(t)
	file, dir := s.file(s.root, "f"), s.dir(s.root, "d")
	const all = nfsv3.ACCESS3_READ | nfsv3.ACCESS3_LOOKUP | nfsv3.ACCESS3_MODIFY | nfsv3.ACCESS3_EXTEND | nfsv3.ACCESS3_DELETE | nfsv3.ACCESS3_EXECUTE
	ask := func(h nfsv3.NfsFh3, bits uint32) uint32 {
		t.Helper()
		r := must[*nfsv3.Access3res_NFS3_OK](t, do(s, access3, &nfsv3.Access3args{Object: h, Access: bits}, nfsv3.ReadAccess3res))
		attrOf(t, r.Resok.ObjAttributes)
		return r.Resok.Access
	}
	const change = nfsv3.ACCESS3_MODIFY | nfsv3.ACCESS3_EXTEND
	for _, test := range []struct {
		name     string
		h        nfsv3.NfsFh3
		uid      uint32
		readOnly bool
		want     uint32
	}{
		{"root, file", file, 0, false, nfsv3.ACCESS3_READ | change},
		{"root, dir", dir, 0, false, nfsv3.ACCESS3_READ | nfsv3.ACCESS3_LOOKUP | change | nfsv3.ACCESS3_DELETE},
		{"other, file", file, 9, false, nfsv3.ACCESS3_READ},
		{"other, dir", dir, 9, false, nfsv3.ACCESS3_READ | nfsv3.ACCESS3_LOOKUP},
		{"root, read-only file", file, 0, true, nfsv3.ACCESS3_READ},
		{"root, read-only dir", dir, 0, true, nfsv3.ACCESS3_READ | nfsv3.ACCESS3_LOOKUP},
	} {
		s.as(test.uid, test.uid)
		s.volume.Exports[0].ReadOnly = test.readOnly
		if got := ask(test.h, all); got != test.want {
			t.Errorf("%s: %#x, want %#x", test.name, got, test.want)
		}
		if got := ask(test.h, nfsv3.ACCESS3_READ); got != nfsv3.ACCESS3_READ {
			t.Errorf("%s: bits that were not asked for: %#x", test.name, got)
		}
	}
}
