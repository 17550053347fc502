package security

import (
	"fmt"
	"strings"
)

// String returns the descriptor in the manner of SDDL ([MS-DTYP] 2.5.1), with SIDs spelt out and masks in hexadecimal: for tests and
// status.
func (d *Descriptor) String() string {
	var b strings.Builder
	if !d.Owner.IsZero() {
		b.WriteString("O:" + d.Owner.String())
	}
	if !d.Group.IsZero() {
		b.WriteString("G:" + d.Group.String())
	}
	if d.Control&ControlDACLPresent != 0 {
		b.WriteString("D:")
		if d.Control&ControlDACLProtected != 0 {
			b.WriteByte('P')
		}
		b.WriteString(d.DACL.String())
	}
	return b.String()
}

// String returns the entries; of no list at all, what SDDL has for it.
func (l *ACL) String() string {
	if l == nil {
		return "NO_ACCESS_CONTROL"
	}
	var b strings.Builder
	for _, e := range l.Entries {
		fmt.Fprintf(&b, "(%s;%s;%#x;;;%s)", e.Type, flagString(e.Flags), uint32(e.Mask), e.SID)
	}
	return b.String()
}

// String returns SDDL's letters.
func (t ACEType) String() string {
	switch t {
	case Allow:
		return "A"
	case Deny:
		return "D"
	case Audit:
		return "AU"
	case Label:
		return "ML"
	}
	return fmt.Sprintf("%#x", uint8(t))
}

func flagString(flags uint8) (s string) {
	for i, name := range []string{"OI", "CI", "NP", "IO", "ID"} {
		if flags>>i&1 != 0 {
			s += name
		}
	}
	return s
}
