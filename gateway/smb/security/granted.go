package security

import "causeway"

// Granted returns the rights that a descriptor, in its binary form, gives a caller on an object with these attributes; false if it
// cannot be read. It is Windows' access check ([MS-DTYP] 2.5.3.2): of the entries for the caller, his groups and everyone, in their
// order, the first that speaks of a right decides it. An owner may read and change the list besides, unless it speaks of the rights of
// owners. Without a list everyone may do everything.
func Granted(descriptor []byte, cred *causeway.Cred, a *causeway.Attr) (causeway.AccessMask, bool) {
	d, err := DecodeDescriptor(descriptor)
	if err != nil {
		return 0, false
	}
	return causeway.AccessMask(d.granted(cred, a)), true
}

func (d *Descriptor) granted(cred *causeway.Cred, a *causeway.Attr) Mask {
	all := FileAll
	if a.Type == causeway.TypeRegular && a.Mode&0o222 == 0 {
		all &^= WriteData | AppendData // it is read-only, or the list lets nobody write either
	}
	if cred.UID == 0 || d.Control&ControlDACLPresent == 0 || d.DACL == nil {
		return all
	}
	owner, limited := cred.UID == a.UID, false
	var decided, got Mask
	for _, e := range d.DACL.Entries {
		if e.Flags&InheritOnly != 0 || e.Type > Deny {
			continue
		}
		p := PrincipalOf(e.SID)
		limited = limited || p.Kind == Owner
		if !p.is(cred, a) {
			continue
		}
		m := e.Mask.Specific() & all
		if e.Type == Allow {
			got |= m &^ decided
		}
		decided |= m
	}
	if owner && !limited {
		got |= ReadControl | WriteDAC
	}
	return got
}

// Combined is Maximal for an object and a directory that may have descriptors, which decide where they are there. To delete is a right on
// either; who may list the directory may see the attributes of what is in it.
func Combined(cred *causeway.Cred, a, parent *causeway.Attr, kept, above *Descriptor) Mask {
	if cred.UID == 0 {
		return Maximal(cred, a, parent)
	}
	m := Maximal(cred, a, nil)
	if kept != nil {
		m = kept.granted(cred, a)
	}
	if parent == nil {
		return m
	}
	deletes, lists := mayDelete(cred, a, parent), causeway.Permit(cred, parent, causeway.MayRead) != 0
	if above != nil {
		got := above.granted(cred, parent)
		deletes, lists = got&DeleteChild != 0, got&ReadData != 0
	}
	if deletes {
		m |= Delete
	}
	if lists {
		m |= ReadAttributes
	}
	return m
}

// is reports whether an entry for p is one for the caller.
func (p Principal) is(cred *causeway.Cred, a *causeway.Attr) bool {
	switch p.Kind {
	case User:
		return p.ID == cred.UID
	case Group:
		return cred.InGroup(p.ID)
	case World:
		return true
	case Owner:
		return cred.UID == a.UID
	}
	return false
}
