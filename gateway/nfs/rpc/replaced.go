package rpc

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"causeway/gateway"
	"causeway/internal/sleep"
)

// A client that gets no answer closes its connection, and sends its calls again over another one. What is found in the old one after that,
// because the process was stopped, or because there was no place for more calls, has been done already, and other things after it: an old
// WRITE would come over a newer one, a lock would come back after its end. So it is not done.

// replacedWithin is for how long after a client's latest connection the earlier ones are looked at.
const replacedWithin = 5 * time.Minute

// newest is the latest connection of a client.
type newest struct {
	latest atomic.Uint64 // its number
	at     atomic.Int64  // when it came
}

// came numbers a connection. Server.mu is held.
func (n *newest) came(at time.Duration) uint64 {
	n.at.Store(int64(at))
	return n.latest.Add(1)
}

// lookAgain is after how long a connection is looked at again. A client waits for longer before it asks elsewhere.
const lookAgain = time.Millisecond

// replaced reports whether the client has closed the connection and has made a later one. Where there is a later one of the last minutes
// it costs a system call, unless the connection was seen to be open a moment ago: looked is when, 0 for never.
func (c *conn) replaced(looked time.Duration) bool {
	n := &c.client.newest
	if n.latest.Load() == c.number {
		return false
	}
	now := c.srv.now()
	if now-time.Duration(n.at.Load()) > replacedWithin || looked > 0 && now-looked < lookAgain {
		return false
	}
	return c.port.left()
}

// abandoned reports whether a call of this connection that has not begun must not begin: its client asks elsewhere. Who has only ended
// to speak, and has no other connection, still gets answers.
func (c *conn) abandoned() bool {
	c.mu.Lock()
	broken := c.broken
	c.mu.Unlock()
	return broken || c.replaced(0)
}

// over reports whether nothing more is read.
func (c *conn) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.readerDone || c.broken
}

// context is that of calls in goroutines: those that have had to wait ask it whether they are still to be done (gateway.Abandoned).
func (c *conn) context() context.Context {
	if ctx := c.ctx.Load(); ctx != nil {
		return *ctx
	}
	ctx := gateway.Abandonable(c.srv.ctx, c.abandoned)
	c.ctx.Store(&ctx)
	return ctx
}

// Await waits until no call runs that came to a local address by a stream, once Disconnect has ended their connections. False: ctx
// ended before.
func (s *Server) Await(ctx context.Context, local netip.Addr) bool {
	for {
		left := false
		for _, c := range s.snapshot() {
			left = left || c.local.Addr() == local.Unmap() && c.over()
		}
		if !left {
			return true
		}
		if !sleep.For(ctx, 2*time.Millisecond) {
			return false
		}
	}
}
