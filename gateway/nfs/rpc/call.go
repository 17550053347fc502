// Package rpc is an ONC RPC version 2 server (RFC 5531) over TCP and UDP: record marking, call and reply headers, AUTH_SYS
// and AUTH_NONE, in-flight limits. It knows programs and versions only as keys of its table; procedures belong to the
// programs.
package rpc

import (
	"context"
	"net/netip"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/xdr"
)

// Verdict is what a program made of a call.
type Verdict uint8

// The verdicts.
const (
	Done        Verdict = iota // the result stands in Reply
	Park                       // only with NoWait: the call would block and had no side effect; it is run again without NoWait in a goroutine of its own
	Drop                       // no reply at all (a retransmission of a call in progress; a program whose answers are calls)
	GarbageArgs                // the arguments could not be decoded (RFC 5531 §9, accept_stat)
	ProcUnavail                // no such procedure
	SystemErr                  // memory, a panic
	AuthTooWeak                // rejected: the flavor is not enough (RFC 5531 §9, auth_stat)
	AuthBadCred                // rejected: a bad credential
)

// Flavor is an authentication flavor (RFC 5531 §8.2).
type Flavor uint32

// The flavors that the server accepts.
const (
	AuthNone Flavor = 0
	AuthSys  Flavor = 1
)

// Call is one call. It is owned by the server and reused: a program keeps no reference to it or to what it points at after
// Handle returned.
type Call struct {
	XID              uint32
	Prog, Vers, Proc uint32
	Flavor           Flavor
	Cred             causeway.Cred // of AUTH_SYS: as the client claims, not squashed; Nobody otherwise
	Machine          string        // of AUTH_SYS: the client's name for itself; borrowed
	Remote, Local    netip.AddrPort
	Datagram         bool   // came by UDP: replies must be small
	Life             uint64 // of the listener by which it came, and one; see Server.Serve

	// NoWait: Handle runs on the goroutine that reads sockets. It answers Park, before any side effect, where it would wait
	// for a disk, the network or another owner, and for transfers of Bulk bytes and more unless LargeNow is set.
	NoWait bool

	// Large is set by a program whose call moves Bulk bytes or more. LargeNow: such a call may run with NoWait all the same,
	// because nobody else waits for this goroutine.
	Large, LargeNow bool

	Args  xdr.Decoder // at the first argument
	Reply xdr.Encoder // append the result here; what it already holds is not the program's

	// Caller is scratch for the program, so that what it passes to the engines does not escape per call.
	Caller gateway.Caller

	// Later is set by a program that holds the reply of a change (see MayHold): what it still has to wait for.
	MayLater bool
	Later    gateway.Pending

	Op causeway.OpID // set by a program: the name of a change whose repetition is told by it

	worker *worker // who runs the call inline, else nil
	conn   *conn   // of a call that may wait, else nil

	// File, if File.Hold is not nil after Done, is sent behind Reply and padded to 4 bytes. Length fields in front of it are
	// the program's. The server releases it.
	File gateway.FileRange
}

// Bulk is the size in bytes from which a READ is not done on a goroutine that reads sockets.
const Bulk = 128 << 10

// Handler serves one version of one program. Handle must be safe for concurrent calls.
type Handler interface {
	Handle(ctx context.Context, c *Call) Verdict
}

// HandlerFunc makes a function a Handler.
type HandlerFunc func(ctx context.Context, c *Call) Verdict

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, c *Call) Verdict { return f(ctx, c) }

// Abandoned reports whether the connection that a waiting call came by has ended. Then its client has sent it again elsewhere, and what
// was done after that must not be undone: a call that has not begun must not begin any more.
func (c *Call) Abandoned() bool { return c.conn != nil && c.conn.over() }
