package relay

import (
	"context"
	"encoding/binary"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"causeway"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
	"causeway/internal/buf"
)

// conn is a peer's connection.
type conn struct {
	srv    *Server
	stream *stream
	name   string
	since  uint64 // the joining of the peer for which the connection is good
	jobs   sync.WaitGroup
	writer sync.Mutex

	mu      sync.Mutex
	cancels map[uint64]context.CancelFunc // of calls that may be given up
}

// serve reads until the connection ends, and waits for what it started.
func (c *conn) serve() {
	s := c.srv
	defer c.stream.Close()
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Handshake)
	err := c.stream.handshake(ctx)
	cancel()
	if err != nil {
		s.cfg.Log.Debug("a peer was refused", "client", c.stream.RemoteAddr().String(), "err", err)
		return
	}
	if c.name = c.stream.peerName(); c.name == "" {
		s.cfg.Log.Warn("a peer without a certificate was refused", "client", c.stream.RemoteAddr().String())
		return
	}
	var member bool
	if c.since, member = s.cfg.Member(c.name); !member {
		s.cfg.Log.Debug("a gateway that is no member was refused", "node", c.name)
		return
	}
	ctx, cancel = context.WithCancel(s.ctx)
	err = c.read(ctx)
	s.mu.Lock()
	draining := s.draining
	s.mu.Unlock()
	if !draining {
		cancel()
		s.cfg.Log.Debug("a peer's connection has ended", "node", c.name, "err", err)
	}
	c.jobs.Wait()
	cancel()
}

// read starts a job per call. No next one is read before there is room for it: that is what stops a peer.
func (c *conn) read(ctx context.Context) error {
	s := c.srv
	var b [headSize]byte
	for {
		if _, err := io.ReadFull(c.stream, b[:]); err != nil {
			return err
		}
		h, err := parseHead(b[:], s.cfg.MaxFrame)
		switch {
		case err != nil || h.kind == kindReply:
			return errFrame
		case h.kind == kindCancel:
			c.giveUp(h.id)
			continue
		}
		j := &job{conn: c, id: h.id, in: s.pool.Get(int(h.length))}
		body := j.in.B[:h.length]
		if _, err = io.ReadFull(c.stream, body); err == nil {
			j.request.kind = h.kind
			err = parseCall(body, &j.request, &j.call, &j.groups)
		}
		if err != nil {
			j.in.Release()
			return err
		}
		select {
		case s.calls <- struct{}{}:
		case <-s.ctx.Done():
			j.in.Release()
			return s.ctx.Err()
		}
		c.begin(ctx, j)
	}
}

// begin runs a job. What may be given up ends with the connection, or when the sender's patience does.
func (c *conn) begin(ctx context.Context, j *job) {
	if j.request.kind == kindCall && !harmless(&j.call) {
		c.jobs.Go(func() { j.run(c.srv.ctx) })
		return
	}
	ctx, cancel := context.WithTimeout(ctx, j.request.patience+slack)
	c.mu.Lock()
	c.cancels[j.id] = cancel
	c.mu.Unlock()
	c.jobs.Go(func() {
		defer func() {
			c.mu.Lock()
			delete(c.cancels, j.id)
			c.mu.Unlock()
			cancel()
		}()
		j.run(ctx)
	})
}

// slack is how much longer than its sender's patience a call may run, so that the sender is sure not to take what the end of its
// time made of it for an answer.
const slack = time.Second

func (c *conn) giveUp(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel := c.cancels[id]; cancel != nil {
		cancel()
	}
}

// job is a call in execution.
type job struct {
	conn    *conn
	id      uint64
	request request
	call    rpc.Call
	groups  [maxGroups]uint32
	in, out *buf.Buffer
}

// run answers a call.
func (j *job) run(ctx context.Context) {
	c, s := j.conn, j.conn.srv
	j.renew()
	verdict := j.answer(ctx)
	if verdict != answer(rpc.Done) || j.call.Reply.Len() > headSize+s.cfg.MaxFrame {
		if verdict == answer(rpc.Done) {
			verdict = answer(rpc.SystemErr)
		}
		j.call.Reply.Truncate(headSize + replySize)
	}
	j.in.Release()
	frame := j.call.Reply.Bytes()
	putHead(frame, head{uint32(len(frame) - headSize), kindReply, j.id})
	binary.BigEndian.PutUint32(frame[headSize:], uint32(verdict)<<24)
	c.writer.Lock()
	err := c.stream.write(frame, s.cfg.WriteTimeout)
	c.writer.Unlock()
	j.out.Release()
	<-s.calls
	if err != nil {
		c.stream.Close() // the reader notices
	}
}

// renew makes room for the reply behind the head of its frame.
func (j *job) renew() {
	j.out = j.conn.srv.pool.Get(firstReply)
	j.call.Reply = xdr.NewGrowingEncoder(j.out.B[:headSize+replySize], j.grow)
}

// firstReply is the room that a reply starts with, in bytes.
const firstReply = 4 << 10

func (j *job) grow(b []byte, n int) []byte {
	old := j.out
	j.out = j.conn.srv.pool.Get(len(b) + n)
	copy(j.out.B, b)
	old.Release()
	return j.out.B[:len(b)]
}

// answer runs the call, if it is this gateway's to answer. A handler that panics ends the call only.
func (j *job) answer(ctx context.Context) (a answer) {
	c, s := &j.call, j.conn.srv
	defer func() {
		if r := recover(); r != nil {
			s.cfg.Log.Error("handler panicked", "node", j.conn.name, "client", c.Remote.String(), "prog", c.Prog, "vers", c.Vers,
				"proc", c.Proc, "err", r, "stack", string(debug.Stack()))
			a = answer(rpc.SystemErr)
		}
		if c.File.Hold != nil {
			c.File.Hold.Release()
		}
	}()
	if since, member := s.cfg.Member(j.conn.name); !member || since != j.conn.since {
		j.conn.stream.Close() // the peer makes another one, if it may
		return busy
	}
	if j.request.kind == kindCallback {
		return j.callBack(ctx)
	}
	if !s.mine(c, j.request.epoch) {
		return notMine
	}
	h := s.cfg.Handlers[Program{c.Prog, c.Vers}]
	if h == nil {
		return busy
	}
	verdict := h.Handle(ctx, c)
	switch {
	case verdict == rpc.Park || verdict > rpc.AuthBadCred:
		return answer(rpc.SystemErr) // a program that would wait though it may
	case verdict == rpc.Done && c.File.Hold != nil:
		if err := fill(c); err != nil {
			s.cfg.Log.Error("a file could not be read", "node", j.conn.name, "client", c.Remote.String(), "op", "READ", "err", err)
			return answer(rpc.SystemErr)
		}
	}
	return answer(verdict)
}

// mine reports whether a call is of a volume that this gateway administers, in the epoch for which it was sent, or one that
// every gateway answers.
func (s *Server) mine(c *rpc.Call, sent causeway.Epoch) bool {
	volume, who := target(c, s.cfg.Catalog)
	switch who {
	case everyone:
		return true
	case owner:
		epoch, ok := s.cfg.Owns(volume)
		return ok && epoch == sent
	}
	return false
}

// fill appends the range of a file that the program left to be sent. What the file has lost meanwhile is zeros.
func fill(c *rpc.Call) error {
	p := c.Reply.Reserve((c.File.N + 3) &^ 3)
	n, err := pread(c.File.FD, p[:c.File.N], c.File.Offset)
	clear(p[n:])
	return err
}
