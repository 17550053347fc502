package nfs3

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// MaxMessage bounds what a server may send as one record: a READ of 1 MiB and its headers.
const MaxMessage = 1<<20 + 4096

// Client makes one call at a time on one connection, for preparations. It is not for concurrent use.
type Client struct {
	Cred Cred
	conn net.Conn
	xid  uint32
	buf  []byte
}

// NewClient uses a connection and owns it from then on.
func NewClient(conn net.Conn, cred Cred) *Client {
	return &Client{Cred: cred, conn: conn}
}

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Call makes a call whose arguments args appends (nil: none). The reply is good until the next call.
func (c *Client) Call(prog, vers, proc uint32, args func(*Record)) (Reply, error) {
	record := NewCall(prog, vers, proc, c.Cred)
	if args != nil {
		args(&record)
	}
	c.xid++
	record.SetXID(c.xid)
	if err := c.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return Reply{}, err
	}
	if _, err := c.conn.Write(record.Seal(0)); err != nil {
		return Reply{}, err
	}
	message, err := c.receive()
	if err != nil {
		return Reply{}, err
	}
	xid, reply := Accept(message)
	if reply.Err == nil && xid != c.xid {
		reply.Err = fmt.Errorf("reply has xid %d, not %d", xid, c.xid)
	}
	return reply, reply.Err
}

func (c *Client) receive() ([]byte, error) {
	n := 0
	for {
		var mark [4]byte
		if _, err := io.ReadFull(c.conn, mark[:]); err != nil {
			return nil, err
		}
		header := binary.BigEndian.Uint32(mark[:])
		size := int(header &^ lastFragment)
		if size > MaxMessage-n {
			return nil, errors.New("reply is longer than any this client asks for")
		}
		if size > len(c.buf)-n {
			c.buf = append(c.buf[:n], make([]byte, size)...)
		}
		if _, err := io.ReadFull(c.conn, c.buf[n:n+size]); err != nil {
			return nil, err
		}
		if n += size; header&lastFragment != 0 {
			return c.buf[:n], nil
		}
	}
}

// Mount asks MOUNT v3 for the handle of an export.
func (c *Client) Mount(path string) ([]byte, error) {
	r, err := c.Call(ProgMount, VersMount, MountMnt, func(a *Record) { a.Opaque([]byte(path)) })
	if err != nil {
		return nil, err
	}
	r.Status()
	handle := r.Opaque()
	for range r.Uint32() { // auth flavors
		r.Skip(4)
		if r.Err != nil {
			break
		}
	}
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("mount %s: %w", path, err)
	}
	return append([]byte(nil), handle...), nil
}

// Lookup finds a name in a directory.
func (c *Client) Lookup(dir []byte, name string) ([]byte, error) {
	r, err := c.Call(ProgNFS, VersNFS, Lookup, func(a *Record) { a.Opaque(dir); a.Opaque([]byte(name)) })
	if err != nil {
		return nil, err
	}
	handle, err := r.LookupResult()
	if err != nil {
		return nil, fmt.Errorf("lookup %s: %w", name, err)
	}
	return append([]byte(nil), handle...), nil
}

// GetAttr asks for the attributes of an object.
func (c *Client) GetAttr(object []byte) (Attr, error) {
	r, err := c.Call(ProgNFS, VersNFS, GetAttr, func(a *Record) { a.Opaque(object) })
	if err != nil {
		return Attr{}, err
	}
	return r.GetAttrResult()
}

// ReadDirPlus reads one part of a directory (RFC 1813 §3.3.17).
func (c *Client) ReadDirPlus(dir []byte, cookie, verifier uint64, dircount, maxcount uint32) (Reply, error) {
	return c.Call(ProgNFS, VersNFS, ReadDirPlus, func(a *Record) {
		a.Opaque(dir)
		a.Uint64(cookie)
		a.Uint64(verifier)
		a.Uint32(dircount)
		a.Uint32(maxcount)
	})
}
