package smb

import (
	"errors"
	"io"
	"math"
	"os"
	"syscall"

	"github.com/cloudsoda/go-smb2"
	"github.com/go-git/go-billy/v5"
)

// OpenFile opens a file that is there, or with O_CREATE|O_EXCL makes one.
func (s *share) OpenFile(name string, flag int, mode os.FileMode) (billy.File, error) {
	if flag&os.O_CREATE != 0 {
		defer s.changed(name)
		perm := os.FileMode(0o666)
		if mode&0o222 == 0 {
			perm = 0o444
		}
		err := s.do("create", false, func(sh *smb2.Share) error {
			f, err := sh.OpenFile(s.wire(name), flag, perm)
			if err != nil {
				return err
			}
			return f.Close()
		})
		if err != nil {
			return nil, err
		}
	}
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	o := s.files.byPath[name]
	if o == nil {
		o = &opened{files: &s.files, path: name}
		s.files.byPath[name] = o
	}
	o.users++
	return &file{opened: o, writable: flag&(os.O_WRONLY|os.O_RDWR) != 0}, nil
}

// file is one opening of a file.
type file struct {
	*opened
	writable bool
	closed   bool
	at       int64 // its position
}

func (f *file) Name() string { return f.path }

// maxOffset is where files end at the latest: servers refuse to read behind it.
const maxOffset = math.MaxInt64 - 1<<20

// ReadAt returns io.EOF with what there is in front of the end.
func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	if off > maxOffset {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), maxOffset-off)]
	err = f.with("read", false, func(h *smb2.File) (err error) {
		n, err = h.ReadAt(p, off)
		return err
	})
	if errors.Is(err, io.EOF) || err == nil && n < len(p) {
		return n, io.EOF
	}
	return n, failed("read", err)
}

// WriteAt writes all of p, or fails.
func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	if !f.writable {
		return 0, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.EBADF}
	}
	var over *link
	err = f.with("write", true, func(h *smb2.File) (err error) {
		over = f.link // held for reading
		n, err = h.WriteAt(p, off)
		return err
	})
	f.wrote(over)
	f.files.share.changed(f.where())
	return n, failed("write", err)
}

// Sync makes what was written stable, and fails once if some of it was written over a connection that has ended since.
func (f *file) Sync() error { return f.opened.sync() }

func (f *file) Truncate(size int64) error {
	defer func() { f.files.share.changed(f.where()) }()
	return failed("truncate", f.with("truncate", true, func(h *smb2.File) error { return h.Truncate(size) }))
}

// Close closes the handle at the server when nobody has the file open any more. What was written is synced then, since nobody could tell
// later whether it was lost.
func (f *file) Close() error {
	fs, o := f.files, f.opened
	fs.mu.Lock()
	if f.closed {
		fs.mu.Unlock()
		return os.ErrClosed
	}
	f.closed = true
	last, gone := o.users == 1, o.gone
	fs.mu.Unlock()
	if last && !gone && o.unsynced() {
		_ = o.sync() // OnSyncError hears of it
	}
	fs.mu.Lock()
	o.users--
	last = o.users == 0
	if last && fs.byPath[o.path] == o {
		delete(fs.byPath, o.path)
	}
	fs.mu.Unlock()
	if last {
		o.mu.Lock()
		o.drop()
		o.mu.Unlock()
	}
	return nil
}

// Seek tells the size when it seeks the end; billyfs needs no position.
func (f *file) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		err := f.with("seek", false, func(h *smb2.File) error {
			fi, err := h.Stat()
			if err == nil {
				offset += fi.Size()
			}
			return err
		})
		if err != nil {
			return 0, failed("seek", err)
		}
	}
	f.at = offset
	return offset, nil
}

func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	return n, err
}

func (f *file) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.at)
	f.at += int64(n)
	return n, err
}

// Lock and Unlock are not used: locks are the gateways' affair.
func (f *file) Lock() error   { return billy.ErrNotSupported }
func (f *file) Unlock() error { return billy.ErrNotSupported }
