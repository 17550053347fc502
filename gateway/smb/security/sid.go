package security

import (
	"encoding/binary"
	"fmt"
	"strings"

	"causeway/gateway/smb/ntstatus"
)

// MaxSub is the largest number of sub-authorities of a SID ([MS-DTYP] 2.4.2).
const MaxSub = 15

// SID is a security identifier. It is comparable; sub-authorities beyond Count are zero. The zero SID is none.
type SID struct {
	Authority uint64 // 48 bits
	Count     uint8
	Sub       [MaxSub]uint32
}

// NewSID returns S-1-authority-sub-…; it panics with more than MaxSub sub-authorities.
func NewSID(authority uint64, sub ...uint32) SID {
	s := SID{Authority: authority, Count: uint8(len(sub))}
	copy(s.Sub[:len(sub)], sub)
	return s
}

// The SIDs that mean the same everywhere ([MS-DTYP] 2.4.2.4).
var (
	Everyone           = NewSID(1, 0)
	CreatorOwner       = NewSID(3, 0)
	CreatorGroup       = NewSID(3, 1)
	OwnerRights        = NewSID(3, 4)
	Network            = NewSID(5, 2)
	Anonymous          = NewSID(5, 7)
	AuthenticatedUsers = NewSID(5, 11)
	System             = NewSID(5, 18)
	Administrators     = NewSID(5, 32, 544)
	Users              = NewSID(5, 32, 545)
)

// IsZero reports whether s is none.
func (s SID) IsZero() bool { return s.Count == 0 && s.Authority == 0 }

// Append appends another sub-authority: a RID to a domain. It panics if there is no room.
func (s SID) Append(sub uint32) SID {
	s.Sub[s.Count] = sub
	s.Count++
	return s
}

// In reports whether s lies in a domain, and returns the RID.
func (s SID) In(domain SID) (rid uint32, ok bool) {
	if s.Count != domain.Count+1 || s.Authority != domain.Authority {
		return 0, false
	}
	for i := range domain.Count {
		if s.Sub[i] != domain.Sub[i] {
			return 0, false
		}
	}
	return s.Sub[domain.Count], true
}

// Size returns the length of the binary form in bytes.
func (s SID) Size() int { return 8 + 4*int(s.Count) }

// AppendBinary appends the binary form ([MS-DTYP] 2.4.2.2).
func (s SID) AppendBinary(dst []byte) []byte {
	authority := binary.BigEndian.AppendUint64(nil, s.Authority)
	dst = append(append(dst, 1, s.Count), authority[2:]...)
	for _, sub := range s.Sub[:s.Count] {
		dst = le.AppendUint32(dst, sub)
	}
	return dst
}

// DecodeSID reads a SID at the start of b, and returns how many bytes it has: InvalidSID.
func DecodeSID(b []byte) (SID, int, error) {
	if len(b) < 8 || b[0] != 1 || b[1] > MaxSub || len(b) < 8+4*int(b[1]) {
		return SID{}, 0, ntstatus.InvalidSID
	}
	s := SID{Count: b[1], Authority: uint64(binary.BigEndian.Uint16(b[2:]))<<32 | uint64(binary.BigEndian.Uint32(b[4:]))}
	for i := range s.Count {
		s.Sub[i] = le.Uint32(b[8+4*int(i):])
	}
	return s, s.Size(), nil
}

// String returns the form S-1-5-… ([MS-DTYP] 2.4.2.1).
func (s SID) String() string {
	var b strings.Builder
	if s.Authority >= 1<<32 {
		fmt.Fprintf(&b, "S-1-0x%012x", s.Authority)
	} else {
		fmt.Fprintf(&b, "S-1-%d", s.Authority)
	}
	for _, sub := range s.Sub[:s.Count] {
		fmt.Fprintf(&b, "-%d", sub)
	}
	return b.String()
}
