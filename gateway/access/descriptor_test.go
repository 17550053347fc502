package access_test

import (
	"bytes"
	"testing"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
)

// readers is what the descriptors of this test say: each byte is a right of the object rights, whoever asks.
func readers(d []byte, _ *causeway.Cred, _ *causeway.Attr) (may causeway.AccessMask, ok bool) {
	for _, b := range d {
		may |= 1 << b
	}
	return may, len(d) > 0
}

// TestDescriptorDecides: over SMB a kept descriptor says what an open may do, over NFS the mode does; and it counts no more when owner, mode
// or list were changed.
func TestDescriptorDecides(t *testing.T) {
	store := mem.New(mem.Config{Mode: 0o777})
	e := access.New(access.Config{Granted: readers})
	e.Attach(&causeway.Volume{ID: 7, Name: "v", Keys: []causeway.HandleKey{{ID: 1, Secret: [16]byte{1}}}}, store)
	root, err := e.Root(t.Context(), nfs(), 7)
	if err != nil {
		t.Fatal(err)
	}
	windows := smb("c")
	made, err := e.Open(t.Context(), windows, root.Handle, spec("f", gateway.CreateNew, rw, causeway.ShareAll))
	if err != nil {
		t.Fatal(err)
	}
	h := made.Handle
	keep := func() {
		t.Helper()
		if _, err := e.SetXattr(t.Context(), windows, h, causeway.DescriptorXattr, []byte{0, 7}, causeway.XattrEither); err != nil {
			t.Fatal(err)
		}
		if b, err := e.Xattr(t.Context(), windows, h, causeway.DescriptorXattr); err != nil || !bytes.Equal(b, []byte{0, 7}) {
			t.Fatal(b, err)
		}
	}
	may := func(a causeway.AccessMask) error {
		opened, err := e.Open(t.Context(), windows, root.Handle, spec("f", gateway.OpenExisting, a, causeway.ShareAll))
		if err == nil {
			e.Close(t.Context(), windows, h, opened.ID)
		}
		return err
	}
	keep()
	if err := may(causeway.FileReadData); err != nil {
		t.Error("what it gives:", err)
	}
	if err := may(causeway.FileWriteData); causeway.CodeOf(err) != causeway.ErrAccess {
		t.Error("what it does not give:", err)
	}
	if got, _, err := e.Access(t.Context(), nfs(), h, causeway.MayWrite); got == 0 || err != nil {
		t.Error("NFS is held to it:", got, err)
	}
	if names, err := e.ListXattrs(t.Context(), nfs(), h); err != nil || len(names) != 0 {
		t.Error("it is shown:", names, err)
	}
	for name, change := range map[string]*causeway.SetAttr{
		"mode": {Mask: causeway.SetMode, Mode: 0o600},
		"list": {Mask: causeway.SetMode | causeway.SetACL, Mode: 0o660, ACL: &causeway.ACL{Entries: []causeway.ACLEntry{
			{Tag: causeway.ACLUserObj, Perm: 6}, {Tag: causeway.ACLUser, ID: 5, Perm: 4}, {Tag: causeway.ACLGroupObj, Perm: 4}, {Tag: causeway.ACLMask, Perm: 6}, {Tag: causeway.ACLOther}}}},
		"the same mask": {Mask: causeway.SetACL, ACL: &causeway.ACL{Entries: []causeway.ACLEntry{
			{Tag: causeway.ACLUserObj, Perm: 6}, {Tag: causeway.ACLUser, ID: 6, Perm: 4}, {Tag: causeway.ACLGroupObj, Perm: 4}, {Tag: causeway.ACLMask, Perm: 6}, {Tag: causeway.ACLOther}}}},
	} {
		keep()
		if _, err := e.SetAttr(t.Context(), nfs(), h, change, nil); err != nil {
			t.Fatal(name, err)
		}
		if _, err := e.Xattr(t.Context(), windows, h, causeway.DescriptorXattr); causeway.CodeOf(err) != causeway.ErrNoEnt {
			t.Error("it counts after a change of", name, err)
		}
		if err := may(causeway.FileWriteData); err != nil {
			t.Error("the mode does not count after a change of", name, err)
		}
	}
	keep()
	forge(t, store, h.Object)
	if _, err := e.Xattr(t.Context(), windows, h, causeway.DescriptorXattr); causeway.CodeOf(err) != causeway.ErrNoEnt {
		t.Error("it counts after it was changed beside the gateways:", err)
	}
}

// forge changes the last byte of a kept descriptor.
func forge(t *testing.T, x backend.Xattrs, id causeway.ObjectID) {
	b, err := x.Xattr(t.Context(), id, causeway.DescriptorXattr)
	if err == nil {
		b = bytes.Clone(b)
		b[len(b)-1] = 1
		err = x.SetXattr(t.Context(), id, causeway.DescriptorXattr, b, causeway.XattrEither)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDescriptorOfDirectory: what may be made, deleted and seen in a directory is what its descriptor says.
func TestDescriptorOfDirectory(t *testing.T) {
	e := access.New(access.Config{Granted: readers})
	e.Attach(&causeway.Volume{ID: 7, Name: "v"}, mem.New(mem.Config{Mode: 0o777}))
	root, err := e.Root(t.Context(), nfs(), 7)
	if err != nil {
		t.Fatal(err)
	}
	windows := smb("c")
	dir, _, err := e.Create(t.Context(), windows, root.Handle, "d", &gateway.CreateSpec{Type: causeway.TypeDirectory, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o755}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = e.Create(t.Context(), windows, dir.Handle, "f", &gateway.CreateSpec{Type: causeway.TypeRegular, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o644}}); err != nil {
		t.Fatal(err)
	}
	const list, files, directories, children = 0, 1, 2, 6
	for _, c := range []struct {
		kept                  []byte
		file, directory, gone bool
	}{
		{[]byte{list}, false, false, false},
		{[]byte{list, files}, true, false, false},
		{[]byte{list, directories}, false, true, false},
		{[]byte{children}, false, false, true},
	} {
		if _, err := e.SetXattr(t.Context(), windows, dir.Handle, causeway.DescriptorXattr, c.kept, causeway.XattrEither); err != nil {
			t.Fatal(err)
		}
		for what, try := range map[string]struct {
			spec *gateway.OpenSpec
			want bool
		}{
			"file":      {spec("new", gateway.CreateNew, rw, causeway.ShareAll), c.file},
			"directory": {spec("sub", gateway.CreateNew, causeway.FileReadData, causeway.ShareAll), c.directory},
			"deletion":  {spec("f", gateway.OpenExisting, causeway.Delete, causeway.ShareAll), c.gone},
		} {
			if what == "directory" {
				try.spec.Create.Type, try.spec.OnlyDir = causeway.TypeDirectory, true
			}
			opened, err := e.Open(t.Context(), windows, dir.Handle, try.spec)
			if (err == nil) != try.want || err != nil && causeway.CodeOf(err) != causeway.ErrAccess {
				t.Errorf("%v: %s: %v", c.kept, what, err)
			}
			if err == nil {
				e.Close(t.Context(), windows, opened.Handle, opened.ID)
				if what != "deletion" {
					kind := gateway.RemoveFile
					if what == "directory" {
						kind = gateway.RemoveDir
					}
					if _, err := e.Remove(t.Context(), nfs(), dir.Handle, try.spec.Name, kind); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}
