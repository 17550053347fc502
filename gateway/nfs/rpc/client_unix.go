package rpc

import (
	"context"
	"math/rand/v2"
	"net"
)

// DialUnix connects to a server on this host by a stream socket with a name, as rpcbind has one.
func DialUnix(ctx context.Context, path string) (*Client, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return &Client{network: "unix", nc: nc, xid: rand.Uint32()}, nil
}
