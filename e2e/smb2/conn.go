package smb2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf16"
)

var le = binary.LittleEndian

// Status is an NTSTATUS that is not success.
type Status uint32

// What tests look for.
const (
	Pending           Status = 0x00000103
	NotifyEnumDir     Status = 0x0000010c
	SharingViolation  Status = 0xc0000043
	FileLockConflict  Status = 0xc0000054
	LockNotGranted    Status = 0xc0000055
	DeletePending     Status = 0xc0000056
	NameNotFound      Status = 0xc0000034
	AccessDenied      Status = 0xc0000022
	moreProcessing    Status = 0xc0000016
	Cancelled         Status = 0xc0000120
	FileNotAvailable  Status = 0xc0000467
	headerSize               = 64
	maxMessage               = 1 << 20
	unsolicited              = ^uint64(0)
	flagAsync                = 2
	creditsWanted            = 64
	defaultPatience          = 90 * time.Second
	capabilities             = 0x2 | 0x4 | 0x20 // leases, large messages, leases of directories
	dialect           uint16 = 0x0302
	commandNegotiate  uint16 = 0
	commandSetup      uint16 = 1
	commandConnect    uint16 = 3
	commandCreate     uint16 = 5
	commandClose      uint16 = 6
	commandRead       uint16 = 8
	commandWrite      uint16 = 9
	commandLock       uint16 = 10
	commandNotify     uint16 = 15
	commandSetInfo    uint16 = 17
	commandBreak      uint16 = 18
	commandCancel     uint16 = 12
	commandEcho       uint16 = 13
	commandDisconnect uint16 = 4
)

func (s Status) Error() string { return fmt.Sprintf("status %#08x", uint32(s)) }

// Conn is a connection with one session and one share. It is safe for concurrent use.
type Conn struct {
	conn    net.Conn
	guid    [16]byte
	session uint64
	before  uint64 // the session that this one takes the place of
	tree    uint32
	reader  sync.WaitGroup

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]*Call
	breaks  []Break
	failed  error
}

// Call is a request that waits for its reply.
type Call struct {
	c    *Conn
	id   uint64
	came chan []byte

	mu      sync.Mutex
	async   uint64
	interim bool
}

// Break is what a server tells of a lease.
type Break struct {
	Key       [16]byte
	From, To  uint32
	MustReply bool
}

// request appends a header.
func (c *Conn) header(command uint16, id uint64) []byte {
	m := make([]byte, 4+headerSize)
	h := m[4:]
	copy(h, "\xfeSMB")
	le.PutUint16(h[4:], headerSize)
	le.PutUint16(h[6:], 1)
	le.PutUint16(h[12:], command)
	le.PutUint16(h[14:], creditsWanted)
	le.PutUint64(h[24:], id)
	le.PutUint32(h[36:], c.tree)
	le.PutUint64(h[40:], c.session)
	return m
}

// begin sends a request.
func (c *Conn) begin(command uint16, body []byte) (*Call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return nil, c.failed
	}
	call := &Call{c: c, id: c.next, came: make(chan []byte, 1)}
	c.next++
	c.waiting[call.id] = call
	return call, c.sendLocked(append(c.header(command, call.id), body...))
}

func (c *Conn) sendLocked(m []byte) error {
	binary.BigEndian.PutUint32(m, uint32(len(m)-4))
	c.conn.SetWriteDeadline(time.Now().Add(defaultPatience))
	_, err := c.conn.Write(m)
	return err
}

// Wait returns the reply's body, and where in the message it begins is always the same: offsets in it count from the header.
func (call *Call) wait(patience time.Duration) ([]byte, error) {
	select {
	case m := <-call.came:
		if m == nil {
			call.c.mu.Lock()
			defer call.c.mu.Unlock()
			return nil, call.c.failed
		}
		if status := Status(le.Uint32(m[8:])); status != 0 {
			return m, status
		}
		return m, nil
	case <-time.After(patience):
		return nil, fmt.Errorf("no reply after %v", patience)
	}
}

// Waits reports whether the server has said that the reply will take time.
func (call *Call) Waits() bool {
	call.mu.Lock()
	defer call.mu.Unlock()
	return call.interim
}

// Cancel asks the server to end the call.
func (call *Call) Cancel() error {
	call.mu.Lock()
	async := call.async
	call.mu.Unlock()
	call.c.mu.Lock()
	defer call.c.mu.Unlock()
	m := call.c.header(commandCancel, call.id)
	if async != 0 {
		le.PutUint32(m[4+16:], flagAsync)
		le.PutUint64(m[4+32:], async)
	}
	return call.c.sendLocked(append(m, 4, 0, 0, 0))
}

func (c *Conn) call(command uint16, body []byte, least int) ([]byte, error) {
	call, err := c.begin(command, body)
	if err != nil {
		return nil, err
	}
	return call.body(least)
}

// body waits for the reply and checks that it is as long as it must be.
func (call *Call) body(least int) ([]byte, error) {
	m, err := call.wait(defaultPatience)
	if err == nil && len(m) < headerSize+least {
		err = errors.New("a short reply")
	}
	return m, err
}

// receive hands out replies until the connection ends.
func (c *Conn) receive() {
	var err error
	for err == nil {
		var size [4]byte
		if _, err = io.ReadFull(c.conn, size[:]); err != nil {
			break
		}
		n := binary.BigEndian.Uint32(size[:])
		if n < headerSize || n > maxMessage {
			err = errors.New("a reply of a strange length")
			break
		}
		m := make([]byte, n)
		if _, err = io.ReadFull(c.conn, m); err == nil {
			c.take(m)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = fmt.Errorf("the connection has ended: %w", err)
	for id, call := range c.waiting {
		close(call.came)
		delete(c.waiting, id)
	}
}

func (c *Conn) take(m []byte) {
	id := le.Uint64(m[24:])
	if id == unsolicited {
		c.broken(m[headerSize:])
		return
	}
	c.mu.Lock()
	call := c.waiting[id]
	pending := Status(le.Uint32(m[8:])) == Pending
	if !pending {
		delete(c.waiting, id)
	}
	c.mu.Unlock()
	switch {
	case call == nil:
	case pending:
		call.mu.Lock()
		call.async, call.interim = le.Uint64(m[32:]), true
		call.mu.Unlock()
	default:
		call.came <- m
	}
}

func (c *Conn) broken(b []byte) {
	if len(b) < 44 || le.Uint16(b) != 44 {
		return // an oplock's
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.breaks = append(c.breaks, Break{Key: [16]byte(b[8:24]), From: le.Uint32(b[24:]), To: le.Uint32(b[28:]), MustReply: b[4]&1 != 0})
}

// Breaks returns the breaks that have come since the last time.
func (c *Conn) Breaks() []Break {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.breaks
	c.breaks = nil
	return all
}

// Acknowledge tells the server that the client now holds no more than the state.
func (c *Conn) Acknowledge(key [16]byte, state uint32) error {
	b := make([]byte, 36)
	le.PutUint16(b, 36)
	copy(b[8:], key[:])
	le.PutUint32(b[24:], state)
	_, err := c.call(commandBreak, b, 0)
	return err
}

// Cut ends the connection as if the network had.
func (c *Conn) Cut() {
	c.conn.Close()
	c.reader.Wait()
}

// Echo asks whether the server is there.
func (c *Conn) Echo() error {
	_, err := c.call(commandEcho, []byte{4, 0, 0, 0}, 0)
	return err
}

func toUTF16(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = le.AppendUint16(b, u)
	}
	return b
}

func fromUTF16(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = le.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}
