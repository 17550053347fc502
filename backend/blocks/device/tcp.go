package device

import (
	"bufio"
	"context"
	"net"
	"sync"

	"causeway"
	"causeway/backend"
)

// Server answers for a device over TCP. It trusts whoever reaches it, as a disk does.
type Server struct {
	device *Device

	mu      sync.Mutex
	conns   map[net.Conn]bool // nil: closed
	running sync.WaitGroup
}

// NewServer returns a Server of a device.
func NewServer(d *Device) *Server { return &Server{device: d, conns: map[net.Conn]bool{}} }

// Serve answers until the listener is closed.
func (s *Server) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		s.mu.Lock()
		if s.conns == nil {
			s.mu.Unlock()
			return c.Close()
		}
		s.conns[c] = true
		s.running.Go(func() { s.serve(c) })
		s.mu.Unlock()
	}
}

// Close ends all connections; the device stays.
func (s *Server) Close() {
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.running.Wait()
}

func (s *Server) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	in := bufio.NewReaderSize(c, 64<<10)
	for {
		r, err := readRequest(in)
		if err != nil {
			return
		}
		out := s.answer(r)
		if _, err := c.Write(out.append(nil)); err != nil {
			return
		}
	}
}

func (s *Server) answer(r *request) (out reply) {
	ctx := context.Background()
	switch r.op {
	case opGeometry:
		out.a, out.b, out.err = s.device.Geometry(ctx)
	case opClaim:
		out.err = s.device.Claim(ctx, r.volume, r.tag.Epoch)
	case opRegister:
		out.a, out.err = s.device.Register(ctx, r.volume, r.holder)
	case opFence:
		out.err = s.device.Fence(ctx, r.volume, r.tag.Epoch, r.holder)
	case opWrite:
		out.err = s.device.Write(ctx, r.volume, r.tag, r.off, r.data)
	case opCheck:
		out.err = s.device.Check(ctx, r.volume, r.tag)
	case opRead:
		out.data = make([]byte, r.n)
		if out.err = s.device.Read(ctx, r.volume, r.tag, r.off, out.data); out.err != nil {
			out.data = nil
		}
	}
	return out
}

// maxIdle is how many connections a Client keeps.
const maxIdle = 8

// Client is a device at the other end of TCP. A call has a connection to itself; one that fails in the middle is not
// repeated: a write may have been done.
type Client struct {
	address string

	mu     sync.Mutex
	idle   []net.Conn
	closed bool
}

var _ Storage = (*Client)(nil)

// NewClient returns a client of the server at an address. It connects when it is used.
func NewClient(address string) *Client { return &Client{address: address} }

// Close ends the connections that nobody uses; those in use end after their calls.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, conn := range c.idle {
		_ = conn.Close()
	}
	c.idle = nil
	return nil
}

func (c *Client) conn(ctx context.Context) (net.Conn, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, causeway.ErrClosed
	}
	if n := len(c.idle); n > 0 {
		conn := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return conn, nil
	}
	c.mu.Unlock()
	var d net.Dialer
	return d.DialContext(ctx, "tcp", c.address)
}

func (c *Client) done(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= maxIdle {
		_ = conn.Close()
		return
	}
	c.idle = append(c.idle, conn)
}

// call asks and reads the answer, with its data in dst.
func (c *Client) call(ctx context.Context, r *request, dst []byte) (reply, error) {
	if len(r.holder) > maxHolder || len(r.data) > MaxIO || len(dst) > MaxIO {
		return reply{}, causeway.ErrInval
	}
	conn, err := c.conn(ctx)
	if err != nil {
		return reply{}, failed(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	_, err = conn.Write(r.append(nil))
	var out reply
	if err == nil {
		out, err = readReply(conn, dst)
	}
	if !stop() || err != nil {
		_ = conn.Close()
	} else {
		c.done(conn)
	}
	if err != nil {
		return out, failed(err)
	}
	return out, out.err
}

func failed(err error) error { return &causeway.Error{Op: "device", Code: causeway.ErrIO, Err: err} }

// Geometry implements Storage.
func (c *Client) Geometry(ctx context.Context) (size, count uint64, err error) {
	r, err := c.call(ctx, &request{op: opGeometry}, nil)
	return r.a, r.b, err
}

// Claim implements Storage.
func (c *Client) Claim(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) error {
	_, err := c.call(ctx, &request{op: opClaim, volume: v, tag: backend.Tag{Epoch: e}}, nil)
	return err
}

// Register implements Storage.
func (c *Client) Register(ctx context.Context, v causeway.VolumeID, holder string) (uint64, error) {
	r, err := c.call(ctx, &request{op: opRegister, volume: v, holder: holder}, nil)
	return r.a, err
}

// Fence implements Storage.
func (c *Client) Fence(ctx context.Context, v causeway.VolumeID, e causeway.Epoch, holder string) error {
	_, err := c.call(ctx, &request{op: opFence, volume: v, tag: backend.Tag{Epoch: e}, holder: holder}, nil)
	return err
}

// Read implements Storage.
func (c *Client) Read(ctx context.Context, v causeway.VolumeID, t backend.Tag, off uint64, p []byte) error {
	_, err := c.call(ctx, &request{op: opRead, volume: v, tag: t, off: off, n: uint32(len(p))}, p)
	return err
}

// Write implements Storage.
func (c *Client) Write(ctx context.Context, v causeway.VolumeID, t backend.Tag, off uint64, p []byte) error {
	_, err := c.call(ctx, &request{op: opWrite, volume: v, tag: t, off: off, data: p}, nil)
	return err
}

// Check implements Storage.
func (c *Client) Check(ctx context.Context, v causeway.VolumeID, t backend.Tag) error {
	_, err := c.call(ctx, &request{op: opCheck, volume: v, tag: t}, nil)
	return err
}
