package cluster

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy forwards TCP connections until it is told to swallow everything: connections stay open, and nothing arrives.
type proxy struct {
	target   string
	listener net.Listener
	cut      atomic.Bool
	slow     atomic.Int64 // delay of every piece
	mu       sync.Mutex
	conns    map[net.Conn]bool
	tasks    sync.WaitGroup
}

func newProxy(t *testing.T, target string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: target, listener: l, conns: make(map[net.Conn]bool)}
	p.tasks.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.reset()
		p.tasks.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = true, true
		p.mu.Unlock()
		p.tasks.Go(func() { p.pump(in, out) })
		p.tasks.Go(func() { p.pump(out, in) })
	}
}

func (p *proxy) pump(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		time.Sleep(time.Duration(p.slow.Load()))
		for p.cut.Load() { // what was read is lost to the other side until the cut is healed
			time.Sleep(5 * time.Millisecond)
			if p.closed(from) {
				return
			}
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) closed(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.conns[c]
}

// reset breaks all connections.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
		delete(p.conns, c)
	}
}
