package contexts

import "causeway/gateway/smb/ntstatus"

// LeaseState is a set of what a lease lets a client cache ([MS-SMB2] 2.2.13.2.8).
type LeaseState uint32

// The states.
const (
	LeaseRead   LeaseState = 0x1
	LeaseHandle LeaseState = 0x2
	LeaseWrite  LeaseState = 0x4
)

// Flags of a lease.
const (
	LeaseBreaking  uint32 = 0x2 // in an answer
	LeaseParentSet uint32 = 0x4 // ParentKey holds
)

// LeaseRequest is an RqLs, of version 1 or 2, of a request or an answer.
type LeaseRequest struct {
	Version   int // 1 or 2
	Key       [16]byte
	State     LeaseState
	Flags     uint32
	ParentKey [16]byte // version 2
	Epoch     uint16   // version 2
}

const leaseV1, leaseV2 = 32, 52

// DecodeLease reads one. InvalidParameter: a length of neither version. States that a lease cannot have (write without
// read) are the front's to treat: they count as none ([MS-SMB2] 3.3.5.9.8).
func DecodeLease(b []byte) (LeaseRequest, error) {
	if len(b) != leaseV1 && len(b) != leaseV2 {
		return LeaseRequest{}, ntstatus.InvalidParameter
	}
	l := LeaseRequest{Version: 1, Key: [16]byte(b), State: LeaseState(le.Uint32(b[16:])), Flags: le.Uint32(b[20:])}
	if len(b) == leaseV2 {
		l.Version, l.Epoch = 2, le.Uint16(b[48:])
		if l.Flags&LeaseParentSet != 0 {
			l.ParentKey = [16]byte(b[32:])
		}
	}
	return l, nil
}

// Encode returns the data of the context.
func (l *LeaseRequest) Encode() []byte {
	b := append(make([]byte, 0, leaseV2), l.Key[:]...)
	b = le.AppendUint32(b, uint32(l.State))
	b = le.AppendUint32(b, l.Flags)
	b = le.AppendUint64(b, 0)
	if l.Version == 2 {
		b = append(b, l.ParentKey[:]...)
		b = append(le.AppendUint16(b, l.Epoch), 0, 0)
	}
	return b
}

// Valid reports whether a lease can be in state s: none, or one that includes reading.
func (s LeaseState) Valid() bool { return s&^7 == 0 && (s == 0 || s&LeaseRead != 0) }
