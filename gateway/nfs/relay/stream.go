package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// gathered collects what TLS writes record by record (16 KiB), so that a frame costs few system calls, and reads ahead.
type gathered struct {
	net.Conn
	in *bufio.Reader

	mu      sync.Mutex
	out     *bufio.Writer
	collect bool // after the handshake, which does not know when to flush
}

const streamBuffer = 128 << 10

func (g *gathered) Read(p []byte) (int, error) { return g.in.Read(p) }

func (g *gathered) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, err := g.out.Write(p)
	if err == nil && !g.collect {
		err = g.out.Flush()
	}
	return n, err
}

func (g *gathered) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out.Flush()
}

// stream is a connection between gateways. One goroutine reads, one at a time writes.
type stream struct {
	*tls.Conn
	under *gathered
}

func newStream(nc net.Conn, wrap func(net.Conn) *tls.Conn) *stream {
	if t, ok := nc.(*net.TCPConn); ok {
		t.SetNoDelay(true)
		t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3})
	}
	g := &gathered{Conn: nc, in: bufio.NewReaderSize(nc, streamBuffer), out: bufio.NewWriterSize(nc, streamBuffer)}
	return &stream{wrap(g), g}
}

// handshake runs the handshake of TLS.
func (s *stream) handshake(ctx context.Context) error {
	if err := s.HandshakeContext(ctx); err != nil {
		return err
	}
	s.under.mu.Lock()
	s.under.collect = true
	s.under.mu.Unlock()
	return nil
}

// peerName is the name in the other side's certificate, which was verified; empty if it showed none.
func (s *stream) peerName() string {
	if certs := s.ConnectionState().PeerCertificates; len(certs) > 0 {
		return certs[0].Subject.CommonName
	}
	return ""
}

// write writes a frame. After an error the stream is of no use.
func (s *stream) write(frame []byte, within time.Duration) error {
	if err := s.under.Conn.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := s.Conn.Write(frame); err != nil {
		return err
	}
	return s.under.flush()
}

// Close ends the connection at once: TLS's own good-bye could wait for a writer.
func (s *stream) Close() error { return s.under.Conn.Close() }

// abandon closes the connection and has the kernel forget what has not arrived: it would be sent again and again for minutes, and be
// executed after what was sent later over another connection.
func (s *stream) abandon() {
	if tcp, ok := s.under.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	s.under.Conn.Close()
}
