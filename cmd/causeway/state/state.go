// Package state is the directory in which a gateway keeps what must survive a restart: the format number, a lock against a
// second process, the records of its volumes with their handle keys, and the count of its starts. Other rooms are given
// directories below it and keep their own formats there.
//
// Every file is replaced as a whole and synced before the call that changed it returns.
package state

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Format is the number of the layout that this version writes. It reads this one and none other.
const Format = 1

// ErrInUse means that another process holds the directory.
var ErrInUse = errors.New("another causeway process is using it")

// Dir is an open state directory, held against other processes until Close. Its methods may be called by many goroutines.
type Dir struct {
	path string
	lock *os.File
	boot Boot

	mu      sync.Mutex
	volumes []VolumeRecord
}

// Boot tells one start of a gateway from all others with the same state directory.
type Boot struct {
	Count    uint64   `json:"count"`    // starts so far, this one included
	Instance [16]byte `json:"-"`        // random, of this start alone
	Node     string   `json:"instance"` // in hexadecimal, of the state directory: the same after every start
}

// DefaultPath returns where the state of a user lies: /var/lib/causeway for root, else $XDG_STATE_HOME/causeway or
// ~/.local/state/causeway (XDG Base Directory Specification 0.8). A service manager's $STATE_DIRECTORY wins.
func DefaultPath(uid int, env func(string) string) (string, error) {
	if dir, _, _ := strings.Cut(env("STATE_DIRECTORY"), ":"); filepath.IsAbs(dir) {
		return dir, nil
	}
	if uid == 0 {
		return "/var/lib/causeway", nil
	}
	if dir := env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "causeway"), nil
	}
	if home := env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local/state/causeway"), nil
	}
	return "", errors.New("there is neither $XDG_STATE_HOME nor $HOME; say where with --state-dir")
}

// Open makes the directory if it is missing (0700), locks it, checks its format and counts the start. ErrInUse if another
// process has it.
func Open(path string) (*Dir, error) {
	d, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("state directory %s: %w", path, err)
	}
	return d, nil
}

func open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	d := &Dir{path: path}
	if err := d.hold(); err != nil {
		return nil, err
	}
	err := d.checkFormat()
	if err == nil {
		err = d.sweep()
	}
	if err == nil {
		err = d.loadVolumes()
	}
	if err == nil {
		err = d.countBoot()
	}
	if err != nil {
		d.lock.Close()
		return nil, err
	}
	return d, nil
}

// hold takes the lock. It is flock(2)'s: gone with the process, however that ends.
func (d *Dir) hold() error {
	f, err := os.OpenFile(filepath.Join(d.path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := flock(f); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("%w%s; stop it or choose another --state-dir", ErrInUse, holder(f))
		}
		return err
	}
	d.lock = f
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	return err
}

// releaseWithin is how long what is left of a process that was killed may take to let go of its files.
const releaseWithin = time.Second

// flock locks a file, which somebody who is about to end may still have.
func flock(f *os.File) error {
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Since(begun) > releaseWithin {
			return err
		}
	}
}

// holder says who wrote the lock file, for the message.
func holder(f *os.File) string {
	text := make([]byte, 20)
	n, _ := f.ReadAt(text, 0)
	if pid := strings.TrimSpace(string(text[:n])); pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}

func (d *Dir) checkFormat() error {
	var f struct {
		Format int `json:"format"`
	}
	switch err := d.read("format.json", &f); {
	case errors.Is(err, os.ErrNotExist):
		f.Format = Format
		return d.write("format.json", &f)
	case err != nil:
		return err
	case f.Format != Format:
		return fmt.Errorf("it has format %d and this version understands %d", f.Format, Format)
	}
	return nil
}

func (d *Dir) countBoot() error {
	if err := d.read("boot.json", &d.boot); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if d.boot.Node == "" {
		d.boot.Node = fmt.Sprintf("%x", random())
	}
	d.boot.Count++
	d.boot.Instance = random()
	return d.write("boot.json", &d.boot)
}

func random() (b [16]byte) {
	rand.Read(b[:]) // never fails (crypto/rand)
	return b
}

// Boot returns which start this is.
func (d *Dir) Boot() Boot { return d.boot }

// Path returns the path of a file in the directory.
func (d *Dir) Path(name ...string) string { return filepath.Join(append([]string{d.path}, name...)...) }

// Sub makes a directory for another room's records (0700) and returns its path.
func (d *Dir) Sub(name string) (string, error) {
	path := d.Path(name)
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return path, syncDir(d.path)
}

// Close lets the next process have the directory.
func (d *Dir) Close() error { return d.lock.Close() }
