package smb

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/cloudsoda/go-smb2"
	"github.com/go-git/go-billy/v5"

	"causeway"
)

// share is the share as billyfs wants to see it: paths, with "/" between names and "." for the root.
type share struct {
	cfg   Config
	links *links
	files files

	mu    sync.Mutex
	known map[string]known // attributes and numbers by path
}

// known is what was seen at a path.
type known struct {
	info
	at time.Time // for how long it is believed counts from here; zero: its number only
}

// maxKnown bounds what is remembered of attributes.
const maxKnown = 1 << 16

var _ billy.Filesystem = (*share)(nil)

func newShare(cfg Config) *share {
	s := &share{cfg: cfg, known: map[string]known{}}
	s.links = newLinks(&s.cfg)
	s.files.init(s)
	return s
}

func (s *share) close() {
	s.files.close()
	s.links.close()
}

// do runs a request on some connection. One that may be repeated is, once; of another one that was lost nobody knows how it ended.
func (s *share) do(op string, repeatable bool, request func(*smb2.Share) error) error {
	for attempt := 0; ; attempt++ {
		l, err := s.links.get()
		if err != nil {
			return err
		}
		lost, err := l.run(s.cfg.Timeout, func() error { return request(l.share) })
		switch {
		case !lost:
			return failed(op, err)
		case !repeatable:
			return &causeway.Error{Op: op, Code: causeway.ErrIO, Err: errors.Join(errors.New("the connection ended, whether it was done is not known"), err)}
		case attempt > 0:
			return &causeway.Error{Op: op, Code: causeway.ErrDelay, Err: err}
		}
	}
}

// wire is a path as the library takes it. A backslash in a name becomes what stands for it at the server, as the library does it for
// the other characters that Windows forbids.
const backslash = "\uf026"

func (s *share) wire(p string) string {
	if p == "." || p == "/" || p == "" {
		p = ""
	}
	p = strings.Trim(s.cfg.Directory+"/"+p, "/")
	return strings.ReplaceAll(strings.ReplaceAll(p, `\`, backslash), "/", `\`)
}

// Lstat asks the server, unless it was asked a moment ago. The number of a file costs an open of it, and is asked for once.
func (s *share) Lstat(name string) (os.FileInfo, error) {
	s.mu.Lock()
	k, have := s.known[name]
	s.mu.Unlock()
	now := s.cfg.Clock()
	if have && now.Sub(k.at) < s.cfg.Attributes {
		return &k.info, nil
	}
	var stat *smb2.FileStat
	err := s.do("lstat", true, func(sh *smb2.Share) error {
		fi, err := sh.Lstat(s.wire(name))
		if err == nil {
			stat = fi.Sys().(*smb2.FileStat)
		}
		return err
	})
	if err != nil {
		s.forget(name)
		return nil, err
	}
	i := s.infoOf(path.Base(name), stat)
	switch {
	case have && k.born.Equal(i.born) && k.mode.Type() == i.mode.Type():
		i.number = k.number
	case i.mode&os.ModeSymlink == 0:
		i.number = s.number(name)
	}
	s.remember(name, known{i, now})
	return &i, nil
}

// number is the file's at the server; 0 if it cannot be had.
func (s *share) number(name string) (n uint64) {
	_ = s.do("stat", true, func(sh *smb2.Share) error {
		f, err := sh.OpenFile(s.wire(name), os.O_RDONLY, 0o666)
		if err != nil {
			return err
		}
		fi, err := f.Stat()
		if err == nil {
			n = fi.Sys().(*smb2.FileStat).FileId
		}
		return errors.Join(err, f.Close())
	})
	return n
}

func (s *share) remember(name string, k known) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxKnown {
		clear(s.known)
	}
	s.known[name] = k
}

// changed makes attributes at a path, and of its directory, be asked for again.
func (s *share) changed(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		for _, p := range []string{name, path.Dir(name)} {
			if k, ok := s.known[p]; ok {
				k.at = time.Time{}
				s.known[p] = k
			}
		}
	}
}

// forget drops what is known of a path and all below it.
func (s *share) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.known {
		if below(p, name) {
			delete(s.known, p)
		}
	}
}

// below reports whether a path is another one or stands under it.
func below(p, top string) bool {
	return p == top || top == "." || strings.HasPrefix(p, top) && p[len(top)] == '/'
}

// Stat is Lstat: nothing here follows links.
func (s *share) Stat(name string) (os.FileInfo, error) { return s.Lstat(name) }

func (s *share) ReadDir(name string) ([]os.FileInfo, error) {
	var found []os.FileInfo
	err := s.do("readdir", true, func(sh *smb2.Share) (err error) {
		found, err = s.listed(sh, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	now := s.cfg.Clock()
	for i, fi := range found {
		in := s.infoOf(strings.ReplaceAll(fi.Name(), backslash, `\`), fi.Sys().(*smb2.FileStat))
		found[i] = &in
		s.remember(join(name, in.name), known{in, now})
	}
	return found, nil
}

// entriesAtOnce is how many entries are taken before it is seen whether there are too many.
const entriesAtOnce = 4096

// listed reads a directory as far as it goes, or until there are more entries than are kept: a server may find ever more.
func (s *share) listed(sh *smb2.Share, name string) (found []os.FileInfo, err error) {
	d, err := sh.Open(s.wire(name))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	for {
		part, err := d.Readdir(min(entriesAtOnce, s.cfg.MaxEntries+1))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		found = append(found, part...)
		switch {
		case len(found) > s.cfg.MaxEntries:
			return nil, &causeway.Error{Op: "readdir", Code: causeway.ErrIO, Err: fmt.Errorf("the directory has more than %d entries", s.cfg.MaxEntries)}
		case len(part) == 0 || err != nil:
			return found, nil
		}
	}
}

func join(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// MkdirAll makes one directory: billyfs has looked at those on the way.
func (s *share) MkdirAll(name string, _ os.FileMode) error {
	defer s.changed(name)
	return s.do("mkdir", false, func(sh *smb2.Share) error { return sh.Mkdir(s.wire(name), 0o777) })
}

// Remove closes our own handles first: the server would refuse.
func (s *share) Remove(name string) error {
	s.files.gone(name)
	defer s.forget(name)
	defer s.changed(name)
	err := s.do("remove", false, func(sh *smb2.Share) error { return sh.Remove(s.wire(name)) })
	if err == nil {
		s.files.removed(name)
	}
	return err
}

// Rename closes our own handles below both names; they are opened again by the new name when they are used.
func (s *share) Rename(from, to string) error {
	defer s.files.moving(from, to)()
	defer func() { s.forget(from); s.forget(to); s.changed(from, to) }()
	err := s.do("rename", false, func(sh *smb2.Share) error { return sh.Rename(s.wire(from), s.wire(to)) })
	if err == nil {
		s.files.moved(from, to)
	}
	return err
}

// Chmod keeps the right to write, and refuses modes that differ in something else.
func (s *share) Chmod(name string, mode os.FileMode) error {
	fi, err := s.Lstat(name)
	if err != nil {
		return err
	}
	usual := s.cfg.FileMode
	if fi.IsDir() {
		usual = s.cfg.DirMode
	}
	asked := uint32(mode.Perm())
	if mode&(os.ModeSetuid|os.ModeSetgid|os.ModeSticky) != 0 || asked != usual && (asked != usual&^0o222 || fi.IsDir()) {
		return &causeway.Error{Op: "chmod", Code: causeway.ErrNotSupp}
	}
	defer s.changed(name)
	return s.do("chmod", true, func(sh *smb2.Share) error { return sh.Chmod(s.wire(name), mode.Perm()|0o444) })
}

// Chtimes sets both times.
func (s *share) Chtimes(name string, atime, mtime time.Time) error {
	defer s.changed(name)
	return s.do("chtimes", true, func(sh *smb2.Share) error { return sh.Chtimes(s.wire(name), atime, mtime) })
}

// Readlink shows a link as the server stores it.
func (s *share) Readlink(name string) (target string, err error) {
	err = s.do("readlink", true, func(sh *smb2.Share) (err error) {
		target, err = sh.Readlink(s.wire(name))
		return err
	})
	return strings.ReplaceAll(target, `\`, "/"), err
}

// StatFS tells the server's room.
func (s *share) StatFS() (st causeway.FSStat, err error) {
	err = s.do("statfs", true, func(sh *smb2.Share) error {
		fs, err := sh.Statfs("")
		if err != nil {
			return err
		}
		unit := fs.BlockSize()
		st = causeway.FSStat{TotalBytes: fs.TotalBlockCount() * unit, FreeBytes: fs.FreeBlockCount() * unit, AvailBytes: fs.AvailableBlockCount() * unit, BlockSize: uint32(unit)}
		return nil
	})
	return st, err
}

// ConcurrentWrites tells billyfs that files may be written by many goroutines.
func (s *share) ConcurrentWrites() bool { return true }

// What billyfs does not use, and what a share cannot do.

func (s *share) Symlink(string, string) error { return billy.ErrNotSupported }

func (s *share) Create(string) (billy.File, error) { return nil, billy.ErrNotSupported }

func (s *share) Open(string) (billy.File, error) { return nil, billy.ErrNotSupported }

func (s *share) TempFile(string, string) (billy.File, error) { return nil, billy.ErrNotSupported }

func (s *share) Chroot(string) (billy.Filesystem, error) { return nil, billy.ErrNotSupported }

func (s *share) Root() string { return "." }

func (s *share) Join(elem ...string) string { return path.Join(elem...) }
