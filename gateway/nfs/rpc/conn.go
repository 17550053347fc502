package rpc

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// port is the socket of a connection under one of the transports.
type port interface {
	// start begins to read, in a goroutine of the transport's.
	start()
	// read has the reading duty in the calling goroutine, after the watchdog took it away from another; it returns when that ends.
	read()
	// write writes what the socket takes; more says that more follows at once. A transport that does not block returns errFull
	// with less than all of p.
	write(p []byte, more bool) (int, error)
	// sendFile is write for a range of a file. 0 without an error: the file ends at off.
	sendFile(fd int, off int64, n int) (int, error)
	// awaitWritable waits after errFull and returns true, or arranges for conn.flush to be called and returns false.
	awaitWritable() bool
	// left reports whether the other side has closed the connection, however much of what it sent has not been read; false where
	// that cannot be seen.
	left() bool
	// wake makes a reader that paused try again.
	wake()
	// stop makes the reader see that it has to end (conn.stopping), also where it waits for input.
	stop()
	// shut ends the connection, also under a reader or writer, who see an error. close frees the socket when nobody uses it any more.
	shut()
	close()
}

// conn is a stream connection. Its reading side belongs to whoever has the reading duty: one goroutine at a time.
type conn struct {
	srv           *Server
	client        *client
	port          port
	remote, local netip.AddrPort
	since         time.Duration
	life          uint64 // see Call
	number        uint64 // of the client's connections
	ctx           atomic.Pointer[context.Context]

	input

	hungUp            atomic.Bool
	owes              atomic.Bool // wokenBy is not empty
	calls             atomic.Uint64
	bytesIn, bytesOut atomic.Uint64
	lastCall          atomic.Int64 // times are Server.now; 0 is never
	recordSince       atomic.Int64 // since when a part of a record is here
	stalledSince      atomic.Int64 // since when the client took nothing of what waits for it

	replies gate // bytes of large replies of calls in goroutines

	mu         sync.Mutex
	broken     bool // nothing is sent any more
	readerDone bool
	gone       bool
	wantSlot   bool // the reader waits for inflight to fall
	inflight   int  // calls in goroutines, until their replies are sent
	wokenBy    []*gate
	out        output
}

// wake implements waker.
func (c *conn) wake(g *gate) {
	c.mu.Lock()
	if c.readerDone {
		c.mu.Unlock()
		g.next()
		return
	}
	c.wokenBy = append(c.wokenBy, g)
	c.owes.Store(true)
	c.mu.Unlock()
	c.port.wake()
}

// passOn is called by the reader when it has taken what it was woken for, or not.
func (c *conn) passOn() {
	if !c.owes.Load() {
		return
	}
	c.mu.Lock()
	gates := c.wokenBy
	c.wokenBy = nil
	c.owes.Store(false)
	c.mu.Unlock()
	for _, g := range gates {
		g.next()
	}
}

// fail ends the connection now: what waits to be sent is lost. It reports whether it was the first to do so.
func (c *conn) fail(err error) bool {
	c.mu.Lock()
	if c.broken {
		c.mu.Unlock()
		return false
	}
	c.broken = true
	if !c.gone {
		c.port.shut()
	}
	c.mu.Unlock()
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, ErrServerClosed) {
		c.srv.cfg.Logger.Debug("connection failed", "client", c.remote.String(), "err", err)
	}
	c.port.wake()
	c.mu.Lock()
	c.settleLocked()
	return true
}

// hangUp makes the reader end; replies that are under way are still sent.
func (c *conn) hangUp() {
	c.hungUp.Store(true)
	c.port.stop()
}

// stopping reports that the reader has to end.
func (c *conn) stopping() bool { return c.hungUp.Load() || c.srv.draining.Load() }

// endReading is called by the holder of the reading duty when nothing will be read any more: replies that are under way are still
// sent.
func (c *conn) endReading() {
	c.releaseInput()
	c.mu.Lock()
	c.readerDone = true
	c.mu.Unlock()
	c.passOn()
	c.mu.Lock()
	c.settleLocked()
}

// settleLocked is called after every change that may have been the last one, with mu held. It unlocks mu.
func (c *conn) settleLocked() {
	freed, dropped := 0, (*queue)(nil)
	if c.broken && !c.out.flushing && c.out.queue.len() > 0 {
		dropped, c.out.queue, c.out.queued = c.out.queue, nil, 0
		for i := range dropped.segments {
			freed += dropped.segments[i].slots
			dropped.segments[i].slots = 0
		}
	}
	c.inflight -= freed
	last := c.readerDone && c.inflight == 0 && !c.out.flushing && !c.gone
	c.gone = c.gone || last
	c.mu.Unlock()
	for dropped.len() > 0 {
		c.drop(dropped.head())
		dropped = dropped.pop()
	}
	if freed > 0 {
		c.giveShared(freed)
	}
	if last {
		c.port.close()
		c.srv.forget(c)
	}
}

// takeSlot takes a place for a call in a goroutine. If there is none, the reader is woken when there may be one.
func (c *conn) takeSlot(w waker) bool {
	c.mu.Lock()
	if c.inflight >= c.srv.cfg.MaxCallsPerConn {
		c.wantSlot = c.wantSlot || w != nil // who does not wait takes nobody's wake away
		c.mu.Unlock()
		return false
	}
	c.inflight++
	c.mu.Unlock()
	if c.client.calls.take(1, w) {
		if c.srv.calls.take(1, w) {
			return true
		}
		c.client.calls.give(1)
	}
	c.mu.Lock()
	c.inflight--
	c.settleLocked()
	return false
}

// giveSlots gives n places back: the calls ended and their replies were sent, or will never be.
func (c *conn) giveSlots(n int) {
	c.giveShared(n)
	c.mu.Lock()
	c.inflight -= n
	wake := c.wantSlot
	c.wantSlot = false
	c.settleLocked()
	if wake {
		c.port.wake()
	}
}

func (c *conn) giveShared(n int) {
	c.srv.calls.give(int64(n))
	c.client.calls.give(int64(n))
}

// mayRead returns turnMore, or why nothing more may be read now: the connection is broken, or the client does not take its
// replies (the reader is woken when it took some). When all clients together hold too much, no reply may wait for a client that
// wants more.
func (c *conn) mayRead() turn {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.broken:
		return turnEnd
	case c.out.queued > c.srv.cfg.MaxQueued, c.out.queued > 0 && c.srv.pool.Used() > 2*c.srv.cfg.MaxBytes:
		c.out.wantLow = true
		return turnPaused
	}
	return turnMore
}
