package wire

// SessionSetup flags.
const (
	SetupBinding byte = 1 // a further channel of an existing session

	SessionGuest   uint16 = 1
	SessionNull    uint16 = 2
	SessionEncrypt uint16 = 4
)

// SessionSetupRequest is [MS-SMB2] 2.2.5.
type SessionSetupRequest struct {
	Flags        byte
	SecurityMode byte
	Capabilities uint32
	Previous     uint64
	Security     []byte
}

// Parse decodes the message m.
func (r *SessionSetupRequest) Parse(m []byte) (err error) {
	b, err := body(m, 25, 24)
	if err != nil {
		return err
	}
	*r = SessionSetupRequest{Flags: b[2], SecurityMode: b[3], Capabilities: le.Uint32(b[4:]), Previous: le.Uint64(b[16:])}
	r.Security, err = part(m, HeaderSize+24, uint32(le.Uint16(b[12:])), uint32(le.Uint16(b[14:])))
	return err
}

// AppendSessionSetup appends the body of a reply ([MS-SMB2] 2.2.6).
func AppendSessionSetup(b []byte, flags uint16, security []byte) []byte {
	b, f := grow(b, 8)
	le.PutUint16(f, 9)
	le.PutUint16(f[2:], flags)
	le.PutUint16(f[4:], HeaderSize+8)
	le.PutUint16(f[6:], uint16(len(security)))
	return append(b, security...)
}

// Share types, flags and capabilities of a tree connect's reply.
const (
	ShareDisk byte = 1
	SharePipe byte = 2

	ShareDFS       uint32 = 0x00000001
	ShareDFSRoot   uint32 = 0x00000002
	ShareEncrypt   uint32 = 0x00008000
	ShareCapDFS    uint32 = 0x00000008 // of Capabilities
	ShareNoCaching uint32 = 0x00000030
)

// TreeConnectRequest is [MS-SMB2] 2.2.9.
type TreeConnectRequest struct {
	Flags uint16
	Path  string // \\server\share
}

// Parse decodes the message m. The extension of 3.1.1 is not taken.
func (r *TreeConnectRequest) Parse(m []byte) error {
	b, err := body(m, 9, 8)
	if err != nil {
		return err
	}
	r.Flags = le.Uint16(b[2:])
	p, err := part(m, HeaderSize+8, uint32(le.Uint16(b[4:])), uint32(le.Uint16(b[6:])))
	if err == nil {
		r.Path, err = UTF16(p)
	}
	return err
}

// TreeConnectReply is [MS-SMB2] 2.2.10.
type TreeConnectReply struct {
	Type         byte
	Flags        uint32
	Capabilities uint32
	Maximal      uint32 // access
}

// Append appends the body.
func (r *TreeConnectReply) Append(b []byte) []byte {
	b, f := grow(b, 16)
	le.PutUint16(f, 16)
	f[2] = r.Type
	le.PutUint32(f[4:], r.Flags)
	le.PutUint32(f[8:], r.Capabilities)
	le.PutUint32(f[12:], r.Maximal)
	return b
}

// Empty checks the body of LOGOFF, TREE_DISCONNECT, ECHO and CANCEL: four bytes.
func Empty(m []byte) error {
	_, err := body(m, 4, 4)
	return err
}

// AppendEmpty appends the body of replies that say nothing: those of LOGOFF, TREE_DISCONNECT, ECHO, FLUSH, LOCK.
func AppendEmpty(b []byte) []byte { return append(b, 4, 0, 0, 0) }

// AppendError appends an error body ([MS-SMB2] 2.2.2) with data, which may be nil.
func AppendError(b, data []byte) []byte {
	b, f := grow(b, 8)
	le.PutUint16(f, 9)
	le.PutUint32(f[4:], uint32(len(data)))
	if len(data) == 0 {
		return append(b, 0)
	}
	return append(b, data...)
}
