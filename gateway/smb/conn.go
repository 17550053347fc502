package smb

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"causeway/gateway/smb/secure"
	"causeway/gateway/smb/wire"
	"causeway/internal/buf"
)

var le = binary.LittleEndian

// conn is a connection of a client. What negotiation has found is written before any other request is handled, by the goroutine
// that reads, and constant afterwards.
type conn struct {
	srv           *Server
	nc            net.Conn
	remote, local netip.Addr
	life          uint64 // see gateway.Caller
	in            *bufio.Reader
	out           output
	window        *window
	negotiated    negotiated
	ctx           context.Context // ends with the connection
	cancel        context.CancelFunc
	slots         chan struct{} // requests in goroutines
	running       sync.WaitGroup
	readEnded     chan error // what ended reading
	stopping      atomic.Bool
	loggedOn      atomic.Bool

	mu       sync.Mutex
	sessions map[uint64]*channel
	ended    map[uint64]*secure.Signer // keys of sessions that have ended
	pending  map[uint64]*pending       // by async id
	inFlight map[uint64]bool           // message ids of elements in goroutines; true: cancelled
	asyncs   uint64
}

// negotiated is what NEGOTIATE settled.
type negotiated struct {
	done         bool
	dialect      wire.Dialect // 0 or DialectAny: not settled yet
	clientGUID   [16]byte
	capabilities uint32 // the client's
	offered      uint32 // the server's
	mode         uint16 // the client's
	dialects     []wire.Dialect
	cipher       uint16 // 0: no encryption
	signing      uint16
	hasCipher    bool // the client sent a context for it
	hasSigning   bool
	preauth      secure.Preauth
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{
		srv: s, nc: nc, remote: addrOf(nc.RemoteAddr()), local: addrOf(nc.LocalAddr()),
		in: bufio.NewReaderSize(nc, 64<<10), window: newWindow(s.cfg.MaxCredits), slots: make(chan struct{}, s.cfg.MaxRequests),
		sessions: map[uint64]*channel{}, pending: map[uint64]*pending{}, inFlight: map[uint64]bool{}, ended: map[uint64]*secure.Signer{},
		readEnded: make(chan error, 1),
	}
	c.out.init(c)
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	return c
}

// serve reads messages until the connection ends, waits for those that run, and ends what belonged to it.
func (c *conn) serve() {
	c.nc.SetReadDeadline(time.Now().Add(c.srv.cfg.LogonTimeout))
	c.readOn()
	err := <-c.readEnded
	if err != nil && !errors.Is(err, io.EOF) && !c.stopping.Load() {
		c.srv.cfg.Logger.Debug("connection ended", "client", c.remote, "err", err)
	}
	c.stopping.Store(true)
	c.srv.strike(c)
	c.abandonWaits()
	c.cancel() // what waits for others ends now
	c.running.Wait()
	c.abandonWaits() // those that began meanwhile
	c.out.end()
	c.nc.Close()
	for _, ch := range c.channels() {
		ch.session.leave(ch)
	}
}

// drain ends reading; serve does the rest.
func (c *conn) drain() {
	c.stopping.Store(true)
	c.nc.SetReadDeadline(time.Unix(1, 0))
}

// fail ends the connection at once.
func (c *conn) fail(err error) {
	c.srv.cfg.Logger.Debug("connection closed", "client", c.remote, "err", err)
	c.stopping.Store(true)
	c.cancel()
	c.nc.Close()
}

var (
	errFrame    = errors.New("smb: not a message of SMB")
	errProtocol = errors.New("smb: the client broke the protocol")
)

// frameHeader is the size of the length in front of a message over TCP ([MS-SMB2] 2.1).
const frameHeader = 4

// stuckAfter is how long a large message may keep its connection from being read: most are moved sooner than another goroutine, on
// another processor and far from what was read, would have begun.
const stuckAfter = 2 * time.Millisecond

// readOn reads messages until the connection ends, or until another goroutine has taken over while this one had to wait.
func (c *conn) readOn() {
	for {
		waits, err := c.read()
		switch {
		case waits == nil:
			c.readEnded <- err
			return
		case !waits.large:
			go c.readOn()
			waits.resume()
			return
		case !c.move(waits):
			return
		}
	}
}

// move goes on with a large message, and reports whether nobody took over reading meanwhile.
func (c *conn) move(m *message) bool {
	var taken atomic.Bool
	stuck := c.srv.alarms.after(stuckAfter, func() {
		if !taken.Swap(true) {
			c.readOn()
		}
	})
	m.resume()
	stuck.stop()
	return !taken.Swap(true)
}

// read handles messages one by one, up to one that waits. Replies are sent when no further message has arrived yet.
func (c *conn) read() (waits *message, err error) {
	defer func() {
		if p := recover(); p != nil { // before there was an element to be answered
			waits, err = nil, c.panicked(p)
		}
	}()
	for {
		var head [frameHeader]byte
		if c.in.Buffered() < frameHeader {
			c.out.uncork()
		}
		if _, err := io.ReadFull(c.in, head[:]); err != nil {
			return nil, err
		}
		n := int(binary.BigEndian.Uint32(head[:]))
		if n > maxFrame || n < frameHeader || n > maxLogonFrame && !c.loggedOn.Load() {
			return nil, errFrame // a first byte that is not zero is beyond too
		}
		b := c.srv.pool.Get(n + secure.TagSize)
		if c.in.Buffered() < n {
			c.out.uncork()
			c.deadline(c.srv.cfg.FrameTimeout)
			if _, err := io.ReadFull(c.in, b.B[:n]); err != nil {
				b.Release()
				return nil, err
			}
			c.deadline(0)
		} else if _, err := io.ReadFull(c.in, b.B[:n]); err != nil {
			b.Release()
			return nil, err
		}
		c.srv.counts.in.Add(int64(n))
		c.out.cork()
		if waits, err = c.receive(b, b.B[:n:n+secure.TagSize]); err != nil || waits != nil {
			return waits, err
		}
		if c.stopping.Load() {
			return nil, nil
		}
	}
}

// deadline bounds what is read next; 0: there is no bound. A connection that nobody has logged on to keeps the deadline of its start.
func (c *conn) deadline(d time.Duration) {
	if !c.loggedOn.Load() {
		return
	}
	at := time.Time{}
	if d > 0 {
		at = time.Now().Add(d)
	}
	c.nc.SetReadDeadline(at)
	if c.stopping.Load() { // drain may have come in between
		c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// welcome takes the deadline off that logging on had.
func (c *conn) welcome() {
	if !c.loggedOn.Swap(true) {
		c.srv.enlist(c)
		c.deadline(0)
	}
}

// receive handles one message, and returns it if it waits. It owns b.
func (c *conn) receive(b *buf.Buffer, m []byte) (waits *message, err error) {
	msg := newMessage(c, b)
	switch wire.KindOf(m) {
	case wire.KindSMB2:
		msg.rest = m
	case wire.KindTransform:
		var t wire.Transform
		ch := (*channel)(nil)
		err = t.Parse(m)
		if err == nil {
			ch = c.channel(t.SessionID)
		}
		if ch == nil || !ch.valid() && !ch.binding || ch.session.opener == nil {
			msg.release()
			return nil, errProtocol
		}
		if msg.rest, err = ch.session.opener.Open(m); err != nil {
			msg.release()
			return nil, err
		}
		if wire.KindOf(msg.rest) != wire.KindSMB2 {
			msg.release()
			return nil, errProtocol
		}
		msg.sealed = ch.session
	case wire.KindSMB1:
		return nil, c.negotiateSMB1(msg, m)
	default:
		msg.release()
		return nil, errFrame
	}
	return msg.begin()
}

func (c *conn) channel(id uint64) *channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions[id]
}

func (c *conn) channels() []*channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*channel, 0, len(c.sessions))
	for _, ch := range c.sessions {
		all = append(all, ch)
	}
	return all
}
