package mirror

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"causeway/cluster/address"
)

// maxGuests bounds the connections of peers; those of which it is not known yet who they are, are few, so that who is no peer keeps none out.
const (
	maxGuests           = 4096
	maxStrangers        = 128
	maxStrangersPerAddr = 16
)

// Serve receives the peers' states until Close, or until the listener fails for good. It closes l.
func (m *Mirror) Serve(l net.Listener) error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return l.Close()
	}
	m.listener = l
	m.mu.Unlock()
	defer l.Close()
	for {
		nc, err := l.Accept()
		if t, ok := err.(interface{ Temporary() bool }); ok && t.Temporary() {
			select {
			case <-time.After(5 * time.Millisecond): // no descriptors: some come back
			case <-m.ctx.Done():
			}
			continue
		}
		if m.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		m.welcome(nc)
	}
}

func (m *Mirror) welcome(nc net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || len(m.guests) >= maxGuests {
		_ = nc.Close()
		return
	}
	m.guests[nc] = struct{}{}
	m.tasks.Go(func() {
		err := m.receive(nc)
		_ = nc.Close()
		m.mu.Lock()
		delete(m.guests, nc)
		m.mu.Unlock()
		m.cfg.Log.Debug("a peer's connections are not received any more", "peer", nc.RemoteAddr().String(), "err", err)
	})
}

// receive takes in a peer's state until its connection ends.
func (m *Mirror) receive(nc net.Conn) error {
	conn, name, err := m.identify(nc)
	if err != nil {
		return err
	}
	r := m.enter(name, nc)
	defer m.leave(r, nc)
	var buf []byte
	first := true
	for {
		if err := conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		if buf, err = readFrame(conn, buf); err != nil {
			return err
		}
		if !m.cfg.Member(name) {
			return errNoMember // it was removed meanwhile
		}
		if err := m.take(r, nc, buf, &first); err != nil {
			return err
		}
		if cap(buf) > 64<<10 {
			buf = nil
		}
	}
}

var errNoMember = errors.New("not a member of the cluster")

// identify finds out who a peer is.
func (m *Mirror) identify(nc net.Conn) (conn *tls.Conn, name string, err error) {
	leave, ok := m.door.Enter(nc.RemoteAddr())
	if !ok {
		return nil, "", errors.New("too many connections without a certificate")
	}
	defer leave()
	conn = tls.Server(nc, m.cfg.Server())
	ctx, cancel := context.WithTimeout(m.ctx, dialWithin)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, "", err
	}
	if name = peerName(conn); name == m.cfg.Node || !m.cfg.Member(name) {
		return nil, "", errNoMember
	}
	return conn, name, nil
}

// enter makes nc the connection of a peer, in place of an older one.
func (m *Mirror) enter(name string, nc net.Conn) *replica {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.copies[name]
	if r == nil {
		r = &replica{}
		m.copies[name] = r
	}
	if r.conn != nil {
		_ = r.conn.Close()
	}
	r.conn, r.told = nc, false
	return r
}

func (m *Mirror) leave(r *replica, nc net.Conn) {
	m.mu.Lock()
	current := r.conn == nc
	if current {
		r.conn, r.told = nil, false
	}
	m.mu.Unlock()
	if current {
		m.cfg.Changed()
	}
}

// take takes a frame in.
func (m *Mirror) take(r *replica, nc net.Conn, body []byte, first *bool) error {
	switch body[0] {
	case kindDelta:
		d, err := address.ParseDelta(body[1:])
		if err != nil {
			return err
		}
		if *first && d.Base != 0 {
			return errFrame
		}
		*first = false
		m.mu.Lock()
		defer m.mu.Unlock()
		if r.conn != nc {
			return errors.New("the peer has connected again")
		}
		return r.table.Apply(d)
	case kindHeld:
		held, err := parseHeld(body[1:])
		if err != nil {
			return err
		}
		return m.hold(r, nc, held)
	}
	return nil // of a newer version
}

func (m *Mirror) hold(r *replica, nc net.Conn, held []netip.Addr) error {
	m.mu.Lock()
	if r.conn != nc {
		m.mu.Unlock()
		return errors.New("the peer has connected again")
	}
	news := !r.told || !slices.Equal(held, r.held)
	r.told, r.held = true, held
	m.mu.Unlock()
	if news {
		m.cfg.Changed()
	}
	return nil
}
