package wire

// ReadRequest is [MS-SMB2] 2.2.19. Channels of RDMA are not taken.
type ReadRequest struct {
	Flags   byte
	Length  uint32
	Offset  uint64
	File    FileID
	Minimum uint32
	Channel uint32
}

// Parse decodes the message m.
func (r *ReadRequest) Parse(m []byte) error {
	b, err := body(m, 49, 48)
	if err != nil {
		return err
	}
	*r = ReadRequest{Flags: b[3], Length: le.Uint32(b[4:]), Offset: le.Uint64(b[8:]), File: fileID(b[16:]), Minimum: le.Uint32(b[32:]), Channel: le.Uint32(b[36:])}
	return nil
}

// ReadReplySize is where the data of a READ's reply begins behind the header ([MS-SMB2] 2.2.20).
const ReadReplySize = 16

// PutRead writes the fixed part of a READ's reply, whose n bytes of data follow, over the first ReadReplySize bytes of b.
func PutRead(b []byte, n uint32) {
	b = b[:ReadReplySize]
	clear(b)
	le.PutUint16(b, 17)
	b[2] = HeaderSize + ReadReplySize
	le.PutUint32(b[4:], n)
}

// WriteThrough makes a WRITE stable before it is answered.
const WriteThrough uint32 = 1

// WriteRequest is [MS-SMB2] 2.2.21.
type WriteRequest struct {
	Offset  uint64
	File    FileID
	Channel uint32
	Flags   uint32
	Data    []byte // borrowed
}

// Parse decodes the message m.
func (r *WriteRequest) Parse(m []byte) (err error) {
	b, err := body(m, 49, 48)
	if err != nil {
		return err
	}
	*r = WriteRequest{Offset: le.Uint64(b[8:]), File: fileID(b[16:]), Channel: le.Uint32(b[32:]), Flags: le.Uint32(b[44:])}
	r.Data, err = part(m, HeaderSize+48, uint32(le.Uint16(b[2:])), le.Uint32(b[4:]))
	return err
}

// AppendWrite appends the body of a reply ([MS-SMB2] 2.2.22).
func AppendWrite(b []byte, n uint32) []byte {
	b, f := grow(b, 16)
	le.PutUint16(f, 17)
	le.PutUint32(f[4:], n)
	return b
}

// Lock flags ([MS-SMB2] 2.2.26.1).
const (
	LockShared    uint32 = 1
	LockExclusive uint32 = 2
	LockUnlock    uint32 = 4
	LockFailNow   uint32 = 16
)

// MaxLocks bounds the elements of a LOCK.
const MaxLocks = 64

// LockElement is one range of a LOCK.
type LockElement struct {
	Offset, Length uint64
	Flags          uint32
}

// LockRequest is [MS-SMB2] 2.2.26.
type LockRequest struct {
	Sequence uint32
	File     FileID
	Locks    []LockElement
}

// Parse decodes the message m.
func (r *LockRequest) Parse(m []byte) error {
	b, err := body(m, 48, 48)
	if err != nil {
		return err
	}
	n := int(le.Uint16(b[2:]))
	*r = LockRequest{Sequence: le.Uint32(b[4:]), File: fileID(b[8:])}
	list := m[HeaderSize+24:]
	if n == 0 || n > MaxLocks || len(list) < 24*n {
		return ErrMalformed
	}
	for i := range n {
		e := list[24*i:]
		r.Locks = append(r.Locks, LockElement{le.Uint64(e), le.Uint64(e[8:]), le.Uint32(e[16:])})
	}
	return nil
}
