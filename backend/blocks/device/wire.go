package device

import (
	"encoding/binary"
	"io"

	"causeway"
	"causeway/backend"
)

// A request is a head of fixed size, the holder's name and the bytes to write; a reply is a code, two numbers and the bytes
// read. Numbers are big-endian.
const (
	headSize  = 1 + 1 + 4 + 6*8
	replySize = 1 + 4 + 2*8
	maxHolder = 255
	codeFence = 0xff // of a reply: backend.ErrFenced
)

type op uint8

const (
	opGeometry op = iota + 1
	opClaim
	opRegister
	opFence
	opRead
	opWrite
	opCheck
)

type request struct {
	op     op
	volume causeway.VolumeID
	tag    backend.Tag
	off    uint64
	n      uint32 // to read
	holder string
	data   []byte // to write
}

type reply struct {
	err  error
	a, b uint64
	data []byte
}

func (r *request) append(b []byte) []byte {
	n := r.n
	if r.op == opWrite {
		n = uint32(len(r.data))
	}
	b = append(b, byte(r.op), byte(len(r.holder)))
	b = binary.BigEndian.AppendUint32(b, n)
	for _, x := range []uint64{uint64(r.volume), r.tag.Epoch.Incarnation, r.tag.Epoch.Revision, r.tag.Key, r.off, 0} {
		b = binary.BigEndian.AppendUint64(b, x)
	}
	b = append(b, r.holder...)
	return append(b, r.data...)
}

// readRequest reads the next request; lengths are checked before anything is allocated for them.
func readRequest(in io.Reader) (*request, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	at := func(i int) uint64 { return binary.BigEndian.Uint64(head[6+8*i:]) }
	r := &request{op: op(head[0]), n: binary.BigEndian.Uint32(head[2:]), volume: causeway.VolumeID(at(0)), off: at(4)}
	r.tag = backend.Tag{Epoch: causeway.Epoch{Incarnation: at(1), Revision: at(2)}, Key: at(3)}
	if r.n > MaxIO || r.op < opGeometry || r.op > opCheck {
		return nil, causeway.ErrInval
	}
	holder := make([]byte, head[1])
	if _, err := io.ReadFull(in, holder); err != nil {
		return nil, err
	}
	r.holder = string(holder)
	if r.op == opWrite {
		r.data = make([]byte, r.n)
		if _, err := io.ReadFull(in, r.data); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *reply) append(b []byte) []byte {
	code := byte(causeway.CodeOf(r.err))
	if r.err == error(backend.ErrFenced) {
		code = codeFence
	}
	b = append(b, code)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.data)))
	b = binary.BigEndian.AppendUint64(b, r.a)
	b = binary.BigEndian.AppendUint64(b, r.b)
	return append(b, r.data...)
}

// readReply reads a reply, whose data must fit dst exactly if it is no error.
func readReply(in io.Reader, dst []byte) (r reply, err error) {
	var head [replySize]byte
	if _, err = io.ReadFull(in, head[:]); err != nil {
		return r, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	r.a, r.b = binary.BigEndian.Uint64(head[5:]), binary.BigEndian.Uint64(head[13:])
	switch code := head[0]; {
	case code == codeFence:
		r.err = backend.ErrFenced
	case !causeway.Code(code).Known():
		return r, causeway.ErrServerFault
	case code != 0:
		r.err = causeway.Code(code)
	}
	if r.err == nil && int(n) != len(dst) || r.err != nil && n != 0 {
		return r, causeway.ErrServerFault
	}
	_, err = io.ReadFull(in, dst[:n])
	return r, err
}
