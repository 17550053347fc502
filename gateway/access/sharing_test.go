package access_test

import (
	"testing"

	"causeway"
	"causeway/gateway"
)

// TestNamesUnderOpens: what SMB clients have open, through whatever gateway, keeps its name as their share modes say.
func TestNamesUnderOpens(t *testing.T) {
	h, one, two := newHouse(t), smb("one"), smb("two")
	two.Gateway = "another"
	mkdir := func(dir causeway.Handle, name string) causeway.Handle {
		e, _, err := h.e.Create(t.Context(), nfs(), dir, name, &gateway.CreateSpec{Type: causeway.TypeDirectory, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o777}})
		want(t, err, causeway.OK)
		return e.Handle
	}
	top := mkdir(h.root, "top")
	deep := mkdir(top, "deep")
	mkdir(h.root, "beside")

	// Something deep below is open.
	o, err := h.e.Open(t.Context(), two, deep, spec("f", gateway.CreateNew, rw, causeway.ShareAll))
	want(t, err, causeway.OK)
	_, _, err = h.e.Rename(t.Context(), one, h.root, "top", h.root, "new")
	want(t, err, causeway.ErrAccess)
	_, _, err = h.e.Rename(t.Context(), one, h.root, "beside", h.root, "elsewhere")
	want(t, err, causeway.OK)
	_, err = h.e.Remove(t.Context(), one, deep, "f", gateway.RemoveFile)
	want(t, err, causeway.ErrAccess)
	_, err = h.e.Close(t.Context(), two, o.Handle, o.ID)
	want(t, err, causeway.OK)
	_, _, err = h.e.Rename(t.Context(), one, h.root, "top", h.root, "new")
	want(t, err, causeway.OK)

	// The directory that the name would come to is open, and not to be changed.
	o = h.open(two, spec("new", gateway.OpenExisting, causeway.FileReadData, causeway.ShareRead))
	_, _, err = h.e.Rename(t.Context(), one, h.root, "elsewhere", top, "in")
	want(t, err, causeway.ErrSharing)
	_, err = h.e.Close(t.Context(), two, o.Handle, o.ID)
	want(t, err, causeway.OK)

	// Who opens nothing is bound too, where the volume says so: it does here.
	for _, share := range []causeway.Sharing{causeway.ShareRead | causeway.ShareWrite, causeway.ShareAll} {
		code := causeway.ErrSharing
		if share == causeway.ShareAll {
			code = causeway.OK
		}
		o = h.open(one, spec("kept", gateway.OpenOrCreate, rw, share))
		h.open(smb("three"), spec("other", gateway.OpenOrCreate, rw, causeway.ShareAll))
		_, _, err = h.e.Rename(t.Context(), nfs(), h.root, "other", h.root, "kept")
		want(t, err, code)
		if share != causeway.ShareAll {
			_, _, err = h.e.Rename(t.Context(), nfs(), h.root, "kept", h.root, "gone")
			want(t, err, code)
		}
		_, err = h.e.Remove(t.Context(), nfs(), h.root, "kept", gateway.RemoveFile)
		want(t, err, code)
		_, err = h.e.Close(t.Context(), one, o.Handle, o.ID)
		want(t, err, causeway.OK)
	}
}
