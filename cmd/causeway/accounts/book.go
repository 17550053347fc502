package accounts

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"causeway"
	"causeway/cluster/record"
	"causeway/cmd/causeway/state"
)

// Book is the file of accounts of a gateway that serves alone, with its key beside it. Commands change it while a gateway reads it:
// what was written counts for the next logon. All methods may be called by many goroutines and processes.
type Book struct {
	dir string

	mu   sync.Mutex
	seen fs.FileInfo // of the file that list was read from
	list []*record.User
	key  Key
	has  bool // key was read
}

// Names in the directory.
const (
	bookName = "accounts.json"
	keyName  = "accounts.key"
	lockName = "accounts.lock"
	retired  = ".before" // behind bookName: of the time before the gateway was one of a cluster
)

// NewBook returns the book in a directory of its own, which need not exist yet.
func NewBook(dir string) *Book { return &Book{dir: dir} }

// Users returns the accounts in the order of their names.
func (b *Book) Users() ([]*record.User, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read()
}

func (b *Book) read() ([]*record.User, error) {
	path := filepath.Join(b.dir, bookName)
	now, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		b.seen, b.list = nil, nil
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if b.seen != nil && os.SameFile(now, b.seen) && now.ModTime().Equal(b.seen.ModTime()) && now.Size() == b.seen.Size() {
		return b.list, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []*record.User
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, u := range list {
		if err := u.Validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	b.seen, b.list = now, list
	return list, nil
}

// Find returns an account by its name in any case, nil if there is none.
func (b *Book) Find(name string) *record.User {
	list, err := b.Users()
	if err != nil {
		return nil
	}
	return find(list, name)
}

func find(list []*record.User, name string) *record.User {
	if i := slices.IndexFunc(list, func(u *record.User) bool { return u.Key() == record.UserKey(name) }); i >= 0 {
		return list[i]
	}
	return nil
}

// Key returns the key that seals the passwords; it is made when it is needed first.
func (b *Book) Key() (Key, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.has {
		return b.key, nil
	}
	path := filepath.Join(b.dir, keyName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text = make([]byte, len(b.key))
		rand.Read(text) // never fails
		err = state.Replace(path, text)
	}
	if err == nil && len(text) != len(b.key) {
		err = fmt.Errorf("%s is damaged", path)
	}
	if err != nil {
		return Key{}, err
	}
	b.key, b.has = Key(text), true
	return b.key, nil
}

// Order makes or changes an account.
func (b *Book) Order(o *Order) (*record.User, error) {
	var made *record.User
	err := b.change(func(list []*record.User) ([]*record.User, error) {
		key, err := b.Key()
		if err != nil {
			return nil, err
		}
		old := find(list, o.Name)
		if made, err = o.Apply(key, old); err != nil {
			return nil, err
		}
		return append(without(list, old), made), nil
	})
	return made, err
}

// Remove removes an account. Sessions that it has go on until they end.
func (b *Book) Remove(name string) error {
	return b.change(func(list []*record.User) ([]*record.User, error) {
		old := find(list, name)
		if old == nil {
			return nil, fmt.Errorf("user %s: %w", name, causeway.ErrNoEnt)
		}
		return without(list, old), nil
	})
}

// Retire puts the accounts aside: a cluster has them from now on, and one that is removed there must not come back from here.
func (b *Book) Retire() error {
	path := filepath.Join(b.dir, bookName)
	if err := os.Rename(path, path+retired); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func without(list []*record.User, old *record.User) []*record.User {
	return slices.DeleteFunc(slices.Clone(list), func(u *record.User) bool { return u == old })
}

// change replaces the file by what edit makes of the list. One process at a time does it.
func (b *Book) change(edit func([]*record.User) ([]*record.User, error)) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(b.dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	list, err := b.Users()
	if err != nil {
		return err
	}
	if list, err = edit(list); err != nil {
		return err
	}
	slices.SortFunc(list, func(x, y *record.User) int { return strings.Compare(x.Name, y.Name) })
	text, err := json.MarshalIndent(list, "", "\t")
	if err != nil {
		return err
	}
	return state.Replace(filepath.Join(b.dir, bookName), append(text, '\n'))
}
