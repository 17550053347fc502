package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"causeway"
	"causeway/client/clientpb"
)

// File is an open file. Its calls end when the context of its opening does. What was written is stable when Sync or Close has returned
// without an error; until then the library keeps it, and writes it again if a gateway dies with it.
type File struct {
	v      *Volume
	ctx    context.Context // io's methods have none
	name   string
	handle []byte // of the file in the volume itself; nil until original has found it, where it was opened at a mirror
	flag   int
	keep   keep

	order sync.RWMutex // writers share it; who writes again what was kept has it alone

	place atomic.Pointer[place] // at a mirror

	borrowed atomic.Pointer[borrowed] // from a gateway on this machine

	owner uint64 // of its locks
	locks held

	mu     sync.Mutex
	pos    int64
	closed bool
}

var (
	_ io.ReaderAt        = (*File)(nil)
	_ io.WriterAt        = (*File)(nil)
	_ io.ReadWriteSeeker = (*File)(nil)
)

// Open opens a file for reading.
func (v *Volume) Open(ctx context.Context, name string) (*File, error) {
	return v.OpenFile(ctx, name, os.O_RDONLY, 0)
}

// Create opens a new or an emptied file for reading and writing.
func (v *Volume) Create(ctx context.Context, name string) (*File, error) {
	return v.OpenFile(ctx, name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// OpenFile is os.OpenFile, with O_RDONLY, O_WRONLY, O_RDWR, O_CREATE, O_EXCL, O_TRUNC and O_APPEND. Rights are checked by each read and write.
func (v *Volume) OpenFile(ctx context.Context, name string, flag int, perm fs.FileMode) (*File, error) {
	if flag&^(os.O_RDONLY|os.O_WRONLY|os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_TRUNC|os.O_APPEND) != 0 {
		return nil, failed("open", name, causeway.ErrNotSupp)
	}
	if flag&(os.O_WRONLY|os.O_RDWR|os.O_CREATE|os.O_TRUNC) != 0 {
		v.changes()
	}
	if flag == os.O_RDONLY {
		if f := v.openMirror(ctx, name); f != nil {
			return f, nil
		}
	}
	o, err := v.open(ctx, name, flag, perm)
	if err != nil {
		return nil, failed("open", name, err)
	}
	return &File{v: v, ctx: ctx, name: name, handle: o.handle, flag: flag, owner: v.c.owners.Add(1)}, nil
}

func (v *Volume) open(ctx context.Context, name string, flag int, perm fs.FileMode) (o object, err error) {
	made := &clientpb.Request{Type: uint32(causeway.TypeRegular), Set: mode(perm &^ *v.c.cfg.Umask), Exclusive: true}
	for try := 0; ; try++ {
		if flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL {
			return v.create(ctx, name, made)
		}
		o, err = v.walk(ctx, name, true)
		if !errors.Is(err, causeway.ErrNoEnt) || flag&os.O_CREATE == 0 {
			break
		}
		if o, err = v.create(ctx, name, made); !errors.Is(err, causeway.ErrExist) || try > 2 { // somebody else was faster
			return o, err
		}
	}
	writes := flag&(os.O_WRONLY|os.O_RDWR) != 0
	switch {
	case err != nil:
		return o, err
	case causeway.FileType(o.attr.GetType()) == causeway.TypeDirectory && writes:
		return o, causeway.ErrIsDir
	case flag&os.O_TRUNC != 0 && writes:
		return o, v.set(ctx, o.handle, &clientpb.SetAttr{Mask: uint32(causeway.SetSize)})
	}
	return o, nil
}

// Name returns the name as it was given when the file was opened.
func (f *File) Name() string { return f.name }

// writes reports whether the file was opened for writing.
func (f *File) writes() bool { return f.flag&(os.O_WRONLY|os.O_RDWR) != 0 }

// usable reports why the file cannot be used.
func (f *File) usable(can bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return fs.ErrClosed
	}
	if !can {
		return causeway.ErrAccess
	}
	return f.locks.kept()
}

// ReadAt reads all of p, or what there is and io.EOF. Large reads come over several gateways at once.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if err := f.usable(f.flag&os.O_WRONLY == 0); err != nil {
		return 0, failed("read", f.name, err)
	}
	if off < 0 {
		return 0, failed("read", f.name, causeway.ErrInval)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	err := f.settled(func() (err error) { n, err = f.readPieces(p, off); return err })
	if err != nil {
		return n, failed("read", f.name, err)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes all of p, or returns an error. Large writes go over several gateways at once, unless the volume's gateways cache
// attributes: there one writer at a time is faster.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if err := f.usable(f.writes()); err != nil {
		return 0, failed("write", f.name, err)
	}
	if off < 0 || f.flag&os.O_APPEND != 0 { // as os.File has it
		return 0, failed("write", f.name, causeway.ErrInval)
	}
	if len(p) == 0 {
		return 0, nil
	}
	f.order.RLock()
	err := f.each(f.pieces(off, len(p), !f.v.exclusive), func(_ int, c piece) error {
		return f.write(c.gateway, p[c.from:c.to], uint64(off)+uint64(c.from), causeway.Unstable)
	})
	f.order.RUnlock()
	if err == nil && f.keep.full(f.v.c.cfg.MaxUnsynced) {
		err = f.sync()
	}
	if err != nil {
		return 0, failed("write", f.name, err)
	}
	return len(p), nil
}

// Read reads from the position.
func (f *File) Read(p []byte) (int, error) {
	n, err := f.advance(p, f.ReadAt)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Write writes at the position; in a file that was opened with O_APPEND, at its end.
func (f *File) Write(p []byte) (int, error) {
	if f.flag&os.O_APPEND != 0 {
		return f.append(p)
	}
	return f.advance(p, f.WriteAt)
}

// advance moves bytes at the position, and the position behind them.
func (f *File) advance(p []byte, move func(p []byte, off int64) (int, error)) (int, error) {
	f.mu.Lock()
	at := f.pos
	f.mu.Unlock()
	n, err := move(p, at)
	f.mu.Lock()
	f.pos = at + int64(n)
	f.mu.Unlock()
	return n, err
}

// Seek moves the position.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	if err := f.usable(true); err != nil {
		return 0, failed("seek", f.name, err)
	}
	end := int64(0)
	if whence == io.SeekEnd {
		i, err := f.Stat()
		if err != nil {
			return 0, err
		}
		end = i.Size()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
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

// Stat describes the file.
func (f *File) Stat() (fs.FileInfo, error) {
	if err := f.usable(true); err != nil {
		return nil, failed("stat", f.name, err)
	}
	var m *clientpb.Reply
	err := f.settled(func() (err error) { m, err = f.attributes(); return err })
	if err != nil {
		return nil, failed("stat", f.name, err)
	}
	return newInfo(base(f.name), m.Attr), nil
}

// attributes asks for those of the file, or of what is read in its place.
func (f *File) attributes() (*clientpb.Reply, error) {
	for {
		at, err := f.at()
		if err != nil {
			return nil, err
		}
		m, err := f.v.c.ask(f.ctx, at.v.name, &clientpb.Request{Handle: at.handle}, method(clientpb.FilesClient.GetAttr))
		if err == nil || at.mirror == nil || f.ctx.Err() != nil {
			return m, err
		}
		f.v.mirror.CompareAndSwap(at.mirror, nil)
	}
}

// Truncate sets the size. What was written before is made stable first, so that it is not written again behind the new end.
func (f *File) Truncate(size int64) error {
	err := f.usable(f.writes())
	if err == nil && size < 0 {
		err = causeway.ErrInval
	}
	if err == nil {
		err = f.sync()
	}
	if err == nil {
		err = f.v.set(f.ctx, f.handle, &clientpb.SetAttr{Mask: uint32(causeway.SetSize), Size: uint64(size)})
	}
	return failed("truncate", f.name, err)
}

// Sync makes what was written stable.
func (f *File) Sync() error {
	err := f.usable(true)
	if err == nil {
		err = f.sync()
	}
	return failed("sync", f.name, err)
}

// Close syncs and closes the file, and gives its locks back.
func (f *File) Close() error {
	err := f.usable(true)
	if err == nil {
		err = f.sync()
	}
	if unlockErr := f.unlockAll(); err == nil {
		err = unlockErr
	}
	f.giveBack()
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	return failed("close", f.name, err)
}
