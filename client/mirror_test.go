package client_test

import (
	"errors"
	"io"
	"io/fs"
	"testing"
	"time"

	"causeway"
	"causeway/backend/mem"
	"causeway/client"
	"causeway/gateway/aware"
	"causeway/redirect"
)

// mirrored is a client that reads volume v at its mirror. Both have a file, "text", which says where it is.
func mirrored(t *testing.T, w *world, cfg client.Config) (*client.Client, *client.Volume) {
	t.Helper()
	m := *w.first
	m.ID, m.Name = 8, "copy"
	store := mem.New(mem.Config{Mode: 0o777})
	t.Cleanup(func() { store.Close() })
	w.attach(&m, store)
	fine(t, w.catalog.Publish([]*causeway.Volume{w.first, &m}))
	writer := w.dial(client.Config{})
	for _, name := range []string{"v", "copy"} {
		v, err := writer.Volume(background, name)
		if err != nil {
			t.Fatal(err)
		}
		fine(t, v.WriteFile(background, "text", []byte(name), 0o644))
	}
	cfg.Ways = redirect.WayMirror | redirect.WayFailOver
	c := w.dial(cfg)
	v := w.volume(c)
	front := w.fronts[w.where[0]].server
	w.until("the client is told of the mirror", func() bool {
		before := v.Mirror()
		if got, err := v.ReadFile(background, "text"); err != nil || string(got) != before && v.Mirror() == before { // sent there meanwhile, it reads of both
			t.Fatalf("%q, %v, of %s", got, err, before)
		}
		for _, u := range front.Clients() {
			if u.Volume == "v" && u.Watches && !u.Writes {
				front.Redirect(u.Client, "v", w.where[0], "copy")
			}
		}
		return v.Mirror() == "copy"
	})
	return c, v
}

// TestMirrorAlone: what is read at a mirror is opened there, and the volume itself is not asked.
func TestMirrorAlone(t *testing.T) {
	w := newWorld(t, 1, nil)
	_, v := mirrored(t, w, client.Config{})
	own := w.volume(w.dial(client.Config{}))
	fine(t, own.Remove(background, "text")) // in the volume itself
	f, err := v.Open(background, "text")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	if i, errStat := f.Stat(); err != nil || string(got) != "copy" || errStat != nil || i.Size() != 4 {
		t.Error(string(got), err, errStat)
	}
	fine(t, own.WriteFile(background, "text", []byte("v"), 0o644), f.Lock(background, 0, 1)) // of the volume itself
	fine(t, w.catalog.Publish([]*causeway.Volume{w.first}))
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(f); err != nil || string(got) != "v" || v.Mirror() != "v" {
		t.Errorf("where the mirror is gone it reads %q, %v, of %s", got, err, v.Mirror())
	}
	fine(t, f.Close())
	if _, err := v.Open(background, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestMirrorEnds: the time at a mirror ends, and ends at once when the operator switches the way off.
func TestMirrorEnds(t *testing.T) {
	w := newWorld(t, 1, nil)
	_, v := mirrored(t, w, client.Config{MirrorFor: 300 * time.Millisecond})
	f, err := v.Open(background, "text")
	if err != nil {
		t.Fatal(err)
	}
	back := func() bool {
		got := make([]byte, 8)
		n, err := f.ReadAt(got, 0)
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		return string(got[:n]) == "v" && v.Mirror() == "v"
	}
	w.until("the file is read in the volume itself", back)
	fine(t, f.Close())

	w = newWorld(t, 1, nil)
	_, v = mirrored(t, w, client.Config{MirrorFor: time.Hour})
	if f, err = v.Open(background, "text"); err != nil {
		t.Fatal(err)
	}
	w.off.Store(uint32(redirect.WayMirror))
	w.until("the way is switched off", back)
	fine(t, f.Close())

	w = newWorld(t, 1, nil)
	_, v = mirrored(t, w, client.Config{MirrorFor: time.Hour})
	if f, err = v.Open(background, "text"); err != nil {
		t.Fatal(err)
	}
	w.mirrors.Store(&[]aware.Mirror{{Volume: "copy", Mirror: "v"}})
	w.until("the mirror is withdrawn", back)
}

// TestWriterIsNotMirrored: a gateway knows who writes, also before the client has told it anything else.
func TestWriterIsNotMirrored(t *testing.T) {
	w := newWorld(t, 1, nil)
	v := w.volume(w.dial(client.Config{}))
	writes := func() (out bool) {
		for _, u := range w.fronts[w.where[0]].server.Clients() {
			out = out || u.Writes
		}
		return out
	}
	if _, err := v.Stat(background, "."); err != nil || writes() {
		t.Error(err, "who looks counts as a writer")
	}
	fine(t, v.Mkdir(background, "dir", 0o755))
	if !writes() {
		t.Error("a writer counts as a reader")
	}
}
