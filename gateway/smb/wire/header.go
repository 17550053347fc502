package wire

import "causeway/gateway/smb/ntstatus"

// HeaderSize is the size of the SMB2 header in bytes.
const HeaderSize = 64

// Command is the operation of a message ([MS-SMB2] 2.2.1.2).
type Command uint16

// The commands.
const (
	Negotiate Command = iota
	SessionSetup
	Logoff
	TreeConnect
	TreeDisconnect
	Create
	Close
	Flush
	Read
	Write
	Lock
	IOCtl
	Cancel
	Echo
	QueryDirectory
	ChangeNotify
	QueryInfo
	SetInfo
	OplockBreak
	Commands // how many there are
)

var commandNames = [Commands]string{"negotiate", "session_setup", "logoff", "tree_connect", "tree_disconnect", "create", "close", "flush",
	"read", "write", "lock", "ioctl", "cancel", "echo", "query_directory", "change_notify", "query_info", "set_info", "oplock_break"}

// String returns the command in lower case, for metrics and logs.
func (c Command) String() string {
	if c < Commands {
		return commandNames[c]
	}
	return "unknown"
}

// Flags are those of the header ([MS-SMB2] 2.2.1.2).
type Flags uint32

// The flags.
const (
	FlagReply   Flags = 0x00000001
	FlagAsync   Flags = 0x00000002
	FlagRelated Flags = 0x00000004
	FlagSigned  Flags = 0x00000008
	FlagDFS     Flags = 0x10000000
	FlagReplay  Flags = 0x20000000
)

// Header is the header of a request or reply ([MS-SMB2] 2.2.1).
type Header struct {
	CreditCharge    uint16
	ChannelSequence uint16          // of a request to a 3.x server
	Status          ntstatus.Status // of a reply
	Command         Command
	Credits         uint16 // asked for or granted
	Flags           Flags
	Next            uint32 // offset of the next element of a compound, 0 at the last one
	MessageID       uint64
	AsyncID         uint64 // with FlagAsync
	TreeID          uint32 // without
	SessionID       uint64
	Signature       [16]byte
}

// The first four bytes of what can stand behind the transport's length.
var (
	magicSMB2      = [4]byte{0xfe, 'S', 'M', 'B'}
	magicSMB1      = [4]byte{0xff, 'S', 'M', 'B'}
	magicTransform = [4]byte{0xfd, 'S', 'M', 'B'}
	magicCompress  = [4]byte{0xfc, 'S', 'M', 'B'}
)

// Kind tells messages apart.
type Kind uint8

// The kinds of messages.
const (
	KindUnknown Kind = iota
	KindSMB2
	KindSMB1
	KindTransform  // encrypted
	KindCompressed // refused: it is never negotiated
)

// KindOf looks at the magic number of a message.
func KindOf(m []byte) Kind {
	if len(m) < 4 {
		return KindUnknown
	}
	switch [4]byte(m) {
	case magicSMB2:
		return KindSMB2
	case magicSMB1:
		return KindSMB1
	case magicTransform:
		return KindTransform
	case magicCompress:
		return KindCompressed
	}
	return KindUnknown
}

// Parse decodes the header at the start of m.
func (h *Header) Parse(m []byte) error {
	if len(m) < HeaderSize || [4]byte(m) != magicSMB2 || le.Uint16(m[4:]) != HeaderSize {
		return ErrMalformed
	}
	h.CreditCharge = le.Uint16(m[6:])
	h.ChannelSequence = le.Uint16(m[8:])
	h.Status = ntstatus.Status(le.Uint32(m[8:]))
	h.Command = Command(le.Uint16(m[12:]))
	h.Credits = le.Uint16(m[14:])
	h.Flags = Flags(le.Uint32(m[16:]))
	h.Next = le.Uint32(m[20:])
	h.MessageID = le.Uint64(m[24:])
	h.AsyncID, h.TreeID = 0, 0
	if h.Flags&FlagAsync != 0 {
		h.AsyncID = le.Uint64(m[32:])
	} else {
		h.TreeID = le.Uint32(m[36:])
	}
	h.SessionID = le.Uint64(m[40:])
	copy(h.Signature[:], m[48:])
	return nil
}

// Put writes the header of a reply over the first HeaderSize bytes of m. The signature is left zero: a signer patches it.
func (h *Header) Put(m []byte) {
	m = m[:HeaderSize]
	clear(m)
	copy(m, magicSMB2[:])
	le.PutUint16(m[4:], HeaderSize)
	le.PutUint16(m[6:], h.CreditCharge)
	le.PutUint32(m[8:], uint32(h.Status))
	le.PutUint16(m[12:], uint16(h.Command))
	le.PutUint16(m[14:], h.Credits)
	le.PutUint32(m[16:], uint32(h.Flags))
	le.PutUint32(m[20:], h.Next)
	le.PutUint64(m[24:], h.MessageID)
	if h.Flags&FlagAsync != 0 {
		le.PutUint64(m[32:], h.AsyncID)
	} else {
		le.PutUint32(m[36:], h.TreeID)
	}
	le.PutUint64(m[40:], h.SessionID)
}

// PutNext patches the offset of the next element into the header at the start of m.
func PutNext(m []byte, next uint32) { le.PutUint32(m[20:], next) }

// PutSigned sets the signed flag in the header at the start of m.
func PutSigned(m []byte) { le.PutUint32(m[16:], le.Uint32(m[16:])|uint32(FlagSigned)) }

// Element cuts the first element off a compound. rest is empty after the last one. The offset of the next element must be a
// multiple of 8 and leave room for a header on both sides ([MS-SMB2] 3.3.5.2.7).
func Element(m []byte) (first, rest []byte, err error) {
	if len(m) < HeaderSize {
		return nil, nil, ErrMalformed
	}
	next := le.Uint32(m[20:])
	if next == 0 {
		return m, nil, nil
	}
	if next%8 != 0 || next < HeaderSize || uint64(next)+HeaderSize > uint64(len(m)) {
		return nil, nil, ErrMalformed
	}
	return m[:next:next], m[next:], nil
}

// TransformSize is the size of the header in front of an encrypted message.
const TransformSize = 52

// Transform is that header ([MS-SMB2] 2.2.41).
type Transform struct {
	Signature [16]byte
	Nonce     [16]byte
	Size      uint32 // of the message that is encrypted
	Flags     uint16 // 1: encrypted (3.1.1); AES-128-CCM (3.0)
	SessionID uint64
}

// Parse decodes the header and checks that what follows has exactly the size that it tells.
func (t *Transform) Parse(m []byte) error {
	if len(m) < TransformSize || [4]byte(m) != magicTransform {
		return ErrMalformed
	}
	copy(t.Signature[:], m[4:])
	copy(t.Nonce[:], m[20:])
	t.Size = le.Uint32(m[36:])
	t.Flags = le.Uint16(m[42:])
	t.SessionID = le.Uint64(m[44:])
	if uint64(t.Size) != uint64(len(m)-TransformSize) || t.Flags != 1 {
		return ErrMalformed
	}
	return nil
}

// Put writes the header over the first TransformSize bytes of m, the signature included.
func (t *Transform) Put(m []byte) {
	m = m[:TransformSize]
	copy(m, magicTransform[:])
	copy(m[4:], t.Signature[:])
	copy(m[20:], t.Nonce[:])
	le.PutUint32(m[36:], t.Size)
	le.PutUint16(m[40:], 0)
	le.PutUint16(m[42:], t.Flags)
	le.PutUint64(m[44:], t.SessionID)
}
