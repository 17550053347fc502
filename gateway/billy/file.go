package billy

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/go-git/go-billy/v5"

	"causeway"
	"causeway/gateway"
	"causeway/internal/sleep"
)

// file is an open file.
type file struct {
	fs     *Filesystem
	name   string
	handle causeway.Handle
	flag   int
	owner  causeway.Owner

	mu       sync.Mutex
	pos      int64
	closed   bool
	locked   bool
	unstable bool              // there are writes that no Sync followed
	verifier causeway.Verifier // of the first of them
	lost     bool              // a write after it had another one: something may be lost
}

var (
	_ billy.File  = (*file)(nil)
	_ io.WriterAt = (*file)(nil)
)

// Name returns the name as it was given to OpenFile.
func (f *file) Name() string { return f.name }

// usable is called with the lock held.
func (f *file) usable(can bool) error {
	if f.closed {
		return os.ErrClosed
	}
	if !can {
		return causeway.ErrAccess
	}
	return nil
}

// Read reads from the position.
func (f *file) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.readAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// ReadAt reads all of p, or what there is and io.EOF.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.readAt(p, off)
}

func (f *file) readAt(p []byte, off int64) (n int, err error) {
	if err := f.usable(readable(f.flag)); err != nil {
		return 0, failed("read", f.name, err)
	}
	if off < 0 {
		return 0, failed("read", f.name, causeway.ErrInval)
	}
	for n < len(p) {
		part := p[n:min(n+causeway.MaxTransfer, len(p))]
		r, err := f.fs.transfer.Read(f.fs.ctx, f.fs.as(), f.handle, uint64(off)+uint64(n), part)
		if n += r.N; err != nil {
			return n, failed("read", f.name, err)
		}
		if r.EOF || r.N == 0 {
			break
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Write writes at the position, with O_APPEND at the end.
func (f *file) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.flag&os.O_APPEND != 0 {
		end, err := f.end()
		if err != nil {
			return 0, failed("write", f.name, err)
		}
		f.pos = end
	}
	n, err := f.writeAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

// WriteAt writes all of p, or returns an error.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.flag&os.O_APPEND != 0 {
		return 0, failed("write", f.name, causeway.ErrInval) // as os.File
	}
	return f.writeAt(p, off)
}

func (f *file) writeAt(p []byte, off int64) (n int, err error) {
	if err := f.usable(writable(f.flag)); err != nil {
		return 0, failed("write", f.name, err)
	}
	if off < 0 {
		return 0, failed("write", f.name, causeway.ErrInval)
	}
	for n < len(p) {
		part := p[n:min(n+causeway.MaxTransfer, len(p))]
		r, err := f.fs.transfer.Write(f.fs.ctx, f.fs.as(), f.handle, uint64(off)+uint64(n), part, causeway.Unstable)
		if err != nil {
			return n, failed("write", f.name, err)
		}
		n += r.N
		if !f.unstable {
			f.unstable, f.verifier = true, r.Verifier
		}
		f.lost = f.lost || r.Verifier != f.verifier
	}
	return n, nil
}

func (f *file) end() (int64, error) {
	a, err := f.fs.access.GetAttr(f.fs.ctx, f.fs.as(), f.handle)
	return int64(min(a.Size, 1<<63-1)), err
}

// Seek moves the position.
func (f *file) Seek(offset int64, whence int) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(true); err != nil {
		return 0, failed("seek", f.name, err)
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		end, err := f.end()
		if err != nil {
			return 0, failed("seek", f.name, err)
		}
		offset += end
	default:
		return 0, failed("seek", f.name, causeway.ErrInval)
	}
	if offset < 0 {
		return 0, failed("seek", f.name, causeway.ErrInval)
	}
	f.pos = offset
	return offset, nil
}

// Truncate sets the size.
func (f *file) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.usable(writable(f.flag))
	if err == nil && size < 0 {
		err = causeway.ErrInval
	}
	if err == nil {
		_, err = f.fs.access.SetAttr(f.fs.ctx, f.fs.as(), f.handle, &causeway.SetAttr{Mask: causeway.SetSize, Size: uint64(size)}, nil)
	}
	return failed("truncate", f.name, err)
}

// Sync makes what was written stable. If something may have been lost since it was written, it fails, once.
func (f *file) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(true); err != nil {
		return failed("sync", f.name, err)
	}
	return failed("sync", f.name, f.sync())
}

func (f *file) sync() error {
	if !f.unstable {
		return nil
	}
	r, err := f.fs.transfer.Sync(f.fs.ctx, f.fs.as(), f.handle, causeway.Span{Length: causeway.ToEOF})
	if err == nil && (f.lost || r.Verifier != f.verifier) {
		err = &causeway.Error{Op: "sync", Code: causeway.ErrIO, Object: f.handle.Object, Err: errors.New("unstable writes may be lost")}
	}
	f.unstable, f.lost = false, false
	return err
}

// Close syncs, unlocks and closes the file.
func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return failed("close", f.name, os.ErrClosed)
	}
	err := f.sync()
	if e := f.unlock(); err == nil {
		err = e
	}
	f.closed = true
	return failed("close", f.name, err)
}

// The wait between two attempts to lock: it grows from the first to the last.
const (
	firstWait = 5 * time.Millisecond
	lastWait  = 200 * time.Millisecond
)

// Lock takes the whole file for this open file alone, and waits for it as long as the filesystem's context lasts.
func (f *file) Lock() error {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		err := f.tryLock()
		if !errors.Is(err, causeway.ErrLocked) && !errors.Is(err, causeway.ErrGrace) {
			return failed("lock", f.name, err)
		}
		if !sleep.For(f.fs.ctx, wait) {
			return failed("lock", f.name, f.fs.ctx.Err())
		}
	}
}

func (f *file) tryLock() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(true); err != nil {
		return err
	}
	caller := f.fs.as()
	caller.Owner = f.owner
	_, err := f.fs.access.Lock(f.fs.ctx, caller, f.handle, gateway.LockSpec{Span: causeway.Span{Length: causeway.ToEOF}, Exclusive: true})
	f.locked = f.locked || err == nil
	return err
}

// Unlock gives the lock back.
func (f *file) Unlock() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.usable(true); err != nil {
		return failed("unlock", f.name, err)
	}
	return failed("unlock", f.name, f.unlock())
}

func (f *file) unlock() error {
	if !f.locked {
		return nil
	}
	caller := f.fs.as()
	caller.Owner = f.owner
	f.locked = false
	return f.fs.access.Unlock(f.fs.ctx, caller, f.handle, causeway.Span{Length: causeway.ToEOF})
}
