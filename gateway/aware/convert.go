package aware

import (
	"causeway"
	"causeway/client/clientpb"
)

// maxCause is how much of an error's text a client is told, in bytes.
const maxCause = 200

// cause is the text of an error that is more than its code.
func cause(err error) string {
	if _, plain := err.(causeway.Code); plain || err == nil {
		return ""
	}
	text := err.Error()
	return string([]rune(text[:min(len(text), maxCause)])) // protobuf refuses what is no text
}

// failed fills in how a call ended.
func failed(r *clientpb.Reply, err error) *clientpb.Reply {
	r.Code, r.Cause = uint32(causeway.CodeOf(err)), cause(err)
	return r
}

func attrOf(a *causeway.Attr) *clientpb.Attr {
	if !a.Valid() {
		return nil
	}
	return &clientpb.Attr{
		Type: uint32(a.Type), Mode: a.Mode, Nlink: a.Nlink, Uid: a.UID, Gid: a.GID, Size: a.Size, Used: a.Used, Fileid: a.FileID,
		MtimeSec: a.Mtime.Sec, MtimeNsec: a.Mtime.Nsec, CtimeSec: a.Ctime.Sec, CtimeNsec: a.Ctime.Nsec, AtimeSec: a.Atime.Sec, AtimeNsec: a.Atime.Nsec,
	}
}

// settable are the attributes that clients may set: all but ACLs.
const settable = causeway.SetMode | causeway.SetUID | causeway.SetGID | causeway.SetSize | causeway.SetAtime | causeway.SetMtime |
	causeway.SetAtimeNow | causeway.SetMtimeNow

// setOf checks a change of attributes.
func setOf(p *clientpb.SetAttr) (causeway.SetAttr, error) {
	if p == nil {
		return causeway.SetAttr{}, nil
	}
	if p.Mask&^uint32(settable) != 0 || p.AtimeNsec >= 1e9 || p.MtimeNsec >= 1e9 || p.Mode&^causeway.ModeAll != 0 {
		return causeway.SetAttr{}, causeway.ErrInval
	}
	return causeway.SetAttr{
		Mask: causeway.SetMask(p.Mask), Mode: p.Mode, UID: p.Uid, GID: p.Gid, Size: p.Size,
		Atime: causeway.Time{Sec: p.AtimeSec, Nsec: p.AtimeNsec}, Mtime: causeway.Time{Sec: p.MtimeSec, Nsec: p.MtimeNsec},
	}, nil
}
