package rpc

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"causeway/gateway/nfs/xdr"
)

// exchange sends a call, whose record mark is still empty, and returns the record of its reply.
func (c *Client) exchange(ctx context.Context, e xdr.Encoder) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { c.nc.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && c.bad == nil {
			c.bad = net.ErrClosed // the deadline may be set at any time from now on
			c.nc.Close()
		}
	}()
	var record []byte
	var err error
	if strings.HasPrefix(c.network, "udp") {
		record, err = c.exchangeDatagram(ctx, e.Bytes()[markSize:])
	} else {
		e.PatchUint32(0, lastFragment|uint32(e.Len()-markSize))
		record, err = c.exchangeStream(e.Bytes())
	}
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return record, err
}

// exchangeStream is for TCP. After a failure the stream may be out of step, so the client is not used again.
func (c *Client) exchangeStream(call []byte) (record []byte, err error) {
	defer func() {
		if err != nil {
			c.bad = err
			c.nc.Close()
		}
	}()
	if _, err := c.nc.Write(call); err != nil {
		return nil, err
	}
	for {
		record, err := c.readRecord()
		if err != nil {
			return nil, err
		}
		if c.answers(record) {
			return record, nil
		}
	}
}

// readRecord reads one record of at most maxReply bytes.
func (c *Client) readRecord() ([]byte, error) {
	c.in = c.in[:0]
	for fragments := 0; ; fragments++ {
		var mark [markSize]byte
		if _, err := io.ReadFull(c.nc, mark[:]); err != nil {
			return nil, err
		}
		word := binary.BigEndian.Uint32(mark[:])
		n, at := int(word&^lastFragment), len(c.in)
		if n > maxReply-at || fragments > maxFragments {
			return nil, errRecordTooLarge
		}
		c.in = append(c.in, make([]byte, n)...)
		if _, err := io.ReadFull(c.nc, c.in[at:]); err != nil {
			return nil, err
		}
		if word&lastFragment != 0 {
			return c.in, nil
		}
	}
}

// exchangeDatagram is for UDP: the call is sent again until an answer comes.
func (c *Client) exchangeDatagram(ctx context.Context, call []byte) ([]byte, error) {
	if cap(c.in) < maxReply {
		c.in = make([]byte, maxReply)
	}
	defer c.nc.SetReadDeadline(time.Time{})
	for pause := firstRetry; ; pause = min(2*pause, maxRetry) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if _, err := c.nc.Write(call); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, err
		}
		c.nc.SetReadDeadline(time.Now().Add(pause))
		if ctx.Err() != nil { // it may have set its deadline before ours
			return nil, ctx.Err()
		}
		record, err := c.readDatagram()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return record, err
		}
	}
}

// readDatagram waits for the reply. A refusal by ICMP ends the call: nobody listens there.
func (c *Client) readDatagram() ([]byte, error) {
	for {
		n, err := c.nc.Read(c.in[:maxReply])
		if err != nil {
			return nil, err
		}
		if c.answers(c.in[:n]) {
			return c.in[:n], nil
		}
	}
}

// answers reports whether a record is the reply to the call under way; others are late ones of calls that were given up.
func (c *Client) answers(record []byte) bool {
	return len(record) >= 8 && binary.BigEndian.Uint32(record) == c.xid && binary.BigEndian.Uint32(record[4:]) == msgReply
}

// CallOnce dials, calls and closes: for callers that have one thing to say.
func CallOnce(ctx context.Context, network string, local, remote netip.AddrPort, prog, vers, proc uint32, cred *ClientCred, args func(*xdr.Encoder), reply func(*xdr.Decoder) error) error {
	c, err := Dial(ctx, network, local, remote)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Call(ctx, prog, vers, proc, cred, args, reply)
}
