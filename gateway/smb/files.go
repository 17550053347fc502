package smb

import (
	"slices"
	"sync"

	"causeway"
	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/wire"
)

// files is the table of files that are open: share modes and pending deletions. It knows the opens of this server only.
type files struct {
	mu       sync.Mutex
	byHandle map[causeway.Handle]*file
	opens    int
}

// file is what the opens of one object share.
type file struct {
	opens         []*open
	deletePending bool
}

func (f *files) init() { f.byHandle = map[causeway.Handle]*file{} }

func (f *files) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opens
}

// accessShared are the rights that share modes are about: an open with none of them conflicts with nothing ([MS-FSA] 2.1.5.1.2).
const (
	accessReads   = wire.AccessReadData | wire.AccessExecute
	accessWrites  = wire.AccessWriteData | wire.AccessAppendData
	accessDeletes = wire.AccessDelete
	accessShared  = accessReads | accessWrites | accessDeletes
)

// conflicts reports whether an open with one access and share mode can be beside another.
func conflicts(access, share, otherAccess, otherShare uint32) bool {
	if access&accessShared == 0 || otherAccess&accessShared == 0 {
		return false
	}
	denied := func(access, share uint32) bool {
		return access&accessReads != 0 && share&wire.ShareRead == 0 ||
			access&accessWrites != 0 && share&wire.ShareWrite == 0 ||
			access&accessDeletes != 0 && share&wire.ShareDelete == 0
	}
	return denied(access, otherShare) || denied(otherAccess, share)
}

// add makes an open known: SharingViolation, DeletePending.
func (f *files) add(o *open) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.byHandle[o.handle]
	if x == nil {
		x = &file{}
		f.byHandle[o.handle] = x
	}
	if x.deletePending {
		return ntstatus.DeletePending
	}
	for _, other := range x.opens {
		if conflicts(o.access, o.share, other.access, other.share) {
			return ntstatus.SharingViolation
		}
	}
	x.opens = append(x.opens, o)
	f.opens++
	return nil
}

// check is add without adding: whether somebody who is about to change the file may.
func (f *files) check(h causeway.Handle, access, share uint32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.byHandle[h]
	if x == nil {
		return nil
	}
	if x.deletePending {
		return ntstatus.DeletePending
	}
	for _, other := range x.opens {
		if conflicts(access, share, other.access, other.share) {
			return ntstatus.SharingViolation
		}
	}
	return nil
}

// drop takes an open away. remove: its name, or that of another open before it, has to go now.
func (f *files) drop(o *open) (remove bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.byHandle[o.handle]
	if x == nil {
		return false
	}
	for i, other := range x.opens {
		if other == o {
			x.opens = append(x.opens[:i], x.opens[i+1:]...)
			f.opens--
			break
		}
	}
	if o.deleteOnClose {
		x.deletePending = true
	}
	if len(x.opens) > 0 {
		return false
	}
	delete(f.byHandle, o.handle)
	return x.deletePending
}

// setDelete marks the file to be removed with its last open, or takes the mark back.
func (f *files) setDelete(o *open, pending bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if x := f.byHandle[o.handle]; x != nil {
		x.deletePending = pending
	}
}

func (f *files) deletePending(h causeway.Handle) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.byHandle[h]
	return x != nil && x.deletePending
}

// opened reports whether any open of the object is there.
func (f *files) opened(h causeway.Handle) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.byHandle[h]
	return x != nil && len(x.opens) > 0
}

// moved tells the opens of an object by one name that it has another one now.
func (f *files) moved(h, from causeway.Handle, name string, parent causeway.Handle, path []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.byHandle[h]
	if x == nil {
		return
	}
	for _, o := range x.opens {
		if dir, base := o.place(); dir == from && base == name {
			o.moved(parent, path)
		}
	}
}

// below reports whether anything under a directory is open.
func (f *files) below(dir *open) bool {
	dir.mu.Lock()
	top := slices.Clone(dir.path)
	dir.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	for h, x := range f.byHandle {
		if h.Volume != dir.handle.Volume || h == dir.handle {
			continue
		}
		for _, o := range x.opens {
			o.mu.Lock()
			under := len(o.path) > len(top) && slices.Equal(o.path[:len(top)], top)
			o.mu.Unlock()
			if under {
				return true
			}
		}
	}
	return false
}
