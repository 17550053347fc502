package mem

import (
	"slices"

	"causeway"
)

// maxACL bounds the entries of a list, as Linux file systems do.
const maxACL = 1024

// checkACL refuses a list that POSIX calls invalid: the three entries of the mode exactly once, at most one mask, and one
// if there are named entries; nil is no list.
func checkACL(l *causeway.ACL) error {
	if l == nil {
		return nil
	}
	var count [causeway.ACLOther + 1]int
	for _, e := range l.Entries {
		if e.Tag < causeway.ACLUserObj || e.Tag > causeway.ACLOther || e.Perm > 7 {
			return causeway.ErrInval
		}
		count[e.Tag]++
	}
	named := count[causeway.ACLUser] + count[causeway.ACLGroup]
	if count[causeway.ACLUserObj] != 1 || count[causeway.ACLGroupObj] != 1 || count[causeway.ACLOther] != 1 ||
		count[causeway.ACLMask] > 1 || named > 0 && count[causeway.ACLMask] == 0 {
		return causeway.ErrInval
	}
	if len(l.Entries) > maxACL {
		return causeway.ErrNoSpc
	}
	return nil
}

func cloneACL(l *causeway.ACL) *causeway.ACL {
	if l == nil {
		return nil
	}
	return &causeway.ACL{Entries: slices.Clone(l.Entries)}
}

// withMode returns a copy of l whose owner, group class and other entries are those of mode; the group class is the mask if
// there is one (POSIX 1003.1e draft 17, §23.1.3).
func withMode(l *causeway.ACL, mode uint32) *causeway.ACL {
	l = cloneACL(l)
	masked := slices.ContainsFunc(l.Entries, func(e causeway.ACLEntry) bool { return e.Tag == causeway.ACLMask })
	for i := range l.Entries {
		e := &l.Entries[i]
		switch {
		case e.Tag == causeway.ACLUserObj:
			e.Perm = causeway.Rights(mode >> 6 & 7)
		case e.Tag == causeway.ACLMask || e.Tag == causeway.ACLGroupObj && !masked:
			e.Perm = causeway.Rights(mode >> 3 & 7)
		case e.Tag == causeway.ACLOther:
			e.Perm = causeway.Rights(mode & 7)
		}
	}
	return l
}

// permOf returns the permission bits that stand for l in a mode.
func permOf(l *causeway.ACL) (mode uint32) {
	var group, mask uint32
	masked := false
	for _, e := range l.Entries {
		switch e.Tag {
		case causeway.ACLUserObj:
			mode |= uint32(e.Perm) << 6
		case causeway.ACLGroupObj:
			group = uint32(e.Perm)
		case causeway.ACLMask:
			mask, masked = uint32(e.Perm), true
		case causeway.ACLOther:
			mode |= uint32(e.Perm)
		}
	}
	if masked {
		group = mask
	}
	return mode | group<<3
}

// setMode changes the mode and the entries of the ACL that stand for it.
func (n *node) setMode(mode uint32) {
	n.attr.Mode = mode
	if n.attr.ACL != nil {
		n.attr.ACL = withMode(n.attr.ACL, mode)
	}
}

// setACL gives n an access ACL and the permission bits that go with it. One that says no more than a mode is kept as that.
func (n *node) setACL(l *causeway.ACL) {
	if l == nil {
		n.attr.ACL = nil
		return
	}
	n.attr.Mode = n.attr.Mode&^causeway.ModePerm | permOf(l)
	n.attr.ACL = nil
	if len(l.Entries) > 3 {
		n.attr.ACL = cloneACL(l)
	}
}

// inherit gives a new object what the default ACL of its directory says, limited by the mode that it was created with.
func (n *node) inherit(d *node) {
	if d.defaultACL == nil || n.attr.Type == causeway.TypeSymlink {
		return
	}
	n.attr.Mode = n.attr.Mode&^causeway.ModePerm | n.attr.Mode&permOf(d.defaultACL)
	if len(d.defaultACL.Entries) > 3 {
		n.attr.ACL = withMode(d.defaultACL, n.attr.Mode)
	}
	if n.dir != nil {
		n.defaultACL = d.defaultACL
	}
}
