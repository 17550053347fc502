package billyfs

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/go-git/go-billy/v5"

	"causeway"
	"causeway/backend"
)

// Extents answers one extent that covers the file.
func (s *Store) Extents(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, span causeway.Span) ([]causeway.Extent, causeway.Locator, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.regular(ctx, id); err != nil {
		return nil, nil, err
	}
	state := causeway.ExtentRead
	if mode == causeway.IOReadWrite {
		state = causeway.ExtentReadWrite
	}
	return []causeway.Extent{{Length: causeway.ToEOF, State: state}}, nil, nil
}

func (s *Store) regular(ctx context.Context, id causeway.ObjectID) (*node, error) {
	n, _, err := s.get(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case n.typ == causeway.TypeDirectory:
		return nil, causeway.ErrIsDir
	case n.typ != causeway.TypeRegular:
		return nil, causeway.ErrInval
	}
	return n, nil
}

// Open opens a file of the filesystem.
func (s *Store) Open(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, loc causeway.Locator) (backend.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.regular(ctx, id)
	if err != nil {
		return nil, err
	}
	flag := os.O_RDONLY
	if mode == causeway.IOReadWrite {
		flag = os.O_RDWR
	}
	f, err := s.fs.OpenFile(n.path(), flag, 0)
	if err != nil {
		return nil, failed("open", err)
	}
	return &object{store: s, node: n, file: f, writable: mode == causeway.IOReadWrite}, nil
}

// object is an open file.
type object struct {
	store    *Store
	node     *node
	file     billy.File // its position is used under the store's exclusive lock
	writable bool
}

// gone reports whether the file's name was removed; it is asked for with the lock held.
func (o *object) gone() bool { return o.node.parent == nil }

func (o *object) Stat(ctx context.Context) (causeway.Attr, error) {
	s := o.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return causeway.Attr{}, causeway.ErrClosed
	}
	if !o.gone() {
		if fi, err := s.look(o.node); err == nil {
			return s.attr(o.node, fi), nil
		}
	}
	size, err := o.file.Seek(0, io.SeekEnd)
	if err != nil {
		return causeway.Attr{}, failed("stat", err)
	}
	n := o.node
	return causeway.Attr{Type: n.typ, UID: s.cfg.UID, GID: s.cfg.GID, FileID: n.fileID, Size: uint64(size), Used: uint64(size),
		Atime: n.atime, Mtime: n.mtime, Ctime: n.ctime, Change: n.change}, nil
}

func (o *object) ReadAt(ctx context.Context, p []byte, off uint64) (int, error) {
	if off > o.store.cfg.MaxFile {
		return 0, nil
	}
	o.store.mu.RLock()
	defer o.store.mu.RUnlock()
	n, err := o.file.ReadAt(p, int64(off))
	if err != nil && !errors.Is(err, io.EOF) {
		return n, failed("read", err)
	}
	return n, nil
}

func (o *object) WriteAt(ctx context.Context, p []byte, off uint64) (int, error) {
	s := o.store
	switch {
	case !o.writable:
		return 0, causeway.ErrAccess
	case off > s.cfg.MaxFile || uint64(len(p)) > s.cfg.MaxFile-off:
		return 0, causeway.ErrFBig
	case len(p) == 0:
		return 0, nil
	}
	if w, can := o.file.(io.WriterAt); can && s.writes {
		s.mu.RLock()
		_, err := w.WriteAt(p, int64(off))
		s.mu.RUnlock()
		if err != nil {
			return 0, failed("write", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.touch(o.node, true)
		return len(p), nil // modes with such bits are nothing that these filesystems have
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := o.write(p, int64(off)); err != nil {
		return 0, failed("write", err)
	}
	s.touch(o.node, true)
	o.dropPrivileges()
	return len(p), nil
}

// write uses the position where the file has no way around it.
func (o *object) write(p []byte, off int64) error {
	if w, can := o.file.(io.WriterAt); can {
		_, err := w.WriteAt(p, off)
		return err
	}
	if _, err := o.file.Seek(off, io.SeekStart); err != nil {
		return err
	}
	_, err := o.file.Write(p)
	return err
}

// dropPrivileges clears set-user-id and set-group-id, if the filesystem has not done so.
func (o *object) dropPrivileges() {
	if o.gone() {
		return
	}
	fi, err := o.store.fs.Lstat(o.node.path())
	if err != nil || !fi.Mode().IsRegular() {
		return
	}
	mode := modeOf(fi.Mode())
	keep := mode &^ causeway.ModeSetUID
	if mode&0o010 != 0 {
		keep &^= causeway.ModeSetGID
	}
	if keep != mode {
		_ = o.store.chmod(o.node.path(), osMode(causeway.TypeRegular, keep)) // the write was done; who cannot chmod could not set the bits either
	}
}

// Sync syncs the file if the filesystem knows how.
func (o *object) Sync(ctx context.Context, dataOnly bool) error {
	o.store.mu.RLock()
	defer o.store.mu.RUnlock()
	if f, can := o.file.(interface{ Sync() error }); can {
		if err := f.Sync(); err != nil {
			return failed("sync", err)
		}
	}
	return nil
}

func (o *object) Close() error {
	o.store.mu.Lock()
	defer o.store.mu.Unlock()
	if err := o.file.Close(); err != nil {
		return failed("close", err)
	}
	return nil
}
