package v3

import (
	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/fh"
	"causeway/gateway/nfs/xdr"
)

const (
	fattrSize    = 84            // of fattr3
	postOpSize   = 4 + fattrSize // of post_op_attr with attributes
	postOpFHSize = 4 + 4 + fh.Size
)

// putAttr encodes fattr3 (RFC 1813 §2.6). The fsid is the volume's id: the same at every gateway.
func putAttr(e *xdr.Encoder, v causeway.VolumeID, a *causeway.Attr) {
	e.Uint32(uint32(a.Type))
	e.Uint32(a.Mode)
	e.Uint32(a.Nlink)
	e.Uint32(a.UID)
	e.Uint32(a.GID)
	e.Uint64(a.Size)
	e.Uint64(a.Used)
	e.Uint32(a.Major)
	e.Uint32(a.Minor)
	e.Uint64(uint64(v))
	e.Uint64(a.FileID)
	putTime(e, a.Atime)
	putTime(e, a.Mtime)
	putTime(e, a.Ctime)
}

// putTime encodes nfstime3: times before 1970 and after 2106 wrap.
func putTime(e *xdr.Encoder, t causeway.Time) {
	e.Uint32(uint32(t.Sec))
	e.Uint32(t.Nsec)
}

// putPostOp encodes post_op_attr, without attributes if they are not known.
func putPostOp(e *xdr.Encoder, v causeway.VolumeID, a *causeway.Attr) {
	e.Bool(a.Valid())
	if a.Valid() {
		putAttr(e, v, a)
	}
}

// putWcc encodes wcc_data.
func putWcc(e *xdr.Encoder, v causeway.VolumeID, ch *causeway.Change) {
	e.Bool(ch.Before.Valid())
	if ch.Before.Valid() {
		e.Uint64(ch.Before.Size)
		putTime(e, ch.Before.Mtime)
		putTime(e, ch.Before.Ctime)
	}
	putPostOp(e, v, &ch.After)
}

// putHandle encodes nfs_fh3.
func putHandle(e *xdr.Encoder, v *causeway.Volume, id causeway.ObjectID) {
	e.Uint32(fh.Size)
	fh.Append(e.Reserve(fh.Size)[:0], v, id)
}

// putPostOpHandle encodes post_op_fh3.
func putPostOpHandle(e *xdr.Encoder, v *causeway.Volume, id causeway.ObjectID) {
	e.Bool(!id.IsZero())
	if !id.IsZero() {
		putHandle(e, v, id)
	}
}

// putEntry encodes what all creating procedures answer on success: handle and attributes.
func putEntry(e *xdr.Encoder, v *causeway.Volume, found *gateway.Entry) {
	putPostOpHandle(e, v, found.Handle.Object)
	putPostOp(e, v.ID, &found.Attr)
}

// fillPostOp encodes a post_op_attr at position at, where postOpSize bytes were reserved before what stands behind it could
// be known. Attributes that are not known take no room: the rest moves.
func fillPostOp(e *xdr.Encoder, at int, v causeway.VolumeID, a *causeway.Attr) {
	b := e.Bytes()
	if a.Valid() {
		hole := xdr.NewEncoder(b[:at:len(b)])
		putPostOp(&hole, v, a)
		return
	}
	e.PatchUint32(at, 0)
	copy(b[at+4:], b[at+postOpSize:])
	e.Truncate(len(b) - fattrSize)
}
