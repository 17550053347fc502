// Package billy offers a volume to Go programs as a go-billy filesystem. It is a front like those of NFS and SMB: it speaks
// to gateway.Access and gateway.Transfer, and every call has the rights of its Caller.
//
// Paths are walked here, one name at a time; symbolic links are followed as if the root of the filesystem were the root of
// all, at most 40 in one path, and neither they nor ".." lead out of it. Parent directories are made as billy has it, by
// OpenFile with O_CREATE, Symlink and Rename.
//
// What is written is stable when File.Close or File.Sync has returned without an error. O_APPEND writes at the end that the
// file has at that moment; between programs that append at once this is not atomic.
//
// The other direction, a billy filesystem as a volume, is backend/billyfs.
package billy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"path"
	"sync/atomic"

	"github.com/go-git/go-billy/v5"

	"causeway"
	"causeway/gateway"
)

// Filesystem is a volume, or a directory of one, as a billy filesystem. It may be used by many goroutines at once.
type Filesystem struct {
	*engine
	parent *Filesystem // nil: the whole volume
	base   string      // path of the root in parent
}

// engine is what a filesystem and those made of it by Chroot share.
type engine struct {
	ctx      context.Context // billy's methods have none
	access   gateway.Access
	transfer gateway.Transfer
	volume   causeway.VolumeID
	caller   gateway.Caller
	files    atomic.Uint64 // numbers open files as lock owners
}

var (
	_ billy.Filesystem = (*Filesystem)(nil)
	_ billy.Change     = (*Filesystem)(nil)
	_ billy.Capable    = (*Filesystem)(nil)
)

// New returns a volume as a filesystem in which everything is done as the caller. Calls fail when the context ends. Locks
// belong to caller.Owner, each open file being an owner of its own; to an owner of this filesystem only if that is zero.
func New(ctx context.Context, access gateway.Access, transfer gateway.Transfer, volume causeway.VolumeID, caller gateway.Caller) billy.Filesystem {
	caller.NoWait = false
	if caller.Owner.Kind == causeway.OwnerNone {
		var b [16]byte
		rand.Read(b[:]) // never fails
		caller.Owner = causeway.Owner{Kind: causeway.OwnerLocal, Client: hex.EncodeToString(b[:])}
	}
	return &Filesystem{engine: &engine{ctx: ctx, access: access, transfer: transfer, volume: volume, caller: caller}}
}

// as returns the caller for one call: engines may keep notes in it.
func (e *engine) as() *gateway.Caller {
	c := e.caller
	return &c
}

// Chroot returns the directory as a filesystem of its own. It need not exist yet.
func (fs *Filesystem) Chroot(dir string) (billy.Filesystem, error) {
	return &Filesystem{engine: fs.engine, parent: fs, base: path.Clean("/" + dir)}, nil
}

// Root returns the path of the filesystem's root in the volume.
func (fs *Filesystem) Root() string {
	if fs.parent == nil {
		return "/"
	}
	return path.Join(fs.parent.Root(), fs.base)
}

// Join joins path elements.
func (fs *Filesystem) Join(elem ...string) string { return path.Join(elem...) }

// Capabilities says that everything can be done.
func (fs *Filesystem) Capabilities() billy.Capability { return billy.AllCapabilities }

// top returns the root directory.
func (fs *Filesystem) top() (gateway.Entry, error) {
	if fs.parent == nil {
		return fs.access.Root(fs.ctx, fs.as(), fs.volume)
	}
	p, err := fs.parent.walk(fs.base, true)
	if err != nil {
		return gateway.Entry{}, err
	}
	if !p.exists {
		return gateway.Entry{}, causeway.ErrNoEnt
	}
	return p.Entry, nil
}
