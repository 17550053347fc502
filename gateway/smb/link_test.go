package smb

import (
	"context"
	"slices"
	"testing"

	"causeway"
	"causeway/backend"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// linkless is a store that refuses further names, or to give one a file already has to another one.
type linkless struct {
	backend.Store
	link, rename error
}

func (s *linkless) Link(ctx context.Context, id, dir causeway.ObjectID, name string) error {
	if s.link != nil {
		return s.link
	}
	return s.Store.Link(ctx, id, dir, name)
}

func (s *linkless) Rename(ctx context.Context, from causeway.ObjectID, name string, to causeway.ObjectID, newName string) error {
	if s.rename != nil {
		return s.rename
	}
	return s.Store.Rename(ctx, from, name, to, newName)
}

// linkBody asks for a further name, which may be another file's (FileLinkInformation).
func linkBody(id wire.FileID, name string) []byte {
	b := renameBody(id, name)
	b[3] = 11
	b[32] = 1 // ReplaceIfExists
	return b
}

// TestLinkReplaces: a link takes the place of what has its name, or leaves it where it is; nothing else is left behind.
func TestLinkReplaces(t *testing.T) {
	for name, c := range map[string]struct {
		link, rename error
		want         ntstatus.Status
	}{
		"done": {}, "no further name": {link: causeway.ErrMLink, want: statusOf(causeway.ErrMLink)}, "not replaced": {rename: causeway.ErrIO, want: statusOf(causeway.ErrIO)},
	} {
		t.Run(name, func(t *testing.T) {
			s := &linkless{Store: mem.New(mem.Config{Mode: 0o777})}
			r := newRigOn(t, s, false)
			defer r.close()
			ctx, root := t.Context(), r.ses.trees[1].root.Handle
			old, _, err := r.srv.cfg.Access.Create(ctx, &gateway.Caller{}, root, "taken", &gateway.CreateSpec{Type: causeway.TypeRegular})
			if err != nil {
				t.Fatal(err)
			}
			id := r.openFile(t)
			s.link, s.rename = c.link, c.rename
			r.send(t, r.request(wire.SetInfo, 0, linkBody(id, "taken")))
			if _, h := r.final(t); h.Status != c.want {
				t.Errorf("%v instead of %v", h.Status, c.want)
			}
			file, _, err := r.srv.cfg.Access.Lookup(ctx, &gateway.Caller{}, root, "f")
			if err != nil {
				t.Fatal(err)
			}
			now, _, err := r.srv.cfg.Access.Lookup(ctx, &gateway.Caller{}, root, "taken")
			if err != nil {
				t.Fatal("the name is gone:", err)
			}
			if want := c.want == ntstatus.OK; (now.Handle == file.Handle) != want || (now.Handle == old.Handle) == want {
				t.Error("the name stands for the wrong file")
			}
			var list []string
			if _, _, err := r.srv.cfg.Access.ReadDir(ctx, &gateway.Caller{}, root, 0, gateway.WantNames, func(e *causeway.DirEntry) bool {
				list = append(list, e.Name)
				return true
			}); err != nil {
				t.Fatal(err)
			}
			slices.Sort(list)
			if !slices.Equal(list, []string{".", "..", "f", "taken"}) {
				t.Errorf("left behind: %q", list)
			}
		})
	}
}
