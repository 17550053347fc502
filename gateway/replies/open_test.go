package replies

import (
	"context"
	"testing"

	"causeway"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
)

// owner is a gateway that administers a volume.
func owner(t *testing.T, s *mem.Store) (*world, gateway.Stateful) {
	t.Helper()
	e := access.New(access.Config{})
	e.Attach(&causeway.Volume{ID: volume, Name: "v"}, s)
	w := newWorld(t, e)
	return w, w.Stateful(e)
}

// TestOpenAgain: an open of a new name that is asked for again has what it made the first time, at the same owner or the next one; another
// one does not, nor one whose name is another object's by now.
func TestOpenAgain(t *testing.T) {
	ctx, store := context.Background(), mem.New(mem.Config{Mode: 0o777})
	first, opener := owner(t, store)
	open := func(s gateway.Stateful, op byte, name string) (gateway.Opened, error) {
		c := caller(op)
		c.Owner = causeway.Owner{Kind: causeway.OwnerSMB, Client: "c"}
		return s.Open(ctx, c, first.root, &gateway.OpenSpec{
			Name: name, Disposition: gateway.CreateNew, Access: causeway.FileReadData | causeway.FileWriteData, Share: causeway.ShareAll,
			Create: gateway.CreateSpec{Type: causeway.TypeRegular, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o644}},
		})
	}
	made, err := open(opener, 1, "a")
	if err != nil || made.Action != gateway.DidCreate {
		t.Fatalf("%+v, %v", made, err)
	}
	if again, err := open(opener, 1, "a"); err != nil || again.ID != made.ID || again.Action != gateway.DidCreate {
		t.Errorf("at the same owner: %+v, %v", again, err)
	}
	if _, err := open(opener, 2, "a"); err != causeway.ErrExist {
		t.Error("another call:", err)
	}
	for op, name := range map[byte]string{3: "b", 4: "c"} {
		if _, err := open(opener, op, name); err != nil {
			t.Fatal(err)
		}
	}
	next, opener := owner(t, store)
	if err := next.Restore(volume, first.copied); err != nil {
		t.Fatal(err)
	}
	if again, err := open(opener, 1, "a"); err != nil || again.Handle != made.Handle || again.Action != gateway.DidCreate {
		t.Errorf("at the next owner: %+v, %v", again, err)
	}
	if _, err := next.Remove(ctx, caller(0), next.root, "b", gateway.RemoveFile); err != nil {
		t.Fatal(err)
	}
	if _, err := open(opener, 3, "b"); err != causeway.ErrNoEnt {
		t.Error("what was removed since:", err)
	}
	if _, _, err := next.Rename(ctx, caller(0), next.root, "a", next.root, "c"); err != nil {
		t.Fatal(err)
	}
	if _, err := open(opener, 4, "c"); err != causeway.ErrExist {
		t.Error("what was replaced since:", err)
	}
	if list, err := opener.Opens(ctx, volume); err != nil || len(list) != 1 {
		t.Errorf("left open: %+v, %v", list, err)
	}
}

// TestXattrAgain: attributes are set and removed once for each call.
func TestXattrAgain(t *testing.T) {
	ctx := context.Background()
	w, s := owner(t, mem.New(mem.Config{Mode: 0o777}))
	f, _, err := w.create(t, 0, "f")
	if err != nil {
		t.Fatal(err)
	}
	set := func(op byte, value string) error {
		_, err := s.SetXattr(ctx, caller(op), f.Handle, "user.a", []byte(value), causeway.XattrEither)
		return err
	}
	remove := func(op byte) error { _, err := s.RemoveXattr(ctx, caller(op), f.Handle, "user.a"); return err }
	for i, err := range []error{set(1, "1"), set(2, "2"), set(1, "1")} { // the third repeats the first
		if err != nil {
			t.Error(i, err)
		}
	}
	if v, err := s.Xattr(ctx, caller(0), f.Handle, "user.a"); err != nil || string(v) != "2" {
		t.Errorf("%q, %v", v, err)
	}
	if err := remove(3); err != nil {
		t.Error(err)
	}
	if err := remove(3); err != nil {
		t.Error("removed again:", err)
	}
	if err := remove(4); err != causeway.ErrNoEnt {
		t.Error("removed by another call:", err)
	}
}
