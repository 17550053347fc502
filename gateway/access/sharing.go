package access

import (
	"context"

	"causeway"
	"causeway/gateway"
)

// What opens of SMB clients, at whatever gateway, have to say to changes of names. It is decided here, where all opens of the volume are
// known.

// mayMove decides whether opens let an SMB client rename an object: those of anything below a directory stand in the way ([MS-FSA]
// 2.1.5.15.11), and those of the directory that the name comes to, which changes as if it were opened for that.
func (e *Engine) mayMove(ctx context.Context, c *gateway.Caller, v *volume, moved causeway.Handle, isDir bool, to causeway.Handle) error {
	if c.Owner.Kind != causeway.OwnerSMB {
		return nil
	}
	if isDir && e.openBelow(ctx, v, moved) {
		return causeway.ErrAccess
	}
	if e.locks.Refuses(to, causeway.FileWriteData|causeway.Delete, causeway.ShareRead|causeway.ShareWrite) {
		return causeway.ErrSharing
	}
	return nil
}

// maySever decides whether opens of SMB clients let somebody who opens nothing take away, or replace, a name of an object: where they
// bind others than SMB clients at all, those that do not share its deletion do not. Leases on handles were broken before.
func (e *Engine) maySever(c *gateway.Caller, v *volume, h causeway.Handle) error {
	if c.Owner.Kind != causeway.OwnerSMB && v.Mandatory && e.locks.Refuses(h, causeway.Delete, causeway.ShareRead|causeway.ShareWrite|causeway.ShareDelete) {
		return causeway.ErrSharing
	}
	return nil
}

// maxDepth bounds how deep below a directory opens are looked for.
const maxDepth = 256

// openBelow reports whether anything below a directory is open.
func (e *Engine) openBelow(ctx context.Context, v *volume, top causeway.Handle) bool {
	below := map[causeway.ObjectID]bool{top.Object: true, v.store.Root(): false} // what is known of directories
	for _, dir := range e.locks.OpenDirs(v.ID) {
		if e.isBelow(ctx, v, dir.Object, below) {
			return true
		}
	}
	return false
}

func (e *Engine) isBelow(ctx context.Context, v *volume, dir causeway.ObjectID, known map[causeway.ObjectID]bool) (is bool) {
	var path []causeway.ObjectID
	for range maxDepth {
		answer, ok := known[dir]
		if ok {
			is = answer
			break
		}
		path = append(path, dir)
		parent, _, err := v.store.Lookup(ctx, dir, "..")
		if err != nil || parent == dir {
			break
		}
		dir = parent
	}
	for _, id := range path {
		known[id] = is
	}
	return is
}
