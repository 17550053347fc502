package client

import (
	"bytes"
	"context"
	"io/fs"
	"time"

	"causeway"
	"causeway/client/clientpb"
	"causeway/redirect"
)

// batch is how many entries of a directory are asked for at once.
const batch = 512

// create makes an object.
func (v *Volume) create(ctx context.Context, name string, r *clientpb.Request) (object, error) {
	v.changes()
	dir, last, err := v.parent(ctx, name)
	if err != nil {
		return object{}, err
	}
	r.Handle, r.Name, r.Op = dir.handle, []byte(last), newOp()
	m, err := v.c.ask(ctx, v.name, r, method(clientpb.FilesClient.Create))
	if err != nil {
		return object{}, err
	}
	if !r.Exclusive {
		return object{m.Handle, m.Attr}, nil
	}
	// The times of a new file say who made it, so that a gateway that repeats the call knows. Now that it is answered they may be set.
	set := &clientpb.SetAttr{Mask: uint32(causeway.SetMode | causeway.SetAtimeNow | causeway.SetMtimeNow), Mode: r.Set.GetMode()}
	m2, err := v.c.ask(ctx, v.name, &clientpb.Request{Handle: m.Handle, Set: set, Op: newOp()}, method(clientpb.FilesClient.SetAttr))
	return object{m.Handle, m2.GetAttr()}, err
}

// mode is a change of the permission bits, and of those that package os has beside them.
func mode(perm fs.FileMode) *clientpb.SetAttr {
	bits := uint32(perm.Perm())
	for bit, mode := range modeBits {
		if perm&mode != 0 {
			bits |= bit
		}
	}
	return &clientpb.SetAttr{Mask: uint32(causeway.SetMode), Mode: bits}
}

// Mkdir makes a directory. If a gateway died meanwhile, an empty directory of that name counts as the one that was made.
func (v *Volume) Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	_, err := v.create(ctx, name, &clientpb.Request{Type: uint32(causeway.TypeDirectory), Set: mode(perm &^ *v.c.cfg.Umask)})
	if isDoubtful(err, causeway.ErrExist) {
		if list, listErr := v.ReadDir(ctx, name); listErr == nil && len(list) == 0 {
			err = nil
		}
	}
	return failed("mkdir", name, err)
}

// Symlink makes a symbolic link.
func (v *Volume) Symlink(ctx context.Context, target, name string) error {
	_, err := v.create(ctx, name, &clientpb.Request{Type: uint32(causeway.TypeSymlink), Target: []byte(target)})
	if isDoubtful(err, causeway.ErrExist) {
		if now, linkErr := v.Readlink(ctx, name); linkErr == nil && now == target {
			err = nil
		}
	}
	return failed("symlink", name, err)
}

// same reports whether a name is of an object.
func (v *Volume) same(ctx context.Context, name string, handle []byte) bool {
	o, err := v.walk(ctx, name, false)
	return err == nil && bytes.Equal(o.handle, handle)
}

// Readlink returns where a symbolic link leads.
func (v *Volume) Readlink(ctx context.Context, name string) (string, error) {
	o, err := v.walk(ctx, name, false)
	if err != nil {
		return "", failed("readlink", name, err)
	}
	m, err := v.c.ask(ctx, v.name, &clientpb.Request{Handle: o.handle}, method(clientpb.FilesClient.ReadLink))
	return string(m.GetTarget()), failed("readlink", name, err)
}

// removeAny is gateway.RemoveAny on the wire.
const removeAny = 2

// Remove removes a file or an empty directory.
func (v *Volume) Remove(ctx context.Context, name string) error {
	v.changes()
	dir, last, err := v.parent(ctx, name)
	if err == nil {
		_, err = v.c.ask(ctx, v.name, &clientpb.Request{Handle: dir.handle, Name: []byte(last), Kind: removeAny, Op: newOp()}, method(clientpb.FilesClient.Remove))
	}
	if isDoubtful(err, causeway.ErrNoEnt) {
		err = nil
	}
	return failed("remove", name, err)
}

// Rename gives a file or directory another name. A file that has that name already is replaced.
func (v *Volume) Rename(ctx context.Context, from, to string) error {
	v.changes()
	dir, last, err := v.parent(ctx, from)
	if err != nil {
		return failed("rename", from, err)
	}
	o, err := v.walk(ctx, from, false)
	if err != nil {
		return failed("rename", from, err)
	}
	dir2, last2, err := v.parent(ctx, to)
	if err == nil {
		_, err = v.c.ask(ctx, v.name, &clientpb.Request{Handle: dir.handle, Name: []byte(last), Handle2: dir2.handle, Name2: []byte(last2), Op: newOp()},
			method(clientpb.FilesClient.Rename))
	}
	if isDoubtful(err, causeway.ErrNoEnt) && v.same(ctx, to, o.handle) {
		err = nil
	}
	return failed("rename", to, err)
}

// Link gives a file a further name.
func (v *Volume) Link(ctx context.Context, name, further string) error {
	v.changes()
	o, err := v.walk(ctx, name, false)
	if err != nil {
		return failed("link", name, err)
	}
	dir, last, err := v.parent(ctx, further)
	if err == nil {
		_, err = v.c.ask(ctx, v.name, &clientpb.Request{Handle: o.handle, Handle2: dir.handle, Name2: []byte(last), Op: newOp()}, method(clientpb.FilesClient.Link))
	}
	if isDoubtful(err, causeway.ErrExist) && v.same(ctx, further, o.handle) {
		err = nil
	}
	return failed("link", further, err)
}

// set changes attributes.
func (v *Volume) set(ctx context.Context, handle []byte, set *clientpb.SetAttr) error {
	_, err := v.c.ask(ctx, v.name, &clientpb.Request{Handle: handle, Set: set, Op: newOp()}, method(clientpb.FilesClient.SetAttr))
	return err
}

func (v *Volume) setNamed(ctx context.Context, op, name string, set *clientpb.SetAttr) error {
	v.changes()
	o, err := v.walk(ctx, name, true)
	if err == nil {
		err = v.set(ctx, o.handle, set)
	}
	return failed(op, name, err)
}

// Chmod sets the permission bits.
func (v *Volume) Chmod(ctx context.Context, name string, perm fs.FileMode) error {
	return v.setNamed(ctx, "chmod", name, mode(perm))
}

// Truncate sets the size.
func (v *Volume) Truncate(ctx context.Context, name string, size int64) error {
	if size < 0 {
		return failed("truncate", name, causeway.ErrInval)
	}
	return v.setNamed(ctx, "truncate", name, &clientpb.SetAttr{Mask: uint32(causeway.SetSize), Size: uint64(size)})
}

// Chtimes sets the times of the last access and change.
func (v *Volume) Chtimes(ctx context.Context, name string, atime, mtime time.Time) error {
	a, m := causeway.TimeOf(atime), causeway.TimeOf(mtime)
	return v.setNamed(ctx, "chtimes", name, &clientpb.SetAttr{
		Mask: uint32(causeway.SetAtime | causeway.SetMtime), AtimeSec: a.Sec, AtimeNsec: a.Nsec, MtimeSec: m.Sec, MtimeNsec: m.Nsec,
	})
}

// Stat describes what a name leads to, Lstat the name itself if it is a symbolic link.
func (v *Volume) Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	return v.stat(ctx, "stat", name, true)
}

// Lstat is Stat that does not follow a symbolic link.
func (v *Volume) Lstat(ctx context.Context, name string) (fs.FileInfo, error) {
	return v.stat(ctx, "lstat", name, false)
}

func (v *Volume) stat(ctx context.Context, op, name string, follow bool) (fs.FileInfo, error) {
	var o object
	err := v.reading(ctx, func(v *Volume) (err error) { o, err = v.walk(ctx, name, follow); return err })
	if err != nil {
		return nil, failed(op, name, err)
	}
	return newInfo(base(name), o.attr), nil
}

// ReadDir lists a directory, in the order of names.
func (v *Volume) ReadDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	var list []fs.DirEntry
	err := v.reading(ctx, func(v *Volume) error {
		o, err := v.walk(ctx, name, true)
		if err == nil {
			list, err = v.list(ctx, o.handle)
		}
		return err
	})
	return list, failed("readdir", name, err)
}

func (v *Volume) list(ctx context.Context, handle []byte) (out []fs.DirEntry, err error) {
	for cookie := uint64(0); ; {
		m, err := v.c.ask(ctx, v.name, &clientpb.Request{Handle: handle, Cookie: cookie, Count: batch}, method(clientpb.FilesClient.ReadDir))
		if err != nil {
			return out, err
		}
		asked := cookie
		for _, e := range m.Entries {
			cookie = e.Cookie
			if len(e.Name) == 0 || bytes.ContainsAny(e.Name, "/\x00") { // a program that goes by such a name would leave the directory
				return nil, causeway.ErrServerFault
			}
			if n := string(e.Name); n != "." && n != ".." {
				out = append(out, fs.FileInfoToDirEntry(entryInfo(n, e)))
			}
		}
		if m.Eof || len(m.Entries) == 0 {
			sortEntries(out)
			return out, nil
		}
		if cookie == asked { // it would begin anew without end
			return nil, causeway.ErrServerFault
		}
	}
}

// entryInfo describes an entry. Its type is known also where its attributes are not.
func entryInfo(name string, e *clientpb.DirEntry) *info {
	attr := e.Attr
	if attr == nil {
		attr = &clientpb.Attr{Type: e.Type, Fileid: e.Fileid}
	}
	return newInfo(name, attr)
}

// Usage is how full a volume's storage is, in bytes.
type Usage struct{ Total, Free, Available uint64 }

// Usage says how full the volume's storage is.
func (v *Volume) Usage(ctx context.Context) (Usage, error) {
	m, err := v.c.ask(ctx, v.name, &clientpb.Request{Handle: v.root}, method(clientpb.FilesClient.StatFS))
	s := m.GetStat()
	return Usage{s.GetTotalBytes(), s.GetFreeBytes(), s.GetAvailBytes()}, failed("statfs", v.name, err)
}

// gateways are those that share a large transfer, the one in use first.
func (v *Volume) gateways() (out []string) {
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	now, ok := v.c.paths.Current(v.name)
	if !ok {
		return nil
	}
	out = append(out, now.Gateway)
	for _, p := range v.c.paths.All(v.name) {
		if len(out) < v.c.cfg.Width && p.State == redirect.Valid && p.Gateway != now.Gateway {
			if r := v.c.records[p.Gateway]; r == nil || !r.Draining {
				out = append(out, p.Gateway)
			}
		}
	}
	return out
}
