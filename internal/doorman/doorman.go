// Package doorman bounds how many strangers are dealt with at once: in total, and of one address, so that one address cannot keep all
// others out. Who is a stranger, and for how long, its users say.
package doorman

import (
	"net"
	"net/netip"
	"sync"
)

// Doorman counts. Its zero value lets nobody in.
type Doorman struct {
	Total, PerAddr int

	mu      sync.Mutex
	inside  int
	of      map[netip.Addr]int
	refused uint64
}

// Enter lets one in, who calls leave once; false: there are too many.
func (d *Doorman) Enter(from net.Addr) (leave func(), ok bool) {
	addr := addrOf(from)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside >= d.Total || d.of[addr] >= d.PerAddr {
		d.refused++
		return nil, false
	}
	if d.of == nil {
		d.of = make(map[netip.Addr]int)
	}
	d.inside++
	d.of[addr]++
	var once sync.Once
	return func() { once.Do(func() { d.leave(addr) }) }, true
}

func (d *Doorman) leave(addr netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside--
	if d.of[addr]--; d.of[addr] == 0 {
		delete(d.of, addr)
	}
}

// Refused counts who was not let in.
func (d *Doorman) Refused() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused
}

func addrOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// Listener hangs up on connections that are too many, as long as the others are not closed.
func (d *Doorman) Listener(l net.Listener) net.Listener { return listener{l, d} }

type listener struct {
	net.Listener
	d *Doorman
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if leave, ok := l.d.Enter(c.RemoteAddr()); ok {
			return &conn{c, leave}, nil
		}
		c.Close()
	}
}

type conn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *conn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
