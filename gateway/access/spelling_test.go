package access_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"causeway"
	"causeway/backend/mem"
	"causeway/gateway"
	"causeway/gateway/access"
)

// folded is an engine with a volume whose names have no case.
func folded(t *testing.T) (*access.Engine, causeway.Handle) {
	e := access.New(access.Config{Fold: strings.ToUpper})
	store := mem.New(mem.Config{Mode: 0o777})
	t.Cleanup(func() { store.Close() })
	v := &causeway.Volume{ID: 7, Name: "vol", SMB: causeway.Share{CaseInsensitive: true}}
	e.Attach(v, store)
	root, err := e.Root(t.Context(), &gateway.Caller{}, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	return e, root.Handle
}

func namesIn(t *testing.T, e *access.Engine, dir causeway.Handle) (list []string) {
	t.Helper()
	_, _, err := e.ReadDir(t.Context(), &gateway.Caller{}, dir, 0, gateway.WantNames, func(x *causeway.DirEntry) bool {
		if x.Name != "." && x.Name != ".." {
			list = append(list, strings.Clone(x.Name))
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// TestNamesWithoutCase: every operation finds a name however it is spelt, keeps how it was spelt first, and makes none twice.
func TestNamesWithoutCase(t *testing.T) {
	e, root := folded(t)
	ctx, c := t.Context(), &gateway.Caller{}
	file := func(how gateway.CreateHow) *gateway.CreateSpec {
		return &gateway.CreateSpec{Type: causeway.TypeRegular, How: how, Verifier: causeway.Verifier{1}, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: 0o644}}
	}
	made, _, err := e.Create(ctx, c, root, "Alpha", file(gateway.Unchecked))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Alpha", "alpha", "ALPHA"} {
		if found, _, err := e.Lookup(ctx, c, root, name); err != nil || found.Handle != made.Handle {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, how := range []gateway.CreateHow{gateway.Guarded, gateway.Exclusive} {
		if _, _, err := e.Create(ctx, c, root, "alpha", file(how)); !errors.Is(err, causeway.ErrExist) {
			t.Errorf("made twice, how %d: %v", how, err)
		}
	}
	if again, _, err := e.Create(ctx, c, root, "aLPHA", file(gateway.Unchecked)); err != nil || again.Handle != made.Handle {
		t.Errorf("an unchecked create: %v", err)
	}
	if _, _, err := e.Create(ctx, c, root, "alphA", &gateway.CreateSpec{Type: causeway.TypeDirectory}); !errors.Is(err, causeway.ErrExist) {
		t.Error("a directory beside it:", err)
	}
	if _, _, err := e.Link(ctx, c, made.Handle, root, "ALpha"); !errors.Is(err, causeway.ErrExist) {
		t.Error("a link beside it:", err)
	}
	opened, err := e.Open(ctx, c, root, &gateway.OpenSpec{Name: "ALPHA", Disposition: gateway.OpenOrCreate, Access: causeway.FileReadData,
		Share: causeway.ShareRead | causeway.ShareWrite | causeway.ShareDelete, Create: *file(gateway.Guarded)})
	if err != nil || opened.Handle != made.Handle || opened.Action != gateway.DidOpen {
		t.Errorf("%+v, %v", opened, err)
	}
	if _, err := e.Close(ctx, c, opened.Handle, opened.ID); err != nil {
		t.Error(err)
	}
	if _, _, err := e.Create(ctx, c, root, "Beta", file(gateway.Guarded)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Rename(ctx, c, root, "ALPHA", root, "alpha"); err != nil {
		t.Error("another spelling:", err)
	}
	if got := namesIn(t, e, root); !slices.Equal(got, []string{"Beta", "alpha"}) {
		t.Error(got)
	}
	if _, _, err := e.Rename(ctx, c, root, "Alpha", root, "BETA"); err != nil {
		t.Error("over another one:", err)
	}
	if got := namesIn(t, e, root); !slices.Equal(got, []string{"Beta"}) {
		t.Error(got)
	}
	if found, _, err := e.Lookup(ctx, c, root, "beta"); err != nil || found.Handle != made.Handle {
		t.Error("what was put there:", err)
	}
	if _, err := e.Remove(ctx, c, root, "BETA", gateway.RemoveFile); err != nil {
		t.Error(err)
	}
	if _, _, err := e.Lookup(ctx, c, root, "Beta"); !errors.Is(err, causeway.ErrNoEnt) {
		t.Error("removed:", err)
	}
}

// TestOneOfManySpellings: of those who make one name at a time in different spellings, one does.
func TestOneOfManySpellings(t *testing.T) {
	e, root := folded(t)
	for round := range 50 {
		var all sync.WaitGroup
		won := make(chan string, 8)
		for i := range 8 {
			name := []byte(fmt.Sprintf("abc%d", round))
			for bit := range 3 {
				if i>>bit&1 != 0 {
					name[bit] -= 'a' - 'A'
				}
			}
			all.Go(func() {
				if _, _, err := e.Create(t.Context(), &gateway.Caller{}, root, string(name), &gateway.CreateSpec{Type: causeway.TypeRegular, How: gateway.Guarded}); err == nil {
					won <- string(name)
				} else if !errors.Is(err, causeway.ErrExist) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("%d made it", len(won))
		}
	}
	if got := namesIn(t, e, root); len(got) != 50 {
		t.Errorf("%d names", len(got))
	}
}

// TestCaseMatters: a volume that is not set so takes names as they are.
func TestCaseMatters(t *testing.T) {
	e := access.New(access.Config{Fold: strings.ToUpper})
	store := mem.New(mem.Config{Mode: 0o777})
	defer store.Close()
	e.Attach(&causeway.Volume{ID: 7, Name: "vol"}, store)
	root, err := e.Root(t.Context(), &gateway.Caller{}, 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "A"} {
		if _, _, err := e.Create(t.Context(), &gateway.Caller{}, root.Handle, name, &gateway.CreateSpec{Type: causeway.TypeRegular, How: gateway.Guarded}); err != nil {
			t.Error(err)
		}
	}
}
