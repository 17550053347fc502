package wire

// InfoType says what QUERY_INFO and SET_INFO are about.
type InfoType byte

// The info types.
const (
	InfoFile InfoType = iota + 1
	InfoFileSystem
	InfoSecurity
	InfoQuota
)

// QUERY_DIRECTORY flags.
const (
	ScanRestart byte = 1
	ScanSingle  byte = 2
	ScanIndex   byte = 4
	ScanReopen  byte = 16
)

// QueryDirectoryRequest is [MS-SMB2] 2.2.33.
type QueryDirectoryRequest struct {
	Class   byte
	Flags   byte
	Index   uint32
	File    FileID
	Pattern []byte // UTF-16LE, borrowed
	Room    uint32
}

// Parse decodes the message m.
func (r *QueryDirectoryRequest) Parse(m []byte) (err error) {
	b, err := body(m, 33, 32)
	if err != nil {
		return err
	}
	*r = QueryDirectoryRequest{Class: b[2], Flags: b[3], Index: le.Uint32(b[4:]), File: fileID(b[8:]), Room: le.Uint32(b[28:])}
	r.Pattern, err = part(m, HeaderSize+32, uint32(le.Uint16(b[24:])), uint32(le.Uint16(b[26:])))
	return err
}

// OutputSize is the fixed part of replies that carry one buffer: those of QUERY_DIRECTORY, QUERY_INFO and CHANGE_NOTIFY.
const OutputSize = 8

// PutOutput writes that fixed part over the first OutputSize bytes of b; n bytes follow it.
func PutOutput(b []byte, n uint32) {
	le.PutUint16(b, 9)
	le.PutUint16(b[2:], 0)
	if n > 0 {
		le.PutUint16(b[2:], HeaderSize+OutputSize)
	}
	le.PutUint32(b[4:], n)
}

// QueryInfoRequest is [MS-SMB2] 2.2.37.
type QueryInfoRequest struct {
	Type       InfoType
	Class      byte
	Room       uint32
	Additional uint32
	Flags      uint32
	File       FileID
	Input      []byte // borrowed
}

// Parse decodes the message m.
func (r *QueryInfoRequest) Parse(m []byte) (err error) {
	b, err := body(m, 41, 40)
	if err != nil {
		return err
	}
	*r = QueryInfoRequest{Type: InfoType(b[2]), Class: b[3], Room: le.Uint32(b[4:]), Additional: le.Uint32(b[16:]), Flags: le.Uint32(b[20:]), File: fileID(b[24:])}
	r.Input, err = part(m, HeaderSize+40, uint32(le.Uint16(b[8:])), le.Uint32(b[12:]))
	return err
}

// SetInfoRequest is [MS-SMB2] 2.2.39.
type SetInfoRequest struct {
	Type       InfoType
	Class      byte
	Additional uint32
	File       FileID
	Data       []byte // borrowed
}

// Parse decodes the message m.
func (r *SetInfoRequest) Parse(m []byte) (err error) {
	b, err := body(m, 33, 32)
	if err != nil {
		return err
	}
	*r = SetInfoRequest{Type: InfoType(b[2]), Class: b[3], Additional: le.Uint32(b[12:]), File: fileID(b[16:])}
	r.Data, err = part(m, HeaderSize+32, uint32(le.Uint16(b[8:])), le.Uint32(b[4:]))
	return err
}

// AppendSetInfo appends the body of a reply ([MS-SMB2] 2.2.40).
func AppendSetInfo(b []byte) []byte { return append(b, 2, 0) }

// WatchTree makes CHANGE_NOTIFY watch everything below.
const WatchTree uint16 = 1

// ChangeNotifyRequest is [MS-SMB2] 2.2.35.
type ChangeNotifyRequest struct {
	Flags  uint16
	Room   uint32
	File   FileID
	Filter uint32
}

// Parse decodes the message m.
func (r *ChangeNotifyRequest) Parse(m []byte) error {
	b, err := body(m, 32, 32)
	if err == nil {
		*r = ChangeNotifyRequest{le.Uint16(b[2:]), le.Uint32(b[4:]), fileID(b[8:]), le.Uint32(b[24:])}
	}
	return err
}

// CtlIsFSCtl, of Flags: Control is an FSCTL.
const CtlIsFSCtl uint32 = 1

// IOCtlRequest is [MS-SMB2] 2.2.31.
type IOCtlRequest struct {
	Control uint32
	File    FileID
	Input   []byte // borrowed
	Room    uint32 // for output
	Flags   uint32
}

// Parse decodes the message m.
func (r *IOCtlRequest) Parse(m []byte) (err error) {
	b, err := body(m, 57, 56)
	if err != nil {
		return err
	}
	*r = IOCtlRequest{Control: le.Uint32(b[4:]), File: fileID(b[8:]), Room: le.Uint32(b[44:]), Flags: le.Uint32(b[48:])}
	r.Input, err = part(m, HeaderSize+56, le.Uint32(b[24:]), le.Uint32(b[28:]))
	return err
}

// AppendIOCtl appends the body of a reply ([MS-SMB2] 2.2.32) with its output.
func AppendIOCtl(b []byte, control uint32, file FileID, output []byte) []byte {
	b, f := grow(b, 48)
	le.PutUint16(f, 49)
	le.PutUint32(f[4:], control)
	file.put(f[8:])
	le.PutUint32(f[24:], HeaderSize+48)
	le.PutUint32(f[32:], HeaderSize+48)
	le.PutUint32(f[36:], uint32(len(output)))
	return append(b, output...)
}

// OplockAck is an acknowledgement of an oplock break ([MS-SMB2] 2.2.24.1) or, with IsLease, of a lease break (2.2.24.2).
type OplockAck struct {
	IsLease bool
	Level   byte
	File    FileID
	Key     [16]byte
	State   uint32
}

// Parse decodes the message m.
func (a *OplockAck) Parse(m []byte) error {
	if b, err := body(m, 24, 24); err == nil {
		*a = OplockAck{Level: b[2], File: fileID(b[8:])}
		return nil
	}
	b, err := body(m, 36, 36)
	if err == nil {
		*a = OplockAck{IsLease: true, Key: [16]byte(b[8:24]), State: le.Uint32(b[24:])}
	}
	return err
}

// AppendOplockBreak appends the body of a notification or of the reply to an acknowledgement ([MS-SMB2] 2.2.23.1, 2.2.25.1).
func AppendOplockBreak(b []byte, level byte, file FileID) []byte {
	b, f := grow(b, 24)
	le.PutUint16(f, 24)
	f[2] = level
	file.put(f[8:])
	return b
}

// AppendLeaseBreak appends the body of a lease break notification ([MS-SMB2] 2.2.23.2).
func AppendLeaseBreak(b []byte, epoch uint16, ack bool, key [16]byte, now, next uint32) []byte {
	b, f := grow(b, 44)
	le.PutUint16(f, 44)
	le.PutUint16(f[2:], epoch)
	if ack {
		le.PutUint32(f[4:], 1)
	}
	copy(f[8:], key[:])
	le.PutUint32(f[24:], now)
	le.PutUint32(f[28:], next)
	return b
}

// AppendLeaseAck appends the body of the reply to a lease break's acknowledgement ([MS-SMB2] 2.2.25.2).
func AppendLeaseAck(b []byte, key [16]byte, state uint32) []byte {
	b, f := grow(b, 36)
	le.PutUint16(f, 36)
	copy(f[8:], key[:])
	le.PutUint32(f[24:], state)
	return b
}
