//go:build linux

package cluster

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"causeway/e2e/bench/nfs3"
	"causeway/e2e/smb2"
)

// key is a lease's, which each client uses once.
func key(name string, n byte) [16]byte {
	sum := sha256.Sum256(append([]byte(name), n))
	return [16]byte(sum[:16])
}

// leased opens for everything with a lease.
func leased(name string, n byte, state uint32) smb2.Open {
	o := plain(name)
	o.Lease, o.Key = state, key(name, n)
	return o
}

// broken waits until a client's lease is broken, and acknowledges it.
func (s *smbStage) broken(t *testing.T, c *smb2.Conn, k [16]byte, to uint32, act func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- act() }()
	var got []smb2.Break
	s.Await("a lease is broken", func() bool { got = append(got, c.Breaks()...); return len(got) > 0 })
	for _, b := range got {
		if b.Key != k || b.To != to {
			t.Errorf("a break of %+v, want one to %d", b, to)
		}
		if !b.MustReply {
			continue
		}
		if b.From != smb2.RH || b.To != 0 { // who writes to what is only read goes on at once
			select {
			case err := <-done:
				t.Error("who needs the file does not wait for the client:", err)
				done <- err
			case <-time.After(50 * time.Millisecond): // it may be seen not to wait; a slow machine shows nothing wrong
			}
		}
		if err := c.Acknowledge(k, b.To); err != nil {
			t.Error("acknowledge:", err)
		}
	}
	if err := <-done; err != nil {
		t.Error("who waited:", err)
	}
}

// unbroken fails if a client's lease was broken.
func unbroken(t *testing.T, c *smb2.Conn) {
	t.Helper()
	if err := c.Echo(); err != nil {
		t.Error(err)
	}
	if got := c.Breaks(); len(got) > 0 {
		t.Errorf("broken: %+v", got)
	}
}

func playLeases(t *testing.T, s *smbStage, prefix string) {
	f := must(t, s.a, leased(prefix, 1, smb2.RWH))
	if f.Lease != smb2.RWH {
		t.Fatalf("the lease of the only client is %d", f.Lease)
	}
	k := key(prefix, 1)
	var g *smb2.File
	s.broken(t, s.a, k, smb2.RH, func() (err error) { g, err = s.b.Create(leased(prefix, 2, smb2.RWH)); return err })
	if g == nil || g.Lease != smb2.RH {
		t.Fatalf("the lease of the second client is %+v", g)
	}
	_, err := g.Read(0, 10)
	unbroken(t, s.a)
	if err != nil && !errors.Is(err, smb2.Status(0xc0000011)) {
		t.Error("read:", err)
	}
	s.broken(t, s.a, k, 0, func() error { return g.Write(0, []byte("new")) })
	unbroken(t, s.b) // it wrote itself
	if got, err := f.Read(0, 10); err != nil || string(got) != "new" {
		t.Errorf("after the break %q, %v", got, err)
	}
	s.broken(t, s.b, key(prefix, 2), 0, func() error { return f.Write(0, []byte("NEW")) })
	if got, err := g.Read(0, 10); err != nil || string(got) != "NEW" {
		t.Errorf("after the second break %q, %v", got, err)
	}
	want(t, "close", errors.Join(f.Close(), g.Close()), nil)

	// Who opens a file so that the holder of a lease would have to close it, waits for that.
	f = must(t, s.a, smb2.Open{Name: prefix, Access: smb2.All, Share: smb2.ShareRead, Disposition: smb2.OpenIf, Lease: smb2.RWH, Key: k})
	opening, err := s.b.BeginCreate(plain(prefix))
	want(t, "open", err, nil)
	var got []smb2.Break
	s.Await("the lease on the handle is broken", func() bool { got = append(got, s.a.Breaks()...); return len(got) > 0 })
	want(t, "close instead of an acknowledgement", f.Close(), nil)
	if g, err := opening.Opened(); err != nil {
		t.Error("who waited for the close:", err)
	} else {
		g.Close()
	}
}

// playLeasesNFS: NFS clients at another gateway change what an SMB client caches.
func playLeasesNFS(t *testing.T, s *smbStage, prefix string) {
	ctx := t.Context()
	for _, c := range []struct {
		name     string
		held, to uint32
		do       func(h []byte, name string) error
	}{
		{"write", smb2.RWH, 0, func(h []byte, _ string) error {
			_, err := s.nfs.write(ctx, h, 0, []byte("nfs"), nfs3.FileSync)
			return err
		}},
		{"second-write", smb2.RH, 0, func(h []byte, _ string) error {
			_, err := s.nfs.write(ctx, h, 0, []byte("nfs"), nfs3.Unstable)
			return err
		}},
		{"read", smb2.RWH, smb2.RH, func(h []byte, _ string) error { _, err := s.nfs.read(ctx, h, 0, 3); return err }},
		{"removal", smb2.RWH, smb2.RW, func(_ []byte, name string) error { return s.nfs.remove(ctx, name) }},
		{"rename", smb2.RWH, smb2.RW, func(_ []byte, name string) error { return s.nfs.rename(ctx, name, name+"-moved") }},
	} {
		name := prefix + "-" + c.name
		h := s.file(t, name)
		if _, err := s.nfs.write(ctx, h, 0, []byte("nfs"), nfs3.FileSync); err != nil { // a grant at its gateway to be recalled
			t.Fatal(err)
		}
		f := must(t, s.a, leased(name, 1, c.held))
		if f.Lease != c.held {
			t.Errorf("%s: the lease is %d", c.name, f.Lease)
		}
		s.broken(t, s.a, key(name, 1), c.to, func() error { return c.do(h, name) })
		want(t, c.name+": close", f.Close(), nil)
	}
}

// seen collects changes until all of the wanted ones have come.
func (s *smbStage) seen(t *testing.T, dir *smb2.File, filter uint32, deep bool, act func(), wanted ...smb2.Change) {
	t.Helper()
	first, err := dir.Watch(filter, deep)
	if err != nil {
		t.Fatal(err)
	}
	s.Await("the directory is watched", first.Waits)
	act()
	missing := slices.Clone(wanted)
	for w := first; ; {
		if !s.comes(w) {
			w.Cancel()
			w.Result()
			t.Fatalf("not told: %+v", missing)
		}
		got, err := w.Changes()
		if err != nil {
			t.Fatalf("%v, with %+v missing", err, missing)
		}
		missing = slices.DeleteFunc(missing, func(c smb2.Change) bool { return slices.Contains(got, c) })
		if len(missing) == 0 {
			return
		}
		if w, err = dir.Watch(filter, deep); err != nil {
			t.Fatal(err)
		}
	}
}

// comes waits for an answer, not for ever.
func (s *smbStage) comes(w *smb2.Watch) bool {
	for deadline := time.Now().Add(time.Minute); !w.Done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

func directory(name string) smb2.Open {
	o := plain(name)
	o.Access, o.Options = smb2.ReadData, smb2.Directory // who could remove the directory would keep others from renaming in it
	return o
}

func playNotices(t *testing.T, s *smbStage, prefix string) {
	dir, root := must(t, s.a, directory(prefix)), must(t, s.a, directory(""))
	s.seen(t, dir, smb2.Names, false, func() {
		f := must(t, s.b, plain(prefix+`\file`))
		want(t, "rename", f.Rename(prefix+`\other`, false), nil)
		want(t, "delete", f.SetDelete(true), nil)
		want(t, "close", f.Close(), nil)
	}, smb2.Change{Action: smb2.Added, Name: "file"}, smb2.Change{Action: smb2.OldName, Name: "file"},
		smb2.Change{Action: smb2.NewName, Name: "other"}, smb2.Change{Action: smb2.Removed, Name: "other"})
	s.seen(t, root, smb2.Names|smb2.Sizes, true, func() {
		f := must(t, s.b, plain(prefix+`\file`))
		want(t, "write", f.Write(0, []byte("x")), nil)
		want(t, "close", f.Close(), nil)
	}, smb2.Change{Action: smb2.Added, Name: prefix + `\file`}, smb2.Change{Action: smb2.Modified, Name: prefix + `\file`})
	want(t, "close", errors.Join(dir.Close(), root.Close()), nil)
}

func playNoticesNFS(t *testing.T, s *smbStage, prefix string) {
	ctx := t.Context()
	root := must(t, s.a, directory(""))
	s.seen(t, root, smb2.Names, false, func() {
		s.file(t, prefix)
		want(t, "rename", s.nfs.rename(ctx, prefix, prefix+"-2"), nil)
	}, smb2.Change{Action: smb2.Added, Name: prefix}, smb2.Change{Action: smb2.OldName, Name: prefix}, smb2.Change{Action: smb2.NewName, Name: prefix + "-2"})
	h, err := s.nfs.lookup(ctx, prefix+"-2")
	want(t, "lookup", err, nil)
	below := must(t, s.a, directory(""))
	s.seen(t, below, smb2.Sizes, true, func() {
		_, err := s.nfs.write(ctx, h, 0, []byte("nfs"), nfs3.Unstable)
		want(t, "write", err, nil)
	}, smb2.Change{Action: smb2.Modified, Name: prefix + "-2"})
	s.seen(t, root, smb2.Names, false, func() { want(t, "remove", s.nfs.remove(ctx, prefix+"-2"), nil) },
		smb2.Change{Action: smb2.Removed, Name: prefix + "-2"})
	want(t, "close", errors.Join(root.Close(), below.Close()), nil)
}

func playDelete(t *testing.T, s *smbStage, prefix string) {
	f, g := must(t, s.a, plain(prefix)), must(t, s.b, plain(prefix))
	want(t, "set", f.SetDelete(true), nil)
	want(t, "close of the one that set it", f.Close(), nil)
	_, err := s.a.Create(plain(prefix))
	want(t, "open of what goes", err, smb2.DeletePending)
	_, err = s.b.Create(plain(prefix))
	want(t, "open of what goes, at the other gateway", err, smb2.DeletePending)
	_, err = s.nfs.lookup(t.Context(), prefix)
	want(t, "NFS still sees it", err, nil)
	want(t, "the last close", g.Close(), nil)
	_, err = s.nfs.lookup(t.Context(), prefix)
	want(t, "NFS", err, nfs3.NoEnt)
	f = must(t, s.a, plain(prefix))
	must(t, s.b, smb2.Open{Name: prefix, Access: smb2.All, Share: smb2.ShareAll, Disposition: smb2.OpenOnly, Options: smb2.DeleteOnClose})
	want(t, "close", f.Close(), nil)
	s.b.Cut() // its connection ends with the open
	s.b = s.connect(1, 2)
	s.Await("the name goes with the last open", func() bool {
		_, err = s.nfs.lookup(t.Context(), prefix)
		return errors.Is(err, nfs3.NoEnt)
	})
}
