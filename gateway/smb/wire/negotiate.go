package wire

// Dialect is a dialect revision ([MS-SMB2] 2.2.3).
type Dialect uint16

// The dialects. DialectAny is what an SMB1 negotiate that offers "SMB 2.???" is answered with.
const (
	Dialect202 Dialect = 0x0202
	Dialect210 Dialect = 0x0210
	Dialect300 Dialect = 0x0300
	Dialect302 Dialect = 0x0302
	Dialect311 Dialect = 0x0311
	DialectAny Dialect = 0x02ff
)

// Security modes.
const (
	SigningEnabled  uint16 = 1
	SigningRequired uint16 = 2
)

// Capabilities of clients and servers.
const (
	CapDFS        uint32 = 0x01
	CapLeasing    uint32 = 0x02
	CapLargeMTU   uint32 = 0x04
	CapMulti      uint32 = 0x08
	CapPersistent uint32 = 0x10
	CapDirLeasing uint32 = 0x20
	CapEncryption uint32 = 0x40
)

// The types of negotiate contexts ([MS-SMB2] 2.2.3.1).
const (
	contextPreauth     = 1
	contextEncryption  = 2
	contextCompression = 3
	contextNetName     = 5
	contextSigning     = 8
)

// HashSHA512 is the only preauth integrity hash.
const HashSHA512 uint16 = 1

// Ciphers of the encryption context.
const (
	CipherAES128CCM uint16 = 1
	CipherAES128GCM uint16 = 2
	CipherAES256CCM uint16 = 3
	CipherAES256GCM uint16 = 4
)

// Algorithms of the signing context. The first is that of 2.x.
const (
	SignHMACSHA256 uint16 = 0
	SignAESCMAC    uint16 = 1
	SignAESGMAC    uint16 = 2
)

// maxContexts bounds the negotiate contexts of a request, maxChoices the numbers in one.
const (
	maxDialects = 64
	maxContexts = 32
	maxChoices  = 64
)

// NegotiateRequest is [MS-SMB2] 2.2.3.
type NegotiateRequest struct {
	SecurityMode uint16
	Capabilities uint32
	ClientGUID   [16]byte
	Dialects     []Dialect

	Hashes      []uint16 // preauth hashes; HasPreauth tells an empty list from none
	HasPreauth  bool
	Ciphers     []uint16
	HasCiphers  bool
	Signings    []uint16
	HasSignings bool
	NetName     string
}

// Parse decodes the message m, which begins with its header.
func (r *NegotiateRequest) Parse(m []byte) error {
	b, err := body(m, 36, 36)
	if err != nil {
		return err
	}
	n := int(le.Uint16(b[2:]))
	*r = NegotiateRequest{SecurityMode: le.Uint16(b[4:]), Capabilities: le.Uint32(b[8:]), ClientGUID: [16]byte(b[12:28])}
	list := m[HeaderSize+36:]
	if n > maxDialects || len(list) < 2*n {
		return ErrMalformed
	}
	has311 := false
	for i := range n {
		d := Dialect(le.Uint16(list[2*i:]))
		has311 = has311 || d == Dialect311
		r.Dialects = append(r.Dialects, d)
	}
	if !has311 {
		return nil
	}
	return r.parseContexts(m, HeaderSize+36+2*n, le.Uint32(b[28:]), int(le.Uint16(b[32:])))
}

func (r *NegotiateRequest) parseContexts(m []byte, least int, off uint32, count int) error {
	if count > maxContexts || count > 0 && (off%8 != 0 || uint64(off) < uint64(least) || uint64(off) > uint64(len(m))) {
		return ErrMalformed
	}
	at := int(off)
	for i := range count {
		if i > 0 {
			at += -at & 7
		}
		if len(m)-at < 8 {
			return ErrMalformed
		}
		kind, n := le.Uint16(m[at:]), int(le.Uint16(m[at+2:]))
		if len(m)-at-8 < n {
			return ErrMalformed
		}
		if err := r.parseContext(kind, m[at+8:at+8+n]); err != nil {
			return err
		}
		at += 8 + n
	}
	return nil
}

func (r *NegotiateRequest) parseContext(kind uint16, b []byte) (err error) {
	twice := false
	switch kind {
	case contextPreauth:
		if len(b) < 4 {
			return ErrMalformed
		}
		salt := int(le.Uint16(b[2:]))
		if r.Hashes, err = choices(b, 4); err == nil && len(b) < 4+2*len(r.Hashes)+salt {
			err = ErrMalformed
		}
		r.HasPreauth, twice = true, r.HasPreauth
	case contextEncryption:
		r.Ciphers, err = choices(b, 2)
		r.HasCiphers, twice = true, r.HasCiphers
	case contextSigning:
		r.Signings, err = choices(b, 2)
		r.HasSignings, twice = true, r.HasSignings
	case contextNetName:
		r.NetName, err = UTF16(b)
	}
	if twice {
		return ErrMalformed
	}
	return err
}

// choices reads a counted list of numbers that begins skip bytes behind the count.
func choices(b []byte, skip int) ([]uint16, error) {
	if len(b) < skip {
		return nil, ErrMalformed
	}
	n := int(le.Uint16(b))
	if n == 0 || n > maxChoices || len(b) < skip+2*n {
		return nil, ErrMalformed
	}
	out := make([]uint16, n)
	for i := range out {
		out[i] = le.Uint16(b[skip+2*i:])
	}
	return out, nil
}

// NegotiateReply is [MS-SMB2] 2.2.4. The contexts are sent with dialect 3.1.1 only.
type NegotiateReply struct {
	SecurityMode                   uint16
	Dialect                        Dialect
	ServerGUID                     [16]byte
	Capabilities                   uint32
	MaxTransact, MaxRead, MaxWrite uint32
	SystemTime, StartTime          uint64 // FILETIME
	Security                       []byte // SPNEGO's first token
	Salt                           []byte
	Cipher                         uint16 // 0: none in common
	HasCipher, HasSigning          bool
	Signing                        uint16
}

// Append appends the body to b, in which the message's header begins at start.
func (r *NegotiateReply) Append(b []byte, start int) []byte {
	b, f := grow(b, 64)
	le.PutUint16(f, 65)
	le.PutUint16(f[2:], r.SecurityMode)
	le.PutUint16(f[4:], uint16(r.Dialect))
	copy(f[8:], r.ServerGUID[:])
	le.PutUint32(f[24:], r.Capabilities)
	le.PutUint32(f[28:], r.MaxTransact)
	le.PutUint32(f[32:], r.MaxRead)
	le.PutUint32(f[36:], r.MaxWrite)
	le.PutUint64(f[40:], r.SystemTime)
	le.PutUint64(f[48:], r.StartTime)
	le.PutUint16(f[56:], HeaderSize+64)
	le.PutUint16(f[58:], uint16(len(r.Security)))
	fixed := len(b) - 64
	b = append(b, r.Security...)
	if r.Dialect != Dialect311 {
		return b
	}
	b = Align(b, start)
	le.PutUint32(b[fixed+60:], uint32(len(b)-start))
	count := uint16(1)
	b = appendContext(b, contextPreauth, append([]byte{1, 0, byte(len(r.Salt)), 0, byte(HashSHA512), 0}, r.Salt...))
	if r.HasCipher {
		b = appendContext(Align(b, start), contextEncryption, []byte{1, 0, byte(r.Cipher), 0})
		count++
	}
	if r.HasSigning {
		b = appendContext(Align(b, start), contextSigning, []byte{1, 0, byte(r.Signing), 0})
		count++
	}
	le.PutUint16(b[fixed+6:], count)
	return b
}

func appendContext(b []byte, kind uint16, data []byte) []byte {
	b = le.AppendUint16(b, kind)
	b = le.AppendUint16(b, uint16(len(data)))
	b = le.AppendUint32(b, 0)
	return append(b, data...)
}

// ValidateRequest is the input of FSCTL_VALIDATE_NEGOTIATE_INFO ([MS-SMB2] 2.2.31.4).
type ValidateRequest struct {
	Capabilities uint32
	GUID         [16]byte
	SecurityMode uint16
	Dialects     []Dialect
}

// Parse decodes the control's input.
func (r *ValidateRequest) Parse(b []byte) error {
	if len(b) < 24 {
		return ErrMalformed
	}
	n := int(le.Uint16(b[22:]))
	if n > maxDialects || len(b) < 24+2*n {
		return ErrMalformed
	}
	*r = ValidateRequest{Capabilities: le.Uint32(b), GUID: [16]byte(b[4:20]), SecurityMode: le.Uint16(b[20:])}
	for i := range n {
		r.Dialects = append(r.Dialects, Dialect(le.Uint16(b[24+2*i:])))
	}
	return nil
}

// AppendValidateReply appends the control's output ([MS-SMB2] 2.2.32.6).
func AppendValidateReply(b []byte, capabilities uint32, guid [16]byte, mode uint16, d Dialect) []byte {
	b = le.AppendUint32(b, capabilities)
	b = append(b, guid[:]...)
	b = le.AppendUint16(b, mode)
	return le.AppendUint16(b, uint16(d))
}
