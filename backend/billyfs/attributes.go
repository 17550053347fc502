package billyfs

import (
	"context"
	"os"
	"time"

	"github.com/go-git/go-billy/v5"

	"causeway"
)

// times is what is known of an object's times beside what the filesystem tells.
type times struct {
	atime, mtime, ctime causeway.Time
	seen                causeway.Time // the filesystem's mtime when mtime was set; another one wins over mtime
	change              uint64
}

// unseen is no time of any file.
var unseen = causeway.Time{Nsec: 1 << 31}

// start gives a new node its times.
func (s *Store) start(n *node, fi os.FileInfo) {
	mod := causeway.TimeOf(fi.ModTime())
	n.times = times{atime: mod, mtime: mod, ctime: mod, seen: mod, change: uint64(fi.ModTime().UnixNano())}
}

// touch notes a change of attributes, and of the contents if data is true.
func (s *Store) touch(n *node, data bool) {
	now := s.now()
	n.ctime, n.change = now, max(n.change+1, uint64(now.Std().UnixNano()))
	if data {
		n.mtime, n.seen = now, unseen
	}
}

// attr makes the attributes of a node.
func (s *Store) attr(n *node, fi os.FileInfo) causeway.Attr {
	if mod := causeway.TimeOf(fi.ModTime()); !s.noTimes && mod != n.seen {
		if n.seen != unseen && mod.Compare(n.ctime) > 0 { // another program
			n.ctime, n.change = mod, max(n.change+1, uint64(fi.ModTime().UnixNano()))
		}
		n.mtime, n.seen = mod, mod
	}
	a := causeway.Attr{Type: n.typ, Mode: modeOf(fi.Mode()), Nlink: 1, UID: s.cfg.UID, GID: s.cfg.GID, FileID: n.fileID,
		Atime: n.atime, Mtime: n.mtime, Ctime: n.ctime, Change: n.change}
	s.owner(fi, &a)
	switch n.typ {
	case causeway.TypeDirectory:
		a.Nlink, a.Size, a.Used = 2, 4096, 4096
	case causeway.TypeRegular:
		a.Size = uint64(max(fi.Size(), 0))
		a.Used = (a.Size + 4095) &^ 4095
	case causeway.TypeSymlink:
		if target, err := s.fs.Readlink(n.path()); err == nil {
			a.Size = uint64(len(target))
		}
	}
	return a
}

// typeOf and modeOf translate a mode; an irregular file counts as a device that nobody can open.
func typeOf(m os.FileMode) causeway.FileType {
	switch {
	case m.IsRegular():
		return causeway.TypeRegular
	case m.IsDir():
		return causeway.TypeDirectory
	case m&os.ModeSymlink != 0:
		return causeway.TypeSymlink
	case m&os.ModeNamedPipe != 0:
		return causeway.TypeFIFO
	case m&os.ModeSocket != 0:
		return causeway.TypeSocket
	case m&os.ModeDevice != 0 && m&os.ModeCharDevice == 0:
		return causeway.TypeBlock
	}
	return causeway.TypeChar
}

var setBits = []struct {
	os  os.FileMode
	bit uint32
}{{os.ModeSetuid, causeway.ModeSetUID}, {os.ModeSetgid, causeway.ModeSetGID}, {os.ModeSticky, causeway.ModeSticky}}

func modeOf(m os.FileMode) uint32 {
	mode := uint32(m.Perm())
	for _, b := range setBits {
		if m&b.os != 0 {
			mode |= b.bit
		}
	}
	return mode
}

// osMode is the mode for a type that billy can make.
func osMode(typ causeway.FileType, mode uint32) os.FileMode {
	m := os.FileMode(mode & causeway.ModePerm)
	for _, b := range setBits {
		if mode&b.bit != 0 {
			m |= b.os
		}
	}
	if typ == causeway.TypeDirectory {
		m |= os.ModeDir
	}
	return m
}

// Stat returns the attributes of an object.
func (s *Store) Stat(ctx context.Context, id causeway.ObjectID) (causeway.Attr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, fi, err := s.get(ctx, id)
	if err != nil {
		return causeway.Attr{}, err
	}
	return s.attr(n, fi), nil
}

// SetStat changes attributes; nothing of what can be seen beforehand to be impossible is begun.
func (s *Store) SetStat(ctx context.Context, id causeway.ObjectID, set *causeway.SetAttr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, fi, err := s.get(ctx, id)
	if err != nil {
		return err
	}
	a := s.attr(n, fi)
	if err := s.maySet(n, &a, set); err != nil {
		return err
	}
	if set.Has(causeway.SetSize) {
		if err := s.truncate(n, set.Size); err != nil {
			return err
		}
	}
	if err := s.setOwner(n, &a, set); err != nil {
		return err
	}
	if set.Has(causeway.SetMode) {
		if err := s.chmod(n.path(), osMode(n.typ, set.Mode)); err != nil {
			return err
		}
	}
	if set.Mask != 0 {
		s.touch(n, set.Has(causeway.SetSize))
	}
	return s.setTimes(n, set)
}

func (s *Store) maySet(n *node, a *causeway.Attr, set *causeway.SetAttr) error {
	_, owners := s.fs.(billy.Change)
	_, modes := s.fs.(billy.Chmod)
	switch {
	case set.Has(causeway.SetSize) && n.typ == causeway.TypeDirectory:
		return causeway.ErrIsDir
	case set.Has(causeway.SetSize) && n.typ != causeway.TypeRegular:
		return causeway.ErrInval
	case set.Has(causeway.SetSize) && set.Size > s.cfg.MaxFile:
		return causeway.ErrFBig
	case set.Has(causeway.SetACL|causeway.SetDefaultACL) && (set.ACL != nil || set.DefaultACL != nil):
		return causeway.ErrNotSupp
	case set.Has(causeway.SetMode) && (n.typ == causeway.TypeSymlink || !modes):
		return causeway.ErrNotSupp
	case !owners && (set.Has(causeway.SetUID) && set.UID != a.UID || set.Has(causeway.SetGID) && set.GID != a.GID):
		return causeway.ErrNotSupp
	}
	return nil
}

func (s *Store) truncate(n *node, size uint64) error {
	f, err := s.fs.OpenFile(n.path(), os.O_RDWR, 0)
	if err != nil {
		return failed("truncate", err)
	}
	err = f.Truncate(int64(size))
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return failed("truncate", err)
	}
	return nil
}

func (s *Store) setOwner(n *node, a *causeway.Attr, set *causeway.SetAttr) error {
	c, can := s.fs.(billy.Change)
	if !can || !set.Has(causeway.SetUID|causeway.SetGID) {
		return nil
	}
	uid, gid := a.UID, a.GID
	if set.Has(causeway.SetUID) {
		uid = set.UID
	}
	if set.Has(causeway.SetGID) {
		gid = set.GID
	}
	if err := c.Lchown(n.path(), int(uid), int(gid)); err != nil {
		return failed("chown", err)
	}
	return nil
}

// timesKeeper is the part of billy.Change that a filesystem without owners can have.
type timesKeeper interface {
	Chtimes(name string, atime, mtime time.Time) error
}

// setTimes sets times in the filesystem if it can, and notes them.
func (s *Store) setTimes(n *node, set *causeway.SetAttr) error {
	if !set.Has(causeway.SetAtime | causeway.SetAtimeNow | causeway.SetMtime | causeway.SetMtimeNow) {
		return nil
	}
	fi, err := s.look(n)
	if err != nil {
		return err
	}
	s.attr(n, fi) // takes the filesystem's time in first
	now := s.now()
	switch {
	case set.Has(causeway.SetAtimeNow):
		n.atime = now
	case set.Has(causeway.SetAtime):
		n.atime = set.Atime
	}
	switch {
	case set.Has(causeway.SetMtimeNow):
		n.mtime = now
	case set.Has(causeway.SetMtime):
		n.mtime = set.Mtime
	}
	if c, can := s.fs.(timesKeeper); can && n.typ != causeway.TypeSymlink {
		if err := c.Chtimes(n.path(), n.atime.Std(), n.mtime.Std()); err != nil {
			return failed("chtimes", err)
		}
		if fi, err = s.look(n); err != nil {
			return err
		}
	}
	n.seen = causeway.TimeOf(fi.ModTime())
	return nil
}

// ACL implements backend.Tree.
func (s *Store) ACL(ctx context.Context, id causeway.ObjectID) (*causeway.ACL, error) {
	a, err := s.Stat(ctx, id)
	return a.ACL, err
}
