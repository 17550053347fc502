package backendtest

import (
	"bytes"
	"slices"

	"causeway"
	"causeway/backend"
)

var xattrTests = []test{{"Xattrs", testXattrs}}

// testXattrs is for stores that keep extended attributes, where the file system below does.
func testXattrs(v *volume) {
	x, can := v.s.(backend.Xattrs)
	if !can {
		v.Skip("no extended attributes")
	}
	for name, id := range map[string]causeway.ObjectID{"file": v.file(v.root, "f"), "directory": v.mkdir(v.root, "d")} {
		if err := x.SetXattr(v.ctx, id, "user.one", []byte("1"), causeway.XattrReplace); causeway.CodeOf(err) == causeway.ErrNotSupp {
			v.Skip("the file system keeps none")
		} else if causeway.CodeOf(err) != causeway.ErrNoEnt {
			v.Errorf("%s: replacing what is not there: %v", name, err)
		}
		if _, err := x.Xattr(v.ctx, id, "user.one"); causeway.CodeOf(err) != causeway.ErrNoEnt {
			v.Errorf("%s: %v", name, err)
		}
		long := bytes.Repeat([]byte("long"), 200)
		v.ok(x.SetXattr(v.ctx, id, "user.one", []byte("1"), causeway.XattrCreate))
		v.ok(x.SetXattr(v.ctx, id, "user.long", long, causeway.XattrEither))
		v.ok(x.SetXattr(v.ctx, id, "user.empty", nil, causeway.XattrEither))
		if err := x.SetXattr(v.ctx, id, "user.one", nil, causeway.XattrCreate); causeway.CodeOf(err) != causeway.ErrExist {
			v.Errorf("%s: making what is there: %v", name, err)
		}
		v.ok(x.SetXattr(v.ctx, id, "user.one", []byte("first"), causeway.XattrReplace))
		for key, want := range map[string][]byte{"user.one": []byte("first"), "user.long": long, "user.empty": nil} {
			if got, err := x.Xattr(v.ctx, id, key); err != nil || !bytes.Equal(got, want) {
				v.Errorf("%s: %s is %.20q, %v", name, key, got, err)
			}
		}
		v.ok(x.RemoveXattr(v.ctx, id, "user.long"))
		if err := x.RemoveXattr(v.ctx, id, "user.long"); causeway.CodeOf(err) != causeway.ErrNoEnt {
			v.Errorf("%s: removed twice: %v", name, err)
		}
		names, err := x.ListXattrs(v.ctx, id)
		slices.Sort(names)
		if err != nil || !slices.Equal(names, []string{"user.empty", "user.one"}) {
			v.Errorf("%s: %v, %v", name, names, err)
		}
	}
}
