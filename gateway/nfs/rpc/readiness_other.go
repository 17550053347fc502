//go:build !unix

package rpc

// readiness is for systems where a read does not need its buffer until there is something to read.
type readiness struct{}

func (r *readiness) init(*netPort) {}

func (r *readiness) read(p *netPort) (int, error) { return p.readAny() }
