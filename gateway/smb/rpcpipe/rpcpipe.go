// Package rpcpipe answers remote procedure calls on the named pipes of IPC$: DCE/RPC version 5 over messages ([C706] chapter 12,
// [MS-RPCE]), the NDR encoding, and of srvsvc ([MS-SRVS]), wkssvc ([MS-WKST]) and lsarpc ([MS-LSAT])
// the calls by which clients list shares, ask a server who it is, and turn SIDs into names. It only tells; nothing can be changed through it.
//
// It is pure: a Pipe has no connection, no goroutine and no lock. What is served comes from a [Server] that the front fills.
package rpcpipe

import (
	"strings"
	"time"

	"causeway/gateway/smb/ntstatus"
	"causeway/gateway/smb/security"
)

// ShareType says what a share is ([MS-SRVS] 2.2.2.4).
type ShareType uint32

// The types.
const (
	Disk    ShareType = 0
	IPC     ShareType = 3
	Special ShareType = 1 << 31 // added to another: hidden from users
)

// Share is what is told of a share. Flags are those of its tree connect ([MS-SRVS] 2.2.4.29, SHI1005_FLAGS).
type Share struct {
	Name, Comment string
	Type          ShareType
	Flags         uint32
}

// Server is what is told to callers. Shares is called per request, in the caller's goroutine: which shares this client may see.
type Server struct {
	Name, Comment, Domain string
	Now                   func() time.Time
	Shares                func() []Share
	NameOf                func(security.Principal) (string, bool) // of a user or group; nil: none has a name
}

// Bounds.
const (
	maxFragment = 4280      // bytes of a fragment that we send and offer to take
	maxRequest  = 64 << 10  // bytes of a request without its headers
	maxWaiting  = 256 << 10 // bytes of answers that nobody has read, beyond which nothing more is answered
)

// Pipe is one open of a named pipe. It is used by one goroutine at a time.
type Pipe struct {
	server   *Server
	iface    *iface
	maxSend  int
	contexts map[uint16]bool // presentation contexts that were accepted
	in       []byte          // of a fragment that has not arrived in full
	call     *call           // whose last fragment has not arrived
	out      [][]byte        // messages to be read
	waiting  int             // bytes in out
	broken   bool
}

// Open opens a pipe by its name in IPC$, with or without "\PIPE\" in front. ObjectNameNotFound: there is none of that name.
func Open(name string, s *Server) (*Pipe, error) {
	name = strings.ToLower(strings.Trim(name, `\`))
	name = strings.TrimPrefix(name, `pipe\`)
	for _, i := range interfaces {
		if i.name == name {
			return &Pipe{server: s, iface: i, maxSend: maxFragment, contexts: map[uint16]bool{}}, nil
		}
	}
	return nil, ntstatus.ObjectNameNotFound
}

// Write takes what a client wrote: any part of the stream of fragments. PipeDisconnected: the client broke the protocol here or
// earlier, or asked for more at once than it may leave unread. PipeBusy: it does not read its answers.
func (p *Pipe) Write(b []byte) error {
	switch {
	case p.broken:
		return ntstatus.PipeDisconnected
	case p.waiting > maxWaiting:
		return ntstatus.PipeBusy
	}
	p.in = append(p.in, b...)
	for len(p.in) >= headerSize {
		h, ok := parseHeader(p.in)
		if !ok {
			p.fail()
			return ntstatus.PipeDisconnected
		}
		if len(p.in) < h.length {
			break
		}
		fragment := p.in[:h.length]
		if p.waiting > maxWaiting || !p.take(h, fragment[headerSize:]) {
			p.fail()
			return ntstatus.PipeDisconnected
		}
		p.in = p.in[h.length:]
	}
	p.in = append([]byte(nil), p.in...)
	return nil
}

func (p *Pipe) fail() { *p = Pipe{server: p.server, iface: p.iface, broken: true} }

// Read returns at most n bytes of the next message. BufferOverflow goes with a part of it; the next Read returns the rest. PipeEmpty:
// there is none; a server that waited would wait for ever, since answers are there when Write returns.
func (p *Pipe) Read(n int) ([]byte, error) {
	switch {
	case p.broken:
		return nil, ntstatus.PipeDisconnected
	case len(p.out) == 0:
		return nil, ntstatus.PipeEmpty
	}
	m := p.out[0]
	if n < len(m) {
		p.out[0] = m[n:]
		p.waiting -= n
		return m[:n], ntstatus.BufferOverflow
	}
	p.out = p.out[1:]
	p.waiting -= len(m)
	return m, nil
}

// Transact is Write and Read in one (FSCTL_PIPE_TRANSCEIVE). PipeBusy: an answer to something earlier waits to be read.
func (p *Pipe) Transact(in []byte, max int) ([]byte, error) {
	if len(p.out) > 0 {
		return nil, ntstatus.PipeBusy
	}
	if err := p.Write(in); err != nil {
		return nil, err
	}
	return p.Read(max)
}

func (p *Pipe) send(message []byte) {
	p.out = append(p.out, message)
	p.waiting += len(message)
}
