package smb2

import (
	"errors"
	"time"
)

// Accesses, sharing, dispositions and options of CREATE ([MS-SMB2] 2.2.13).
const (
	ReadData   uint32 = 0x1
	WriteData  uint32 = 0x2
	AppendData uint32 = 0x4
	Delete     uint32 = 0x10000
	ReadAttrs  uint32 = 0x80
	All        uint32 = 0x1f01ff

	ShareRead   uint32 = 1
	ShareWrite  uint32 = 2
	ShareDelete uint32 = 4
	ShareAll    uint32 = 7

	OpenOnly    uint32 = 1
	CreateOnly  uint32 = 2
	OpenIf      uint32 = 3
	OverwriteIf uint32 = 5

	Directory     uint32 = 0x1
	DeleteOnClose uint32 = 0x1000
)

// States of a lease.
const (
	R   uint32 = 1
	RH  uint32 = 3
	RW  uint32 = 5
	RWH uint32 = 7
)

// Open says how to open.
type Open struct {
	Name                                string
	Access, Share, Disposition, Options uint32
	Lease                               uint32   // the state that is asked for; none: no lease
	Key                                 [16]byte // the lease's
	Durable                             [16]byte // with this CreateGuid, unless zero
	Timeout                             time.Duration
	Back                                *File // the open that the client had, to have it again
	Replay                              bool
}

// File is an open.
type File struct {
	c      *Conn
	id     [16]byte
	Opened Open
	Lease  uint32        // what was granted
	Keep   time.Duration // for how long the server keeps it for a client that is gone; zero: it is not durable
	Action uint32
	Size   int64
}

// Create opens a file or directory, and waits for it.
func (c *Conn) Create(o Open) (*File, error) {
	call, err := c.BeginCreate(o)
	if err != nil {
		return nil, err
	}
	return call.Opened()
}

// Opening is a CREATE that has been sent.
type Opening struct {
	*Call
	open Open
}

// BeginCreate sends a CREATE.
func (c *Conn) BeginCreate(o Open) (*Opening, error) {
	name := toUTF16(o.Name)
	b := make([]byte, 56)
	le.PutUint16(b, 57)
	le.PutUint32(b[4:], 2)
	le.PutUint32(b[24:], o.Access)
	le.PutUint32(b[32:], o.Share)
	le.PutUint32(b[36:], o.Disposition)
	le.PutUint32(b[40:], o.Options)
	le.PutUint16(b[44:], headerSize+56)
	le.PutUint16(b[46:], uint16(len(name)))
	if o.Lease != 0 {
		b[3] = 0xff
	}
	b = append(b, name...)
	if list := o.contexts(); len(list) > 0 {
		for (headerSize+len(b))%8 != 0 {
			b = append(b, 0)
		}
		le.PutUint32(b[48:], uint32(headerSize+len(b)))
		le.PutUint32(b[52:], uint32(len(list)))
		b = append(b, list...)
	}
	call, err := c.begin(commandCreate, b)
	return &Opening{call, o}, err
}

func (o *Open) contexts() []byte {
	var list [][2][]byte
	if o.Lease != 0 {
		b := make([]byte, 52)
		copy(b, o.Key[:])
		le.PutUint32(b[16:], o.Lease)
		list = append(list, [2][]byte{[]byte("RqLs"), b})
	}
	switch {
	case o.Back != nil:
		b := make([]byte, 36)
		copy(b, o.Back.id[:])
		copy(b[16:], o.Durable[:])
		list = append(list, [2][]byte{[]byte("DH2C"), b})
	case o.Durable != [16]byte{}:
		b := make([]byte, 32)
		le.PutUint32(b, uint32(o.Timeout/time.Millisecond))
		copy(b[16:], o.Durable[:])
		list = append(list, [2][]byte{[]byte("DH2Q"), b})
	}
	var out []byte
	for i, one := range list {
		entry := make([]byte, 24)
		le.PutUint16(entry[4:], 16)
		le.PutUint16(entry[6:], 4)
		le.PutUint16(entry[10:], 24)
		le.PutUint32(entry[12:], uint32(len(one[1])))
		copy(entry[16:], one[0])
		entry = append(entry, one[1]...)
		for len(entry)%8 != 0 {
			entry = append(entry, 0)
		}
		if i < len(list)-1 {
			le.PutUint32(entry, uint32(len(entry)))
		}
		out = append(out, entry...)
	}
	return out
}

// Opened waits for the open.
func (call *Opening) Opened() (*File, error) {
	m, err := call.body(88)
	if err != nil {
		return nil, err
	}
	b := m[headerSize:]
	f := &File{c: call.c, id: [16]byte(b[64:80]), Opened: call.open, Action: le.Uint32(b[4:]), Size: int64(le.Uint64(b[48:]))}
	at, n := int(le.Uint32(b[80:])), int(le.Uint32(b[84:]))
	if at+n > len(m) {
		return nil, errors.New("contexts beyond the reply")
	}
	for list := m[at : at+n]; len(list) >= 24; {
		name, off, size := string(list[16:20]), int(le.Uint16(list[10:])), int(le.Uint32(list[12:]))
		if off+size > len(list) {
			return nil, errors.New("a context beyond the list")
		}
		data := list[off : off+size]
		switch {
		case name == "RqLs" && size >= 32:
			f.Lease = le.Uint32(data[16:])
		case name == "DH2Q" && size >= 8:
			f.Keep = time.Duration(le.Uint32(data)) * time.Millisecond
		}
		next := int(le.Uint32(list))
		if next == 0 || next > len(list) {
			break
		}
		list = list[next:]
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() error {
	b := make([]byte, 24)
	le.PutUint16(b, 24)
	copy(b[8:], f.id[:])
	_, err := f.c.call(commandClose, b, 0)
	return err
}

// Write writes all of data.
func (f *File) Write(at int64, data []byte) error {
	b := make([]byte, 48)
	le.PutUint16(b, 49)
	le.PutUint16(b[2:], headerSize+48)
	le.PutUint32(b[4:], uint32(len(data)))
	le.PutUint64(b[8:], uint64(at))
	copy(b[16:], f.id[:])
	m, err := f.c.call(commandWrite, append(b, data...), 16)
	if err == nil && int(le.Uint32(m[headerSize+4:])) != len(data) {
		err = errors.New("a part was written")
	}
	return err
}

// Read reads at most n bytes.
func (f *File) Read(at int64, n int) ([]byte, error) {
	b := make([]byte, 49)
	le.PutUint16(b, 49)
	le.PutUint32(b[4:], uint32(n))
	le.PutUint64(b[8:], uint64(at))
	copy(b[16:], f.id[:])
	m, err := f.c.call(commandRead, b, 16)
	if err != nil {
		return nil, err
	}
	off, size := int(m[headerSize+2]), int(le.Uint32(m[headerSize+4:]))
	if off+size > len(m) || size > n {
		return nil, errors.New("data beyond the reply")
	}
	return m[off : off+size], nil
}

// How a range is locked.
const (
	Shared    uint32 = 1
	Exclusive uint32 = 2
	Unlock    uint32 = 4
	AtOnce    uint32 = 0x10
)

// Lock locks or unlocks a range, as the flags say.
func (f *File) Lock(flags uint32, at, size uint64) error {
	call, err := f.BeginLock(flags, at, size)
	if err == nil {
		_, err = call.body(4)
	}
	return err
}

// BeginLock sends a LOCK.
func (f *File) BeginLock(flags uint32, at, size uint64) (*Call, error) {
	b := make([]byte, 48)
	le.PutUint16(b, 48)
	le.PutUint16(b[2:], 1)
	copy(b[8:], f.id[:])
	le.PutUint64(b[24:], at)
	le.PutUint64(b[32:], size)
	le.PutUint32(b[40:], flags)
	return f.c.begin(commandLock, b)
}

// Result waits for the end of a call.
func (call *Call) Result() error {
	_, err := call.body(0)
	return err
}

// Done reports whether the reply has come.
func (call *Call) Done() bool {
	call.c.mu.Lock()
	defer call.c.mu.Unlock()
	return call.c.waiting[call.id] == nil
}

// Classes of SET_INFO for files.
const (
	classRename      = 10
	classDisposition = 13
	classEndOfFile   = 20
)

// SetDelete says whether the last close removes the name.
func (f *File) SetDelete(on bool) error {
	b := []byte{0}
	if on {
		b[0] = 1
	}
	return f.set(classDisposition, b)
}

// Truncate sets the size.
func (f *File) Truncate(size int64) error {
	return f.set(classEndOfFile, le.AppendUint64(nil, uint64(size)))
}

// Rename gives the file another path in the share.
func (f *File) Rename(to string, replace bool) error {
	name := toUTF16(to)
	b := make([]byte, 20)
	if replace {
		b[0] = 1
	}
	le.PutUint32(b[16:], uint32(len(name)))
	b = append(b, name...)
	for len(b) < 24 {
		b = append(b, 0)
	}
	return f.set(classRename, b)
}

func (f *File) set(class byte, data []byte) error {
	b := make([]byte, 32)
	le.PutUint16(b, 33)
	b[2], b[3] = 1, class
	le.PutUint32(b[4:], uint32(len(data)))
	le.PutUint16(b[8:], headerSize+32)
	copy(b[16:], f.id[:])
	_, err := f.c.call(commandSetInfo, append(b, data...), 0)
	return err
}

// Change is what happened to a name in a directory that is watched ([MS-FSCC] 2.7.1).
type Change struct {
	Action uint32
	Name   string
}

// Actions.
const (
	Added    uint32 = 1
	Removed  uint32 = 2
	Modified uint32 = 3
	OldName  uint32 = 4
	NewName  uint32 = 5
)

// What is watched for.
const (
	Names    uint32 = 0x3
	Sizes    uint32 = 0x8
	Writes   uint32 = 0x10
	watchAll uint32 = 0xfff
)

// Watch is a CHANGE_NOTIFY that has been sent.
type Watch struct{ *Call }

// Watch asks for changes in a directory, and below it if it is deep.
func (f *File) Watch(filter uint32, deep bool) (*Watch, error) {
	b := make([]byte, 32)
	le.PutUint16(b, 32)
	if deep {
		b[2] = 1
	}
	le.PutUint32(b[4:], 16<<10)
	copy(b[8:], f.id[:])
	le.PutUint32(b[24:], filter)
	call, err := f.c.begin(commandNotify, b)
	return &Watch{call}, err
}

// Changes waits for what has changed.
func (w *Watch) Changes() (all []Change, err error) {
	m, err := w.body(8)
	if err != nil {
		return nil, err
	}
	at, n := int(le.Uint16(m[headerSize+2:])), int(le.Uint32(m[headerSize+4:]))
	if at+n > len(m) {
		return nil, errors.New("changes beyond the reply")
	}
	for b := m[at : at+n]; len(b) >= 12; {
		size := int(le.Uint32(b[8:]))
		if 12+size > len(b) {
			return nil, errors.New("a name beyond the list")
		}
		all = append(all, Change{le.Uint32(b[4:]), fromUTF16(b[12 : 12+size])})
		next := int(le.Uint32(b))
		if next == 0 || next > len(b) {
			break
		}
		b = b[next:]
	}
	return all, nil
}
