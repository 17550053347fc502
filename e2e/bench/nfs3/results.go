package nfs3

import "fmt"

// Attr is what the generator looks at in a fattr3 (RFC 1813 §2.5).
type Attr struct {
	Type, Mode, Nlink, UID, GID uint32
	Size, Used, FileID          uint64
}

// Attr reads a fattr3.
func (r *Reply) Attr() (a Attr) {
	a.Type, a.Mode, a.Nlink, a.UID, a.GID = r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32()
	a.Size, a.Used = r.Uint64(), r.Uint64()
	r.Skip(8 + 8) // rdev, fsid
	a.FileID = r.Uint64()
	r.Skip(3 * 8) // times
	return a
}

// GetAttrResult checks the result of GETATTR.
func (r *Reply) GetAttrResult() (Attr, error) {
	r.Status()
	a := r.Attr()
	return a, r.End()
}

// LookupResult checks the result of LOOKUP and returns the borrowed handle.
func (r *Reply) LookupResult() ([]byte, error) {
	r.Status()
	handle := r.Opaque()
	r.SkipAttr()
	r.SkipAttr()
	return handle, r.End()
}

// ReadResult checks the result of a READ that must bring exactly want bytes, and returns them, borrowed.
func (r *Reply) ReadResult(want int) ([]byte, error) {
	r.Status()
	r.SkipAttr()
	count := r.Uint32()
	r.Skip(4) // eof
	data := r.Opaque()
	if err := r.End(); err != nil {
		return nil, err
	}
	if int(count) != want || len(data) != want {
		return nil, fmt.Errorf("READ of %d bytes brought count %d and %d bytes", want, count, len(data))
	}
	return data, nil
}

// WriteResult checks the result of a WRITE of want bytes, at least as stable as asked, and returns the verifier.
func (r *Reply) WriteResult(want int, stable uint32) (verifier uint64, err error) {
	r.Status()
	r.SkipWcc()
	count, committed := r.Uint32(), r.Uint32()
	verifier = r.Uint64()
	if err := r.End(); err != nil {
		return 0, err
	}
	if int(count) != want || committed < stable {
		return 0, fmt.Errorf("WRITE of %d bytes, stable_how %d, answered count %d, committed %d", want, stable, count, committed)
	}
	return verifier, nil
}

// CommitResult checks the result of COMMIT and returns the verifier.
func (r *Reply) CommitResult() (verifier uint64, err error) {
	r.Status()
	r.SkipWcc()
	verifier = r.Uint64()
	return verifier, r.End()
}

// CreateResult checks the result of CREATE or MKDIR and returns the borrowed handle of the new object.
func (r *Reply) CreateResult() ([]byte, error) {
	r.Status()
	var handle []byte
	if r.Uint32() != 0 {
		handle = r.Opaque()
	}
	r.SkipAttr()
	r.SkipWcc()
	if err := r.End(); err != nil {
		return nil, err
	}
	if len(handle) == 0 {
		return nil, fmt.Errorf("CREATE answered no handle")
	}
	return handle, nil
}

// RemoveResult checks the result of REMOVE.
func (r *Reply) RemoveResult() error {
	r.Status()
	r.SkipWcc()
	return r.End()
}

// DirResult checks the result of READDIRPLUS: how many entries it brought, the cookie of the last, the cookie verifier.
func (r *Reply) DirResult() (entries int, cookie, verifier uint64, eof bool, err error) {
	r.Status()
	r.SkipAttr()
	verifier = r.Uint64()
	for r.Uint32() != 0 && r.Err == nil {
		r.Skip(8) // fileid
		r.Opaque()
		cookie = r.Uint64()
		r.SkipAttr()
		if r.Uint32() != 0 {
			r.Opaque()
		}
		entries++
	}
	eof = r.Uint32() != 0
	return entries, cookie, verifier, eof, r.End()
}
