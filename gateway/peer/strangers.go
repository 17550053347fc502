package peer

import (
	"errors"
	"net"

	"google.golang.org/grpc/credentials"

	"causeway/internal/doorman"
)

// Connections whose other end has not shown a certificate yet. A gateway has three to each other one, and shows it at once; who does not is
// hung up on after the server's connection timeout.
const (
	maxStrangers        = 128
	maxStrangersPerAddr = 16
)

var errStrangers = errors.New("peer: too many connections without a certificate")

// bounded are credentials that hang up on strangers when there are too many. The bytes that each costs are those of a handshake.
type bounded struct {
	credentials.TransportCredentials
	door *doorman.Doorman
	n    *counts
}

// ServerHandshake implements credentials.TransportCredentials.
func (b bounded) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	leave, ok := b.door.Enter(c.RemoteAddr())
	if !ok {
		b.n.refused.Add(1)
		c.Close()
		return nil, nil, errStrangers
	}
	defer leave()
	return b.TransportCredentials.ServerHandshake(c)
}

// Clone implements credentials.TransportCredentials.
func (b bounded) Clone() credentials.TransportCredentials {
	return bounded{b.TransportCredentials.Clone(), b.door, b.n}
}
