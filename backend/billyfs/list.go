package billyfs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"slices"

	"causeway"
)

// The cookies of the entries that every directory has. A name's cookie is a hash of it, so that it is the same whatever
// comes and goes and after a restart; entries are listed in the order of their cookies.
const (
	cookieDot    = 1
	cookieDotDot = 2
	cookieFirst  = 3
)

func cookieOf(name string) uint64 {
	h := sha256.Sum256([]byte(name))
	return max(binary.BigEndian.Uint64(h[:])>>1, cookieFirst) // within an off_t for clients that know no more
}

// listed is an entry to be emitted.
type listed struct {
	cookie uint64
	name   string
	fi     os.FileInfo
}

// listBatch bounds how many entries get their attributes under one hold of the lock.
const listBatch = 64

// readDir reads a directory.
func (s *Store) readDir(d *node) ([]os.FileInfo, error) {
	if _, err := s.look(d); err != nil {
		return nil, err
	}
	found, err := s.fs.ReadDir(d.path())
	for range 3 {
		if !os.IsNotExist(err) {
			break
		}
		found, err = s.fs.ReadDir(d.path()) // an entry has gone while it was looked at
	}
	if err != nil {
		return nil, failed("readdir", err)
	}
	return found, nil
}

// List emits the entries of dir behind cookie.
func (s *Store) List(ctx context.Context, dir causeway.ObjectID, cookie uint64, attrs bool, emit func(*causeway.DirEntry) bool) (bool, error) {
	if cookie > 1<<63-1 {
		return false, causeway.ErrBadCookie
	}
	behind, err := s.behind(ctx, dir, cookie)
	if err != nil {
		return false, err
	}
	for len(behind) > 0 {
		n := min(listBatch, len(behind))
		batch, err := s.entries(ctx, dir, behind[:n], attrs)
		if err != nil {
			return false, err
		}
		for i := range batch {
			if !emit(&batch[i]) {
				return false, nil
			}
		}
		behind = behind[n:]
	}
	return true, nil
}

// behind returns what stands behind a cookie, sorted.
func (s *Store) behind(ctx context.Context, dir causeway.ObjectID, cookie uint64) ([]listed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.getDir(ctx, dir)
	if err != nil {
		return nil, err
	}
	found, err := s.readDir(d)
	if err != nil {
		return nil, err
	}
	list := make([]listed, 0, len(found)+2)
	if cookie < cookieDot {
		list = append(list, listed{cookieDot, ".", nil})
	}
	if cookie < cookieDotDot {
		list = append(list, listed{cookieDotDot, "..", nil})
	}
	for _, fi := range found {
		if c := cookieOf(fi.Name()); c > cookie && checkName(fi.Name()) == nil {
			list = append(list, listed{c, fi.Name(), fi})
		}
	}
	slices.SortFunc(list, func(a, b listed) int { return cmp.Compare(a.cookie, b.cookie) })
	return list, nil
}

// entries makes entries, leaving out what has gone since the directory was read.
func (s *Store) entries(ctx context.Context, dir causeway.ObjectID, list []listed, attrs bool) ([]causeway.DirEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.getDir(ctx, dir)
	if err != nil {
		return nil, err
	}
	batch := make([]causeway.DirEntry, 0, len(list))
	for _, l := range list {
		n, fi := d, l.fi
		switch {
		case l.cookie == cookieDotDot:
			n = d.parent
		case l.cookie >= cookieFirst:
			if n, err = s.adopt(d, l.name, l.fi); err != nil {
				return nil, err
			}
		}
		e := causeway.DirEntry{Name: l.name, Cookie: l.cookie, FileID: n.fileID, Type: n.typ}
		if attrs || fi == nil {
			if fi, err = s.look(n); err != nil {
				continue
			}
		}
		if attrs {
			e.Object, e.Attr = n.id, s.attr(n, fi)
		}
		batch = append(batch, e)
	}
	return batch, nil
}
