package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"causeway/e2e/bench/nfs3"
)

const (
	lastFragment = 1 << 31
	copyLimit    = 16 << 10 // payloads over this are sent from where they lie
	slotBits     = 10       // an xid is generation<<slotBits | slot
	maxSlots     = 1 << slotBits
)

// conn is one connection: its outstanding calls, what waits to be sent, what has been received and not yet judged.
type conn struct {
	fd     int
	driver Driver
	slots  []slot
	open   int // calls outstanding

	arena []byte   // calls of the present batch, copied together
	tail  bool     // the last of queue is the end of arena and can be extended
	queue [][]byte // what waits to be sent, in order
	vec   []unix.Iovec

	in         []byte
	start, end int // the received bytes in[start:end]
}

type slot struct {
	xid  uint32
	busy bool
	sent time.Duration
}

func newConn(fd, outstanding, replySize int, d Driver) *conn {
	return &conn{
		fd:     fd,
		driver: d,
		slots:  make([]slot, outstanding),
		arena:  make([]byte, 0, max(64<<10, outstanding*(copyLimit+512))),
		vec:    make([]unix.Iovec, 0, 64),
		in:     make([]byte, max(64<<10, (outstanding+1)*(replySize+256))),
	}
}

// issue puts the next call of a slot into the queue.
func (c *conn) issue(i int, now time.Duration) {
	record, payload, ok := c.driver.Next(i)
	if !ok {
		return
	}
	s := &c.slots[i]
	s.xid += maxSlots
	s.xid = s.xid&^(maxSlots-1) | uint32(i)
	s.busy, s.sent = true, now
	c.open++
	record.SetXID(s.xid)
	c.copy(record)
	if len(payload) == 0 {
		return
	}
	if len(payload) <= copyLimit {
		c.copy(payload)
		return
	}
	c.queue = append(c.queue, payload)
	c.tail = false
}

// copy appends bytes to the arena and to the queue.
func (c *conn) copy(p []byte) {
	if len(c.arena)+len(p) > cap(c.arena) {
		c.arena, c.tail = make([]byte, 0, max(cap(c.arena), len(p))), false
	}
	from := len(c.arena)
	c.arena = append(c.arena, p...)
	if c.tail {
		last := &c.queue[len(c.queue)-1]
		*last = (*last)[:len(*last)+len(p)]
		return
	}
	c.queue = append(c.queue, c.arena[from:])
	c.tail = true
}

// flush sends as much of the queue as the socket takes.
func (c *conn) flush() error {
	for len(c.queue) > 0 {
		n, err := c.write()
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		c.sent(n)
	}
	return nil
}

func (c *conn) write() (int, error) {
	if len(c.queue) == 1 {
		return writeSocket(c.fd, c.queue[0])
	}
	c.vec = c.vec[:0]
	for _, p := range c.queue[:min(len(c.queue), cap(c.vec))] {
		v := unix.Iovec{Base: &p[0]}
		v.SetLen(len(p))
		c.vec = append(c.vec, v)
	}
	return writevSocket(c.fd, c.vec)
}

// sent drops n bytes from the head of the queue.
func (c *conn) sent(n int) {
	done := 0
	for done < len(c.queue) && n >= len(c.queue[done]) {
		n -= len(c.queue[done])
		done++
	}
	rest := copy(c.queue, c.queue[done:])
	c.queue = c.queue[:rest]
	if rest == 0 {
		c.arena, c.tail = c.arena[:0], false
		return
	}
	c.queue[0] = c.queue[0][n:]
}

// receive reads once. more says that the buffer was filled, so that there may be more in the socket.
func (c *conn) receive() (more bool, err error) {
	if c.start == c.end {
		c.start, c.end = 0, 0
	} else if c.end == len(c.in) {
		c.end = copy(c.in, c.in[c.start:c.end])
		c.start = 0
		if c.end == len(c.in) {
			return false, errors.New("a reply is longer than any that was asked for")
		}
	}
	n, err := readSocket(c.fd, c.in[c.end:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return errors.Is(err, unix.EINTR), nil
	}
	if err != nil {
		return false, err
	}
	if n == 0 {
		return false, fmt.Errorf("server closed the connection: %w", io.ErrUnexpectedEOF)
	}
	c.end += n
	return c.end == len(c.in), nil
}

// message returns the next complete message, nil if there is none yet.
func (c *conn) message() []byte {
	at, size := c.start, 0
	for {
		if c.end-at < 4 {
			return nil
		}
		mark := binary.BigEndian.Uint32(c.in[at:])
		n := int(mark &^ lastFragment)
		if c.end-at-4 < n {
			return nil
		}
		at, size = at+4+n, size+n
		if mark&lastFragment != 0 {
			break
		}
	}
	p := c.in[c.start:at]
	c.start = at
	if len(p) == 4+size {
		return p[4:]
	}
	return join(p, size)
}

// join moves the fragments of a record together, in place.
func join(p []byte, size int) []byte {
	out := 0
	for len(p)-out > 0 && out < size {
		n := int(binary.BigEndian.Uint32(p[out:]) &^ lastFragment)
		copy(p[out:], p[out+4:])
		p = p[:len(p)-4]
		out += n
	}
	return p[:size]
}

// judge finds the slot that a message answers and lets the driver judge it.
func (c *conn) judge(message []byte) (slot int, units int64, err error) {
	xid, reply := nfs3.Accept(message)
	i := int(xid & (maxSlots - 1))
	if i >= len(c.slots) || !c.slots[i].busy || c.slots[i].xid != xid {
		return 0, 0, fmt.Errorf("reply with xid %#x, which is not outstanding", xid)
	}
	c.slots[i].busy = false
	c.open--
	if reply.Err != nil {
		return i, 0, reply.Err
	}
	units, err = c.driver.Done(i, &reply)
	return i, units, err
}
