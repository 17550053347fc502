package nfs3

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Status is an nfsstat3 (RFC 1813 §2.6) or a mountstat3, which uses the same numbers.
type Status uint32

// The statuses that the generator reacts to.
const (
	OK         Status = 0
	NoEnt      Status = 2
	JukeBox    Status = 10008
	ServerFail Status = 10006
)

func (s Status) Error() string { return fmt.Sprintf("nfsstat3 %d", uint32(s)) }

var (
	errShort    = errors.New("reply ends too early")
	errRejected = errors.New("RPC reply is not an accepted success")
)

// Reply reads a result in place. Its first error stays; results read after it are zero.
type Reply struct {
	p   []byte
	Err error
}

// Accept checks the RPC header of a message (RFC 5531 §9) and leaves the reply at the procedure's result.
func Accept(message []byte) (xid uint32, r Reply) {
	if len(message) < 24 {
		return 0, Reply{Err: errShort}
	}
	xid = binary.BigEndian.Uint32(message)
	r.p = message[4:]
	direction, replied := r.Uint32(), r.Uint32()
	r.Skip(4) // the verifier's flavor
	r.Opaque()
	if status := r.Uint32(); r.Err == nil && (direction != 1 || replied != 0 || status != 0) {
		r.Err = fmt.Errorf("%w: type %d, reply_stat %d, accept_stat %d", errRejected, direction, replied, status)
	}
	return xid, r
}

// Len is how much is left to read.
func (r *Reply) Len() int { return len(r.p) }

// Uint32 reads a number.
func (r *Reply) Uint32() uint32 {
	if len(r.p) < 4 {
		r.fail()
		return 0
	}
	v := binary.BigEndian.Uint32(r.p)
	r.p = r.p[4:]
	return v
}

// Uint64 reads a hyper.
func (r *Reply) Uint64() uint64 {
	if len(r.p) < 8 {
		r.fail()
		return 0
	}
	v := binary.BigEndian.Uint64(r.p)
	r.p = r.p[8:]
	return v
}

// Skip passes over n bytes.
func (r *Reply) Skip(n int) {
	if len(r.p) < n {
		r.fail()
		return
	}
	r.p = r.p[n:]
}

// Opaque reads variable-length bytes, borrowed from the message.
func (r *Reply) Opaque() []byte {
	n := r.Uint32()
	padded := (uint64(n) + 3) &^ 3
	if uint64(len(r.p)) < padded {
		r.fail()
		return nil
	}
	v := r.p[:n]
	r.p = r.p[padded:]
	return v
}

func (r *Reply) fail() {
	r.p = nil
	if r.Err == nil {
		r.Err = errShort
	}
}

// Status reads the nfsstat3 and makes anything but NFS3_OK the reply's error.
func (r *Reply) Status() {
	if s := Status(r.Uint32()); s != OK && r.Err == nil {
		r.Err = s
	}
}

const attrSize, preAttrSize = 84, 24 // fattr3, wcc_attr

// SkipAttr passes over a post_op_attr.
func (r *Reply) SkipAttr() {
	if r.Uint32() != 0 {
		r.Skip(attrSize)
	}
}

// SkipWcc passes over a wcc_data.
func (r *Reply) SkipWcc() {
	if r.Uint32() != 0 {
		r.Skip(preAttrSize)
	}
	r.SkipAttr()
}

// End makes trailing bytes an error.
func (r *Reply) End() error {
	if r.Err == nil && len(r.p) != 0 {
		r.Err = fmt.Errorf("%d bytes behind the result", len(r.p))
	}
	return r.Err
}
