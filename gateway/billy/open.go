package billy

import (
	"encoding/binary"
	"errors"
	"os"

	"github.com/go-git/go-billy/v5"

	"causeway"
	"causeway/gateway"
)

// Create makes a file or empties it, and opens it for reading and writing.
func (fs *Filesystem) Create(filename string) (billy.File, error) {
	return fs.OpenFile(filename, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// Open opens a file for reading.
func (fs *Filesystem) Open(filename string) (billy.File, error) {
	return fs.OpenFile(filename, os.O_RDONLY, 0)
}

// OpenFile opens a regular file as open(2) does; perm is exact, there is no umask.
func (fs *Filesystem) OpenFile(filename string, flag int, perm os.FileMode) (billy.File, error) {
	h, made, err := fs.openOrMake(filename, flag, modeOf(perm))
	if err == nil && !made {
		err = fs.prepare(h, flag)
	}
	if err != nil {
		return nil, failed("open", filename, err)
	}
	f := &file{fs: fs, name: filename, handle: h, flag: flag, owner: fs.caller.Owner}
	f.owner.Opaque += string(binary.BigEndian.AppendUint64(nil, fs.files.Add(1)))
	return f, nil
}

// tries bounds how often a name is walked to again because another one made or removed it meanwhile.
const tries = 8

// openOrMake finds the file of a path, or makes it.
func (fs *Filesystem) openOrMake(filename string, flag int, mode uint32) (h causeway.Handle, made bool, err error) {
	if flag&os.O_CREATE == 0 {
		at, err := fs.find(filename, true)
		return at.Handle, false, err
	}
	exclusive := flag&os.O_EXCL != 0
	for range tries {
		at, err := fs.toMake(filename, !exclusive)
		switch {
		case err != nil:
			return h, false, err
		case at.exists && exclusive:
			return h, false, causeway.ErrExist
		case at.exists:
			return at.Handle, false, nil
		}
		spec := &gateway.CreateSpec{Type: causeway.TypeRegular, How: gateway.Guarded, Set: causeway.SetAttr{Mask: causeway.SetMode, Mode: mode}}
		entry, _, err := fs.access.Create(fs.ctx, fs.as(), at.dir, at.name, spec)
		if err == nil || exclusive || !errors.Is(err, causeway.ErrExist) {
			return entry.Handle, true, err
		}
	}
	return h, false, causeway.ErrDelay
}

// prepare checks type and rights of an existing file, and empties it if that is asked for.
func (fs *Filesystem) prepare(h causeway.Handle, flag int) error {
	var want causeway.Rights
	if readable(flag) {
		want |= causeway.MayRead
	}
	if writable(flag) || flag&os.O_TRUNC != 0 {
		want |= causeway.MayWrite
	}
	got, attr, err := fs.access.Access(fs.ctx, fs.as(), h, want)
	switch {
	case err != nil:
		return err
	case attr.Type == causeway.TypeDirectory:
		return causeway.ErrIsDir
	case attr.Type != causeway.TypeRegular:
		return causeway.ErrNXIO
	case got != want:
		return causeway.ErrAccess
	case flag&os.O_TRUNC == 0:
		return nil
	}
	_, err = fs.access.SetAttr(fs.ctx, fs.as(), h, &causeway.SetAttr{Mask: causeway.SetSize}, nil)
	return err
}

func readable(flag int) bool { return flag&(os.O_RDONLY|os.O_WRONLY|os.O_RDWR) != os.O_WRONLY }
func writable(flag int) bool { return flag&(os.O_WRONLY|os.O_RDWR) != 0 }
