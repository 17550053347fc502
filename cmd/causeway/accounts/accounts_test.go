package accounts

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"causeway"
	"causeway/gateway/smb/auth"
)

func order(name string, uid uint32, password string) *Order {
	hash := auth.NTHash(password)
	return &Order{Name: name, New: true, UID: &uid, GID: &uid, NTHash: hash[:]}
}

func TestBookIsSeenByAnotherProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "users")
	writer, reader := NewBook(dir), NewBook(dir)
	find := Lookup{Find: reader.Find, Key: reader.Key, Fail: func(name string, err error) { t.Error(name, err) }}
	if _, ok := find.Lookup(context.Background(), "ann"); ok {
		t.Error("an account in an empty book")
	}
	if _, err := writer.Order(order("Ann", 1000, "secret")); err != nil {
		t.Fatal(err)
	}
	u, ok := find.Lookup(context.Background(), "aNN")
	if !ok || u.UID != 1000 || u.GID != 1000 || u.Name != "Ann" || u.NTHash != auth.NTHash("secret") {
		t.Errorf("%+v %v", u, ok)
	}
	hash := auth.NTHash("other")
	if _, err := writer.Order(&Order{Name: "ann", NTHash: hash[:]}); err != nil {
		t.Fatal(err)
	}
	if u, _ := find.Lookup(context.Background(), "ann"); u.NTHash != hash || u.UID != 1000 {
		t.Errorf("after another password: %+v", u)
	}
	if _, err := writer.Order(order("ANN", 1, "x")); err == nil {
		t.Error("a second account of the same name")
	}
	if err := writer.Remove("ann"); err != nil {
		t.Fatal(err)
	}
	if _, ok := find.Lookup(context.Background(), "ann"); ok {
		t.Error("an account that was removed")
	}
	if err := writer.Remove("ann"); causeway.CodeOf(err) != causeway.ErrNoEnt {
		t.Error(err)
	}
}

// TestPasswordsAreSealed holds that neither password nor hash stand in the files, and that a sealed one is good for its account alone.
func TestPasswordsAreSealed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "users")
	b := NewBook(dir)
	u, err := b.Order(order("ann", 1000, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	hash := auth.NTHash("secret")
	for _, name := range []string{bookName, keyName} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, hash[:]) || bytes.Contains(text, []byte("secret")) {
			t.Errorf("%s tells the password", name)
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Error(info.Mode(), err)
		}
	}
	key, err := b.Key()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Open("bob", u.Sealed); err == nil {
		t.Error("the password of another account was opened")
	}
	if text := fmt.Sprintf("%v %+v %#v", key, key, key); bytes.Contains([]byte(text), []byte(fmt.Sprint(key[0]))) && text != "secret secret secret" {
		t.Error("the key prints itself")
	}
	u.Sealed[20]++
	if _, err := key.User(u); err == nil {
		t.Error("a damaged password was opened")
	}
}
