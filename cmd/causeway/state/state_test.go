package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func mustOpen(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestVolumesSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "state")
	d := mustOpen(t, path)
	born := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	first, err := d.Bind(0xfedcba9876543210, "data", "/srv/data", born)
	if err != nil {
		t.Fatal(err)
	}
	second, err := d.Bind(2, "more", "/srv/more", born)
	if err != nil {
		t.Fatal(err)
	}
	if first.Keys[0].Secret == second.Keys[0].Secret || first.Keys[0].Secret == (Secret{}) {
		t.Error("keys are not random")
	}
	d.Close()

	d = mustOpen(t, path)
	defer d.Close()
	again, err := d.Bind(0xfedcba9876543210, "data", "/srv/data", born.Add(time.Hour))
	if err != nil || !reflect.DeepEqual(again, first) {
		t.Errorf("%+v became %+v, %v", first, again, err)
	}
	moved, err := d.Bind(2, "moved", "/mnt/more", born.Add(time.Hour))
	if err != nil || moved.Name != "moved" || moved.Path != "/mnt/more" || moved.Keys[0] != second.Keys[0] || moved.Born != born {
		t.Errorf("%+v became %+v, %v", second, moved, err)
	}
	if _, err := d.Bind(0, "none", "/none", born); err == nil {
		t.Error("a volume without an id was bound")
	}
	if keys := moved.HandleKeys(); len(keys) != 1 || keys[0].ID != 1 || keys[0].Secret != [16]byte(second.Keys[0].Secret) {
		t.Error("other keys")
	}
}

func TestSecretsArePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	d := mustOpen(t, path)
	defer d.Close()
	v, err := d.Bind(1, "data", "/srv/data", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{".": 0o700, "volumes.json": 0o600, "boot.json": 0o600, "lock": 0o600} {
		info, err := os.Stat(filepath.Join(path, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	digits, _ := v.Keys[0].Secret.MarshalText()
	if text := fmt.Sprintf("%v %+v %#v %v", v, v, v, v.Keys); strings.Contains(text, string(digits)) || strings.Contains(text, fmt.Sprint([16]byte(v.Keys[0].Secret))) {
		t.Error("printing a record shows its key")
	}
}

func TestOneProcessAtATime(t *testing.T) {
	path := t.TempDir()
	d := mustOpen(t, path)
	if _, err := Open(path); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("(process %d)", os.Getpid())) {
		t.Errorf("second open: %v", err)
	}
	d.Close()
	mustOpen(t, path).Close()
}

func TestBootsAreCounted(t *testing.T) {
	path := t.TempDir()
	var last Boot
	for i := uint64(1); i <= 3; i++ {
		d := mustOpen(t, path)
		b := d.Boot()
		if b.Count != i || b.Instance == last.Instance || i > 1 && b.Node != last.Node || len(b.Node) != 32 {
			t.Errorf("start %d: %+v after %+v", i, b, last)
		}
		last = b
		d.Close()
	}
}

func TestOtherFormatsAndDamageAreRefused(t *testing.T) {
	key := `[{"id":1,"secret":"00112233445566778899aabbccddeeff"}]`
	volume := `{"name":"a","id":"0000000000000001","path":"/a","born":"2026-01-01T00:00:00Z","keys":` + key + `}`
	for _, c := range []struct{ file, content, want string }{
		{"format.json", `{"format":2}`, "format 2"},
		{"format.json", `{}`, "format 0"},
		{"volumes.json", `{"volumes":[` + volume + `]`, "damaged"},
		{"volumes.json", `{"volumes":[` + volume + `,` + volume + `]}`, "damaged"},
		{"volumes.json", `{"volumes":[` + strings.Replace(volume, key, "[]", 1) + `]}`, "damaged"},
		{"volumes.json", `{"volumes":[` + strings.Replace(volume, "ff\"", "\"", 1) + `]}`, "damaged"},
		{"volumes.json", `{"volumes":[` + strings.Replace(volume, "001\"", "000\"", 1) + `]}`, "damaged"},
		{"boot.json", `7`, "damaged"},
	} {
		path := t.TempDir()
		mustOpen(t, path).Close()
		if err := os.WriteFile(filepath.Join(path, c.file), []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if d, err := Open(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %s: %v, %v; want %q", c.file, c.content, d, err, c.want)
		}
		if err := os.Remove(filepath.Join(path, c.file)); err != nil {
			t.Fatal(err)
		}
		mustOpen(t, path).Close() // the lock was not kept
	}
}

func TestLeftoversOfACrash(t *testing.T) {
	path := t.TempDir()
	mustOpen(t, path).Close()
	left := filepath.Join(path, "volumes.json"+unfinished+"123")
	if err := os.WriteFile(left, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path).Close()
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestDefaultPath(t *testing.T) {
	for _, c := range []struct {
		uid  int
		env  map[string]string
		want string
	}{
		{0, nil, "/var/lib/causeway"},
		{0, map[string]string{"XDG_STATE_HOME": "/x"}, "/var/lib/causeway"},
		{0, map[string]string{"STATE_DIRECTORY": "/var/lib/other:/b"}, "/var/lib/other"},
		{7, map[string]string{"XDG_STATE_HOME": "/x", "HOME": "/home/u"}, "/x/causeway"},
		{7, map[string]string{"XDG_STATE_HOME": "x", "HOME": "/home/u"}, "/home/u/.local/state/causeway"},
		{7, nil, ""},
	} {
		got, err := DefaultPath(c.uid, func(k string) string { return c.env[k] })
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%d %v: %q, %v", c.uid, c.env, got, err)
		}
	}
}
