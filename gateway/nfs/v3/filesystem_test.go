package v3_test

import (
	"causeway"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"
)

func TestFSStat(t *testing.T) {
	s := newSite(t)
	r := must[*nfsv3.Fsstat3res_NFS3_OK](t, do(s, fsStat, &nfsv3.Fsstat3args{Fsroot: s.root}, nfsv3.ReadFsstat3res))
	attrOf(t, r.Resok.ObjAttributes)
	if r.Resok.Tbytes == 0 || r.Resok.Fbytes > r.Resok.Tbytes || r.Resok.Abytes > r.Resok.Fbytes || r.Resok.Tfiles < r.Resok.Ffiles || r.Resok.Invarsec != 0 {
		t.Errorf("%+v", r)
	}
}

func TestFSInfo(t *testing.T) {
	s := newSite(t)
	r := must[*nfsv3.Fsinfo3res_NFS3_OK](t, do(s, fsInfo, &nfsv3.Fsinfo3args{Fsroot: s.root}, nfsv3.ReadFsinfo3res)).Resok
	attrOf(t, r.ObjAttributes)
	if r.Rtmax != 1<<20 || r.Wtmax != 1<<20 || r.Rtpref != 1<<20 || r.Wtpref != 1<<20 || r.Dtpref != 1<<16 || r.Rtmult != 4096 || r.Wtmult != 4096 {
		t.Errorf("%+v", r)
	}
	const properties = nfsv3.FSF3_LINK | nfsv3.FSF3_SYMLINK | nfsv3.FSF3_HOMOGENEOUS | nfsv3.FSF3_CANSETTIME
	if r.Maxfilesize != 1<<63-1 || r.TimeDelta != (nfsv3.Nfstime3{Nseconds: 1}) || r.Properties != properties {
		t.Errorf("%+v", r)
	}
}

func TestPathConf(t *testing.T) {
	s := newSite(t)
	r := must[*nfsv3.Pathconf3res_NFS3_OK](t, do(s, pathConf, &nfsv3.Pathconf3args{Object: s.root}, nfsv3.ReadPathconf3res)).Resok
	attrOf(t, r.ObjAttributes)
	if r.NameMax != 255 || !r.NoTrunc || !r.ChownRestricted || r.CaseInsensitive || !r.CasePreserving || r.Linkmax < 32000 {
		t.Errorf("%+v", r)
	}
	s = newSite(t, func(v *causeway.Volume) { v.SMB.CaseInsensitive = true })
	if r := must[*nfsv3.Pathconf3res_NFS3_OK](t, do(s, pathConf, &nfsv3.Pathconf3args{Object: s.root}, nfsv3.ReadPathconf3res)).Resok; !r.CaseInsensitive || !r.CasePreserving {
		t.Errorf("names without case: %+v", r)
	}
}
