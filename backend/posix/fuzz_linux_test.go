package posix

import (
	"bytes"
	"cmp"
	"slices"
	"testing"

	"causeway"
)

// FuzzACL feeds the decoder of ACLs: what it takes must come through an encoding unchanged.
func FuzzACL(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte{2, 0, 0, 0})
	f.Add(formatACL(&causeway.ACL{Entries: []causeway.ACLEntry{
		{Tag: causeway.ACLUserObj, Perm: 7}, {Tag: causeway.ACLUser, Perm: 5, ID: 1000}, {Tag: causeway.ACLGroupObj, Perm: 4},
		{Tag: causeway.ACLMask, Perm: 5}, {Tag: causeway.ACLOther},
	}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		acl := parseACL(b)
		if acl == nil {
			return
		}
		if len(acl.Entries) <= 3 || len(acl.Entries) > len(b)/aclEntry {
			t.Fatalf("%d entries in %d bytes", len(acl.Entries), len(b))
		}
		if !slices.IsSortedFunc(acl.Entries, func(a, b causeway.ACLEntry) int { return cmp.Or(cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.ID, b.ID)) }) {
			t.Fatalf("not sorted: %+v", acl.Entries)
		}
		again := parseACL(formatACL(acl))
		if again == nil || !slices.Equal(again.Entries, acl.Entries) {
			t.Fatalf("%+v came back as %+v", acl, again)
		}
	})
}

// FuzzPlaces feeds the decoder of the index: what it takes must come through an encoding unchanged, and be a part of the input.
func FuzzPlaces(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(formatPlaces([]place{{2, "a"}, {1 << 60, "a longer name"}}))
	f.Add(append(formatPlaces([]place{{2, "a"}}), 1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		places := parsePlaces(b)
		if len(places) > maxNames {
			t.Fatalf("%d places", len(places))
		}
		encoded := formatPlaces(places)
		if !bytes.HasPrefix(b, encoded) {
			t.Fatalf("%q is not what %q begins with", encoded, b)
		}
		if again := parsePlaces(encoded); !slices.Equal(again, places) {
			t.Fatalf("%+v came back as %+v", places, again)
		}
	})
}
