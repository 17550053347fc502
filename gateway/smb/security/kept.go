package security

import (
	"slices"

	"causeway"
)

// Keep returns what an object has after the parts of change were set on old, as it is kept: generic rights became those that they stand
// for, and of the marks of inheritance those stay which mean something later ([MS-DTYP] 2.5.3.4).
func Keep(old, change *Descriptor, parts uint32) *Descriptor {
	d := *old
	d.SACL, d.Control = nil, d.Control&(ControlDACLPresent|ControlInherited|ControlDACLProtected)|ControlSelfRelative
	if parts&PartOwner != 0 {
		d.Owner = change.Owner
	}
	if parts&PartGroup != 0 {
		d.Group = change.Group
	}
	if parts&PartDACL == 0 {
		return &d
	}
	const both = ControlInheritAsked | ControlInherited
	d.DACL, d.Control = nil, ControlSelfRelative|ControlDACLPresent|change.Control&ControlDACLProtected
	if change.Control&both == both {
		d.Control |= ControlInherited
	}
	if change.DACL != nil {
		d.DACL = &ACL{Entries: make([]ACE, len(change.DACL.Entries))}
		for i, e := range change.DACL.Entries {
			e.Mask = e.Mask.Specific()
			d.DACL.Entries[i] = e
		}
	}
	return &d
}

// Inherit returns the descriptor of a new object in a directory with one, nil if the directory hands nothing down: then the mode of the
// new object says all. uid and gid are its owner and group.
func Inherit(parent *Descriptor, uid, gid uint32, dir bool) *Descriptor {
	if parent.DACL == nil || parent.Control&ControlDACLPresent == 0 {
		return nil
	}
	d := &Descriptor{Control: ControlSelfRelative | ControlDACLPresent, Owner: UserSID(uid), Group: GroupSID(gid), DACL: &ACL{}}
	mark := uint8(0)
	if parent.Control&ControlInherited != 0 {
		mark, d.Control = Inherited, d.Control|ControlInherited
	}
	for _, e := range parent.DACL.Entries {
		e.Mask = e.Mask.Specific()
		d.DACL.Entries = appendInherited(d.DACL.Entries, e, mark, UserSID(uid), GroupSID(gid), dir)
	}
	if len(d.DACL.Entries) == 0 {
		return nil
	}
	return d
}

// appendInherited appends what an entry of a directory becomes in something new below it. What is meant for a creator becomes an entry
// for him, and in a directory stays one for whoever creates there.
func appendInherited(list []ACE, e ACE, mark uint8, owner, group SID, dir bool) []ACE {
	const both = ObjectInherit | ContainerInherit
	counts := e.Flags&ContainerInherit != 0
	if !dir {
		counts = e.Flags&ObjectInherit != 0
	}
	further := uint8(0)
	if dir && e.Flags&NoPropagate == 0 {
		further = e.Flags & both
	}
	if !counts && further == 0 {
		return list
	}
	own := e.SID
	switch e.SID {
	case CreatorOwner:
		own = owner
	case CreatorGroup:
		own = group
	}
	switch {
	case !counts:
		return append(list, ACE{e.Type, further | InheritOnly | mark, e.Mask, e.SID})
	case own == e.SID:
		return append(list, ACE{e.Type, further | mark, e.Mask, e.SID})
	}
	list = append(list, ACE{e.Type, mark, e.Mask, own})
	if further != 0 {
		list = append(list, ACE{e.Type, further | InheritOnly | mark, e.Mask, e.SID})
	}
	return list
}

// HasMode reports whether a list says a mode, as cifs.ko writes it with the option modefromsid.
func (d *Descriptor) HasMode() bool {
	return d.DACL != nil && slices.ContainsFunc(d.DACL.Entries, func(e ACE) bool { return PrincipalOf(e.SID).Kind == Mode })
}

// Project is Change for a descriptor that is kept as it is: entries for those whom nobody knows here count for nobody, and owners
// whom nobody knows are shown and own nothing. What may be used of a directory may be searched, as on Windows, where nobody is kept from
// passing through.
func Project(d *Descriptor, parts uint32, a *causeway.Attr) (causeway.SetAttr, error) {
	if parts&PartOwner != 0 && PrincipalOf(d.Owner).Kind != User {
		parts &^= PartOwner
	}
	if parts&PartGroup != 0 && PrincipalOf(d.Group).Kind != Group {
		parts &^= PartGroup
	}
	known := *d
	if d.DACL != nil {
		known.DACL = &ACL{}
		for _, e := range d.DACL.Entries {
			if PrincipalOf(e.SID).Kind == Unknown {
				continue
			}
			const uses = ReadData | WriteData | AppendData
			if a.Type == causeway.TypeDirectory && e.Type == Allow && e.Mask.Specific()&uses != 0 {
				e.Mask = e.Mask.Specific() | Execute
			}
			known.DACL.Entries = append(known.DACL.Entries, e)
		}
	}
	return Change(&known, parts, a)
}
