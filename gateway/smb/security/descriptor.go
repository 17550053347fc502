package security

import "causeway/gateway/smb/ntstatus"

// MaxDescriptor is the largest descriptor that is read, in bytes.
const MaxDescriptor = 64 << 10

// Control bits of a descriptor ([MS-DTYP] 2.4.6).
const (
	ControlOwnerDefaulted uint16 = 0x1
	ControlGroupDefaulted uint16 = 0x2
	ControlDACLPresent    uint16 = 0x4
	ControlSACLPresent    uint16 = 0x10
	ControlInheritAsked   uint16 = 0x100 // of the DACL: the client has worked out what is inherited
	ControlInherited      uint16 = 0x400 // so it has, and what is made below does so too
	ControlDACLProtected  uint16 = 0x1000
	ControlSelfRelative   uint16 = 0x8000
)

// Parts of a descriptor that a request is about ([MS-SMB2] 2.2.37, AdditionalInformation).
const (
	PartOwner uint32 = 0x1
	PartGroup uint32 = 0x2
	PartDACL  uint32 = 0x4
	PartSACL  uint32 = 0x8
	PartLabel uint32 = 0x10
)

// ACEType says what an entry does.
type ACEType uint8

// The types whose body is a mask and a SID ([MS-DTYP] 2.4.4.1).
const (
	Allow ACEType = 0
	Deny  ACEType = 1
	Audit ACEType = 2
	Label ACEType = 0x11
)

// Flags of an entry.
const (
	ObjectInherit    uint8 = 0x1
	ContainerInherit uint8 = 0x2
	NoPropagate      uint8 = 0x4
	InheritOnly      uint8 = 0x8
	Inherited        uint8 = 0x10
)

// ACE is an entry of an ACL.
type ACE struct {
	Type  ACEType
	Flags uint8
	Mask  Mask
	SID   SID
}

// ACL is a list of entries, in the order in which they count. A nil *ACL is no list at all, which lets everyone do everything.
type ACL struct {
	Entries []ACE
}

// Descriptor is a SECURITY_DESCRIPTOR. DACL and SACL mean something only with their Present bit in Control.
type Descriptor struct {
	Control      uint16
	Owner, Group SID // zero: absent
	SACL, DACL   *ACL
}

const headerSize = 20

// AppendBinary appends the self-relative form ([MS-DTYP] 2.4.6).
func (d *Descriptor) AppendBinary(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, 1, 0)
	dst = le.AppendUint16(dst, d.Control|ControlSelfRelative)
	dst = append(dst, make([]byte, 16)...)
	here := func(field int) { le.PutUint32(dst[start+field:], uint32(len(dst)-start)) }
	if !d.Owner.IsZero() {
		here(4)
		dst = d.Owner.AppendBinary(dst)
	}
	if !d.Group.IsZero() {
		here(8)
		dst = d.Group.AppendBinary(dst)
	}
	if d.SACL != nil && d.Control&ControlSACLPresent != 0 {
		here(12)
		dst = d.SACL.appendBinary(dst)
	}
	if d.DACL != nil && d.Control&ControlDACLPresent != 0 {
		here(16)
		dst = d.DACL.appendBinary(dst)
	}
	return dst
}

func (l *ACL) appendBinary(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, 2, 0, 0, 0)
	dst = le.AppendUint16(dst, uint16(len(l.Entries)))
	dst = append(dst, 0, 0)
	for _, e := range l.Entries {
		dst = append(dst, byte(e.Type), e.Flags)
		dst = le.AppendUint16(dst, uint16(8+e.SID.Size()))
		dst = le.AppendUint32(dst, uint32(e.Mask))
		dst = e.SID.AppendBinary(dst)
	}
	le.PutUint16(dst[start+2:], uint16(len(dst)-start))
	return dst
}

// DecodeDescriptor reads the self-relative form. InvalidSecurityDescr: too short or long, or an offset outside; UnknownRevision;
// InvalidSID; InvalidACL: lengths that do not fit, or an entry of another kind than mask and SID: objects of a directory service and
// conditions cannot be kept, and leaving them out would change what the list says.
func DecodeDescriptor(b []byte) (*Descriptor, error) {
	if len(b) < headerSize || len(b) > MaxDescriptor {
		return nil, ntstatus.InvalidSecurityDescr
	}
	if b[0] != 1 {
		return nil, ntstatus.UnknownRevision
	}
	d := &Descriptor{Control: le.Uint16(b[2:])}
	if d.Control&ControlSelfRelative == 0 {
		return nil, ntstatus.InvalidSecurityDescr
	}
	var err error
	if d.Owner, err = sidAt(b, le.Uint32(b[4:])); err != nil {
		return nil, err
	}
	if d.Group, err = sidAt(b, le.Uint32(b[8:])); err != nil {
		return nil, err
	}
	if d.Control&ControlSACLPresent != 0 {
		if d.SACL, err = aclAt(b, le.Uint32(b[12:])); err != nil {
			return nil, err
		}
	}
	if d.Control&ControlDACLPresent != 0 {
		if d.DACL, err = aclAt(b, le.Uint32(b[16:])); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// at returns what stands at an offset, nil for offset 0.
func at(b []byte, off uint32) ([]byte, error) {
	switch {
	case off == 0:
		return nil, nil
	case off < headerSize || uint64(off) >= uint64(len(b)):
		return nil, ntstatus.InvalidSecurityDescr
	}
	return b[off:], nil
}

func sidAt(b []byte, off uint32) (SID, error) {
	p, err := at(b, off)
	if p == nil {
		return SID{}, err
	}
	s, _, err := DecodeSID(p)
	return s, err
}

func aclAt(b []byte, off uint32) (*ACL, error) {
	p, err := at(b, off)
	if p == nil {
		return nil, err
	}
	if len(p) < 8 {
		return nil, ntstatus.InvalidACL
	}
	size, count := int(le.Uint16(p[2:])), int(le.Uint16(p[4:]))
	if p[0] != 2 && p[0] != 4 || size < 8 || size > len(p) || count > (size-8)/16 {
		return nil, ntstatus.InvalidACL
	}
	l := &ACL{Entries: make([]ACE, 0, count)}
	p = p[8:size]
	for range count {
		e, n, err := decodeACE(p)
		if err != nil {
			return nil, err
		}
		l.Entries = append(l.Entries, e)
		p = p[n:]
	}
	return l, nil
}

func decodeACE(p []byte) (ACE, int, error) {
	if len(p) < 16 {
		return ACE{}, 0, ntstatus.InvalidACL
	}
	e, size := ACE{Type: ACEType(p[0]), Flags: p[1], Mask: Mask(le.Uint32(p[4:]))}, int(le.Uint16(p[2:]))
	if size < 16 || size > len(p) || size%4 != 0 || e.Type > Audit && e.Type != Label {
		return ACE{}, 0, ntstatus.InvalidACL
	}
	var err error
	e.SID, _, err = DecodeSID(p[8:size])
	return e, size, err
}

// Only returns a copy that holds the parts asked for.
func (d *Descriptor) Only(parts uint32) *Descriptor {
	out := *d
	if parts&PartOwner == 0 {
		out.Owner = SID{}
	}
	if parts&PartGroup == 0 {
		out.Group = SID{}
	}
	if parts&PartDACL == 0 {
		out.DACL, out.Control = nil, out.Control&^(ControlDACLPresent|ControlDACLProtected|ControlInherited)
	}
	if parts&(PartSACL|PartLabel) == 0 {
		out.SACL, out.Control = nil, out.Control&^ControlSACLPresent
	}
	return &out
}
