package posix

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"causeway"
)

// The extended attributes of Linux's POSIX ACLs (linux/posix_acl_xattr.h): a version of 4 bytes, then entries of tag (2),
// permissions (2) and id (4), little endian.
const (
	aclVersion  = 2
	aclHeader   = 4
	aclEntry    = 8
	aclMaxBytes = aclHeader + 1024*aclEntry
)

// settle is how old a ctime must be before what was read under it is believed: file times tick every 4 ms or so, and a second
// change in the same tick would look like none.
const settle = int64(20 * time.Millisecond)

var aclTags = map[uint16]causeway.ACLTag{
	0x01: causeway.ACLUserObj, 0x02: causeway.ACLUser, 0x04: causeway.ACLGroupObj, 0x08: causeway.ACLGroup, 0x10: causeway.ACLMask, 0x20: causeway.ACLOther,
}

// aclCache is an access ACL and the ctime under which it was read (0: nothing is known). Readers take no lock: they believe
// the ACL if the same ctime stands before and after.
type aclCache struct {
	mu    sync.Mutex
	stamp atomic.Uint64
	acl   atomic.Pointer[causeway.ACL]
}

// ACL implements backend.Tree.
func (s *Store) ACL(ctx context.Context, id causeway.ObjectID) (*causeway.ACL, error) {
	var attr causeway.Attr
	if ino, ok := s.identity.inoOf(id); ok && s.memory.attr(ino, &id, &attr) && !attr.Extended {
		return attr.ACL, nil
	}
	n, err := s.get(ctx, &id)
	if err != nil {
		return nil, err
	}
	defer n.unpin()
	if n.typ == causeway.TypeSymlink || s.noACL.Load() {
		return nil, nil
	}
	t := s.memory.now()
	var st unix.Stat_t
	if e := fstat(n.fd, &st); e != 0 {
		return nil, fail("stat", e)
	}
	acl, e := s.accessACL(n, &st)
	if e != 0 {
		return nil, fail("read ACL", e)
	}
	if s.memory != nil {
		s.fillAll(n, &st, &attr)
		attr.ACL, attr.Extended = acl, false
		s.memory.publish(t, &n.id, &attr)
	}
	return acl, nil
}

// accessACL returns the ACL beyond the mode bits of a node with these attributes, from memory if the ctime tells that it has
// not changed.
func (s *Store) accessACL(n *node, st *unix.Stat_t) (*causeway.ACL, unix.Errno) {
	now := stamp(st)
	if n.acl.stamp.Load() == now {
		acl := n.acl.acl.Load()
		if n.acl.stamp.Load() == now {
			return acl, 0
		}
	}
	settled := s.now().UnixNano()-int64(now) > settle
	acl, e := readACL(n, xattrAccess)
	if e == unix.EOPNOTSUPP {
		if n.typ == causeway.TypeRegular || n.typ == causeway.TypeDirectory { // of others it tells nothing of the file system
			s.noACL.Store(true)
		}
		return nil, 0
	}
	if e != 0 { // rights must not be decided without it
		return nil, e
	}
	n.acl.mu.Lock()
	n.acl.stamp.Store(0)
	n.acl.acl.Store(acl)
	if settled {
		n.acl.stamp.Store(now)
	}
	n.acl.mu.Unlock()
	return acl, 0
}

// readACL reads an ACL; nil if there is none or it says no more than mode bits do.
func readACL(n *node, name *xattrName) (*causeway.ACL, unix.Errno) {
	var small [256]byte
	size, e := getxattr(n, name, small[:])
	if e == 0 {
		return parseACL(small[:size]), 0
	}
	if e == unix.ENODATA {
		return nil, 0
	}
	if e != unix.ERANGE {
		return nil, e
	}
	buf := make([]byte, aclMaxBytes)
	if size, e = getxattr(n, name, buf); e != 0 {
		return nil, e
	}
	return parseACL(buf[:size]), 0
}

// parseACL decodes the attribute; nil for what is malformed or minimal (user, group, other: the mode bits say it).
func parseACL(b []byte) *causeway.ACL {
	if len(b) < aclHeader || binary.LittleEndian.Uint32(b) != aclVersion || (len(b)-aclHeader)%aclEntry != 0 {
		return nil
	}
	entries := make([]causeway.ACLEntry, 0, (len(b)-aclHeader)/aclEntry)
	for b = b[aclHeader:]; len(b) > 0; b = b[aclEntry:] {
		tag, ok := aclTags[binary.LittleEndian.Uint16(b)]
		if !ok {
			return nil
		}
		entry := causeway.ACLEntry{Tag: tag, Perm: causeway.Rights(binary.LittleEndian.Uint16(b[2:]) & 7)}
		if tag == causeway.ACLUser || tag == causeway.ACLGroup {
			entry.ID = binary.LittleEndian.Uint32(b[4:])
		}
		entries = append(entries, entry)
	}
	if len(entries) <= 3 {
		return nil
	}
	slices.SortStableFunc(entries, func(a, b causeway.ACLEntry) int {
		return cmp.Or(cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.ID, b.ID))
	})
	return &causeway.ACL{Entries: entries}
}

// formatACL encodes an ACL.
func formatACL(acl *causeway.ACL) []byte {
	b := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, entry := range acl.Entries {
		for wire, tag := range aclTags {
			if tag == entry.Tag {
				b = binary.LittleEndian.AppendUint16(b, wire)
			}
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(entry.Perm))
		id := entry.ID
		if entry.Tag != causeway.ACLUser && entry.Tag != causeway.ACLGroup {
			id = ^uint32(0)
		}
		b = binary.LittleEndian.AppendUint32(b, id)
	}
	return b
}

// setACL sets or, with nil, removes an ACL.
func (s *Store) setACL(n *node, name *xattrName, acl *causeway.ACL) unix.Errno {
	path := new(procPath).set(n.fd).String()
	if acl == nil {
		e := retry(func() error { return unix.Removexattr(path, name.String()) })
		if e == unix.ENODATA || e == unix.EOPNOTSUPP {
			return 0
		}
		return e
	}
	value := formatACL(acl)
	return retry(func() error { return unix.Setxattr(path, name.String(), value, 0) })
}
