package smb2

import (
	"crypto/hmac"
	"crypto/md5"
	"errors"
	"net"
	"strings"

	//lint:ignore SA1019 NTLM is defined with it ([MS-NLMP] 3.3.1)
	"golang.org/x/crypto/md4"
)

// User is who logs on, from which machine, and to which share.
type User struct {
	Name, Password, Share string
	Machine               [16]byte // tells clients apart, and is the same when one comes back
	Before                *Conn    // what the client had until it was lost, if it comes back
}

// Dial logs on over a connection, which it closes if that fails, and connects the share.
func Dial(conn net.Conn, u User) (*Conn, error) {
	c := &Conn{conn: conn, guid: u.Machine, waiting: make(map[uint64]*Call)}
	if u.Before != nil {
		c.before = u.Before.session
	}
	c.reader.Go(c.receive)
	for _, step := range []func(User) error{c.negotiate, c.logOn, c.connect} {
		if err := step(u); err != nil {
			c.Cut()
			return nil, err
		}
	}
	return c, nil
}

func (c *Conn) negotiate(User) error {
	b := make([]byte, 36)
	le.PutUint16(b, 36)
	le.PutUint16(b[2:], 1)
	le.PutUint16(b[4:], 1) // signatures are known
	le.PutUint32(b[8:], capabilities)
	copy(b[12:], c.guid[:])
	m, err := c.call(commandNegotiate, le.AppendUint16(b, dialect), 64)
	if err == nil && le.Uint16(m[headerSize+4:]) != dialect {
		err = errors.New("another dialect")
	}
	return err
}

// ntlmFlags: Unicode, a target, NTLM, extended session security, 128 bits.
const ntlmFlags = 0x1 | 0x4 | 0x200 | 0x80000 | 0x20000000

func (c *Conn) logOn(u User) error {
	first := append([]byte("NTLMSSP\x00"), 1, 0, 0, 0)
	first = append(le.AppendUint32(first, ntlmFlags), make([]byte, 16)...)
	m, err := c.setup(first)
	if !errors.Is(err, moreProcessing) {
		return errors.Join(errors.New("no challenge"), err)
	}
	c.session = le.Uint64(m[40:])
	at, n := int(le.Uint16(m[headerSize+4:])), int(le.Uint16(m[headerSize+6:]))
	if at+n > len(m) || n < 48 {
		return errors.New("a short challenge")
	}
	challenge := m[at : at+n]
	size, off := int(le.Uint16(challenge[40:])), int(le.Uint32(challenge[44:]))
	if off+size > n {
		return errors.New("a challenge without its target")
	}
	_, err = c.setup(authenticate(u, challenge[24:32], challenge[off:off+size]))
	return err
}

func (c *Conn) setup(token []byte) ([]byte, error) {
	b := make([]byte, 24)
	le.PutUint16(b, 25)
	b[3] = 1
	le.PutUint16(b[12:], headerSize+24)
	le.PutUint16(b[14:], uint16(len(token)))
	le.PutUint64(b[16:], c.before)
	return c.call(commandSetup, append(b, token...), 8)
}

// authenticate is the message of [MS-NLMP] 2.2.1.3 with a response of NTLMv2, without a MIC and without an exchange of keys.
func authenticate(u User, challenge, target []byte) []byte {
	hash := md4.New()
	hash.Write(toUTF16(u.Password))
	key := hmacMD5(hash.Sum(nil), toUTF16(strings.ToUpper(u.Name)))
	blob := append([]byte{1, 1, 0, 0, 0, 0, 0, 0}, timeOf(target)...)
	blob = append(blob, "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x00\x00"...)
	blob = append(append(blob, target...), 0, 0, 0, 0)
	response := append(hmacMD5(key, challenge, blob), blob...)
	m := make([]byte, 64)
	copy(m, "NTLMSSP\x00\x03")
	for at, data := range map[int][]byte{12: make([]byte, 24), 20: response, 28: nil, 36: toUTF16(u.Name), 44: nil, 52: nil} {
		le.PutUint16(m[at:], uint16(len(data)))
		le.PutUint16(m[at+2:], uint16(len(data)))
		le.PutUint32(m[at+4:], uint32(len(m)))
		m = append(m, data...)
	}
	le.PutUint32(m[60:], ntlmFlags)
	return m
}

// timeOf finds the server's time among the attributes of its target ([MS-NLMP] 2.2.2.1).
func timeOf(target []byte) []byte {
	for len(target) >= 4 {
		n := int(le.Uint16(target[2:]))
		if 4+n > len(target) {
			break
		}
		if le.Uint16(target) == 7 && n == 8 {
			return target[4:12]
		}
		target = target[4+n:]
	}
	return make([]byte, 8)
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	sum := hmac.New(md5.New, key)
	for _, p := range parts {
		sum.Write(p)
	}
	return sum.Sum(nil)
}

func (c *Conn) connect(u User) error {
	path := toUTF16(`\\server\` + u.Share)
	b := make([]byte, 8)
	le.PutUint16(b, 9)
	le.PutUint16(b[4:], headerSize+8)
	le.PutUint16(b[6:], uint16(len(path)))
	m, err := c.call(commandConnect, append(b, path...), 16)
	if err == nil {
		c.tree = le.Uint32(m[36:])
	}
	return err
}
