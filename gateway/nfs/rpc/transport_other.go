//go:build !linux

package rpc

import "net"

// loops are for Linux.
type loops struct{}

func (s *Server) newPort(c *conn, nc net.Conn) port { return newNetPort(c, nc) }
