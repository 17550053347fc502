package nfs3

import "encoding/binary"

// Programs, versions and the procedures that the workloads use (RFC 1813 §3, §5).
const (
	ProgNFS, VersNFS     = 100003, 3
	ProgMount, VersMount = 100005, 3

	MountNull, MountMnt = 0, 1

	Null, GetAttr, SetAttr, Lookup, Access          = 0, 1, 2, 3, 4
	Read, Write, Create, MkDir, Remove, ReadDirPlus = 6, 7, 8, 9, 12, 17
	FSInfo, Commit                                  = 19, 21
)

// How stable a WRITE must be before its reply (RFC 1813 §3.3.7, stable_how).
const (
	Unstable = 0
	DataSync = 1
	FileSync = 2
)

// lastFragment marks the only or last fragment of a record (RFC 5531 §11).
const lastFragment = 1 << 31

// Cred is an AUTH_SYS credential, encoded once.
type Cred struct{ wire []byte }

// Sys makes the AUTH_SYS credential of a user (RFC 5531, appendix A).
func Sys(uid, gid uint32, groups ...uint32) Cred {
	var body Record
	body.Uint32(1) // stamp
	body.Opaque([]byte("bench"))
	body.Uint32(uid)
	body.Uint32(gid)
	body.Uint32(uint32(len(groups)))
	for _, group := range groups {
		body.Uint32(group)
	}
	var wire Record
	wire.Uint32(1) // AUTH_SYS
	wire.Opaque(body)
	wire.Uint32(0) // the verifier: AUTH_NONE,
	wire.Uint32(0) // empty
	return Cred{wire}
}

// Record is a call under construction: a record mark and one RPC message behind it.
type Record []byte

// NewCall begins a call without arguments; Seal closes it. The xid is patched when the call is sent.
func NewCall(prog, vers, proc uint32, cred Cred) Record {
	var r Record
	r.Uint32(0) // record mark
	r.Uint32(0) // xid
	r.Uint32(0) // CALL
	r.Uint32(2) // RPC version
	r.Uint32(prog)
	r.Uint32(vers)
	r.Uint32(proc)
	return append(r, cred.wire...)
}

// Uint32 appends a number.
func (r *Record) Uint32(v uint32) { *r = binary.BigEndian.AppendUint32(*r, v) }

// Uint64 appends a hyper.
func (r *Record) Uint64(v uint64) { *r = binary.BigEndian.AppendUint64(*r, v) }

// Opaque appends variable-length bytes: the length, the bytes, zeros up to a multiple of four.
func (r *Record) Opaque(p []byte) {
	r.Uint32(uint32(len(p)))
	*r = append(*r, p...)
	r.pad(len(p))
}

func (r *Record) pad(n int) {
	for ; n%4 != 0; n++ {
		*r = append(*r, 0)
	}
}

// Seal writes the record mark for what is there and extra bytes that will be sent behind it.
func (r Record) Seal(extra int) Record {
	binary.BigEndian.PutUint32(r, uint32(len(r)-4+extra)|lastFragment)
	return r
}

// SetXID patches the transaction id.
func (r Record) SetXID(xid uint32) { binary.BigEndian.PutUint32(r[4:], xid) }

// PutUint64 patches a hyper at the distance back from the end of the record.
func (r Record) PutUint64(back int, v uint64) { binary.BigEndian.PutUint64(r[len(r)-back:], v) }

// SetAttrs appends a sattr3 that sets the mode only (RFC 1813 §2.5).
func (r *Record) SetAttrs(mode uint32) {
	r.Uint32(1)
	r.Uint32(mode)
	for range 5 { // uid, gid, size, atime, mtime: not set
		r.Uint32(0)
	}
}
