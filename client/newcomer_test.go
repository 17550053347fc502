package client_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"causeway"
	"causeway/client"
)

// TestWhatIsWrong: what newcomers do wrong they are told.
func TestWhatIsWrong(t *testing.T) {
	says := func(what string, err error, want ...string) {
		t.Helper()
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, which does not say %q", what, err, w)
			}
		}
	}
	_, err := client.Dial(background, client.Config{}, "127.0.0.1")
	says("an address without a port", err, "needs the port", "127.0.0.1:9450")
	_, err = client.Dial(background, client.Config{}, "127.0.0.1:1")
	says("nobody there", err, "127.0.0.1:1", "refused")
	short, cancel := context.WithCancel(background)
	cancel()
	if _, err = client.Dial(short, client.Config{}, "127.0.0.1:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not say that the context ended", err)
	}
	w := newWorld(t, 1, nil)
	_, err = w.dial(client.Config{}).Volume(background, "none")
	says("no such volume", err, "none", "no such volume")
	if !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	w = newWorld(t, 1, func(v *causeway.Volume) {
		v.Exports = append([]causeway.ExportRule(nil), rules...)
		v.Exports[0].Secure = true
	})
	_, err = w.dial(client.Config{}).Volume(background, "v")
	says("a secure rule", err, "port below 1024")
}

// TestUmask: new files and directories get the bits that the umask leaves; what is set later is as it is said.
func TestUmask(t *testing.T) {
	w := newWorld(t, 1, nil)
	for _, umask := range []fs.FileMode{0, 0o022, 0o077} {
		v := w.volume(w.dial(client.Config{Umask: &umask}))
		f, err := v.Create(background, "file")
		if err != nil {
			t.Fatal(err)
		}
		fine(t, f.Close(), v.Mkdir(background, "dir", 0o777))
		for name, full := range map[string]fs.FileMode{"file": 0o666, "dir": 0o777} {
			i, err := v.Stat(background, name)
			if err != nil || i.Mode().Perm() != full&^umask {
				t.Errorf("%s with %v: %v, %v", name, umask, i.Mode(), err)
			}
			fine(t, v.Chmod(background, name, full))
			if i, err := v.Stat(background, name); err != nil || i.Mode().Perm() != full {
				t.Errorf("%s: %v, %v", name, i.Mode(), err)
			}
			fine(t, v.Remove(background, name))
		}
	}
}
