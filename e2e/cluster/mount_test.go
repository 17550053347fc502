//go:build linux

package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"causeway/e2e/bench/nfs3"
	"causeway/e2e/harness"
)

// Procedures of NFSv3 that package nfs3 has no names for.
const procRename = 14

// patience is how long a call waits for its answer before it is sent again, over another connection.
const patience = 700 * time.Millisecond

// mount is a hard mount of a volume at one service address: a call is sent until it is answered, always with the same xid. It is
// for one goroutine.
type mount struct {
	host   *harness.Host
	at     string
	volume string
	root   []byte
	conn   net.Conn
	xid    uint32
	cred   nfs3.Cred
	buf    []byte
	last   []byte // the latest answer

	repeated bool // a call was sent more than once
	sent     int  // how often
}

func newMount(host *harness.Host, at string, volume string, xid uint32) *mount {
	return &mount{host: host, at: net.JoinHostPort(at, "2049"), volume: volume, xid: xid, cred: nfs3.Sys(0, 0)}
}

func (m *mount) close() {
	if m.conn != nil {
		m.conn.Close()
		m.conn = nil
	}
}

// call makes a call and returns its result, whatever it says but "try later". It fails only with ctx.
func (m *mount) call(ctx context.Context, prog, proc uint32, args func(*nfs3.Record)) (nfs3.Reply, error) {
	version := uint32(3)
	if prog == progNLM {
		version = 4
	}
	record := nfs3.NewCall(prog, version, proc, m.cred)
	args(&record)
	record = record.Seal(0)
	m.xid++
	record.SetXID(m.xid)
	for tries := 0; ; tries++ {
		if err := ctx.Err(); err != nil {
			return nfs3.Reply{}, err
		}
		message, err := m.exchange(ctx, record, tries)
		if err != nil {
			m.close()
			m.repeated = true
			time.Sleep(3 * time.Millisecond)
			continue
		}
		m.last = message
		_, reply := nfs3.Accept(message)
		if prog == nfs3.ProgNFS && len(message) >= 28 && nfs3.Status(binary.BigEndian.Uint32(message[24:])) == nfs3.JukeBox {
			m.xid++ // another call
			m.repeated = true
			record.SetXID(m.xid)
			time.Sleep(20 * time.Millisecond)
			continue
		}
		return reply, nil
	}
}

// exchange sends a record and waits for the answer to it; ten times longer where ten attempts have come to nothing, since the machine may just be
// slow.
func (m *mount) exchange(ctx context.Context, record nfs3.Record, tries int) ([]byte, error) {
	factor := time.Duration(1)
	if tries%20 >= 10 {
		factor = 10
	}
	if m.conn == nil {
		short, cancel := context.WithTimeout(ctx, factor*150*time.Millisecond)
		defer cancel()
		conn, err := m.host.Dial(short, "tcp", m.at)
		if err != nil {
			return nil, err
		}
		m.conn = conn
	}
	m.sent++
	m.conn.SetDeadline(time.Now().Add(factor * patience))
	if _, err := m.conn.Write(record); err != nil {
		return nil, err
	}
	for {
		var mark [4]byte
		if _, err := io.ReadFull(m.conn, mark[:]); err != nil {
			return nil, err
		}
		size := int(binary.BigEndian.Uint32(mark[:]) &^ (1 << 31))
		if size > nfs3.MaxMessage || size < 24 {
			return nil, errors.New("a strange record")
		}
		if len(m.buf) < size {
			m.buf = make([]byte, size)
		}
		if _, err := io.ReadFull(m.conn, m.buf[:size]); err != nil {
			return nil, err
		}
		if binary.BigEndian.Uint32(m.buf) == m.xid {
			return m.buf[:size], nil
		}
	}
}

// begin asks for the handle of the volume.
func (m *mount) begin(ctx context.Context) error {
	for {
		r, err := m.call(ctx, nfs3.ProgMount, nfs3.MountMnt, func(a *nfs3.Record) { a.Opaque([]byte("/" + m.volume)) })
		if err != nil {
			return err
		}
		r.Status()
		handle := r.Opaque()
		if r.Err == nil {
			m.root = append([]byte(nil), handle...)
			return nil
		}
		time.Sleep(20 * time.Millisecond) // it was made a moment ago
	}
}

// create makes a file that is not there.
func (m *mount) create(ctx context.Context, name string) ([]byte, error) {
	r, err := m.call(ctx, nfs3.ProgNFS, nfs3.Create, func(a *nfs3.Record) {
		a.Opaque(m.root)
		a.Opaque([]byte(name))
		a.Uint32(1) // GUARDED
		a.SetAttrs(0o644)
	})
	if err != nil {
		return nil, err
	}
	handle, err := r.CreateResult()
	return append([]byte(nil), handle...), err
}

func (m *mount) lookup(ctx context.Context, name string) ([]byte, error) {
	r, err := m.call(ctx, nfs3.ProgNFS, nfs3.Lookup, func(a *nfs3.Record) { a.Opaque(m.root); a.Opaque([]byte(name)) })
	if err != nil {
		return nil, err
	}
	handle, err := r.LookupResult()
	return append([]byte(nil), handle...), err
}

func (m *mount) rename(ctx context.Context, from, to string) error {
	r, err := m.call(ctx, nfs3.ProgNFS, procRename, func(a *nfs3.Record) {
		a.Opaque(m.root)
		a.Opaque([]byte(from))
		a.Opaque(m.root)
		a.Opaque([]byte(to))
	})
	if err != nil {
		return err
	}
	r.Status()
	return r.Err
}

func (m *mount) remove(ctx context.Context, name string) error {
	r, err := m.call(ctx, nfs3.ProgNFS, nfs3.Remove, func(a *nfs3.Record) { a.Opaque(m.root); a.Opaque([]byte(name)) })
	if err != nil {
		return err
	}
	return r.RemoveResult()
}

func (m *mount) write(ctx context.Context, file []byte, at int64, data []byte, stable uint32) (verifier uint64, err error) {
	r, err := m.call(ctx, nfs3.ProgNFS, nfs3.Write, func(a *nfs3.Record) {
		a.Opaque(file)
		a.Uint64(uint64(at))
		a.Uint32(uint32(len(data)))
		a.Uint32(stable)
		a.Opaque(data)
	})
	if err != nil {
		return 0, err
	}
	return r.WriteResult(len(data), stable)
}

func (m *mount) commit(ctx context.Context, file []byte) (verifier uint64, err error) {
	r, err := m.call(ctx, nfs3.ProgNFS, nfs3.Commit, func(a *nfs3.Record) { a.Opaque(file); a.Uint64(0); a.Uint32(0) })
	if err != nil {
		return 0, err
	}
	return r.CommitResult()
}

func (m *mount) read(ctx context.Context, file []byte, at int64, n int) ([]byte, error) {
	r, err := m.call(ctx, nfs3.ProgNFS, nfs3.Read, func(a *nfs3.Record) {
		a.Opaque(file)
		a.Uint64(uint64(at))
		a.Uint32(uint32(n))
	})
	if err != nil {
		return nil, err
	}
	data, err := r.ReadResult(n)
	if err != nil {
		return nil, fmt.Errorf("at %d: %w", at, err)
	}
	return data, nil
}

func (m *mount) getattr(ctx context.Context, object []byte) error {
	r, err := m.call(ctx, nfs3.ProgNFS, nfs3.GetAttr, func(a *nfs3.Record) { a.Opaque(object) })
	if err != nil {
		return err
	}
	_, err = r.GetAttrResult()
	return err
}
