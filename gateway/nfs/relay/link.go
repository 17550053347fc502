package relay

import (
	"context"
	"errors"
	"io"
	"sync"

	"causeway/gateway/nfs/rpc"
	"causeway/internal/buf"
)

// link is a connection with the questions that are open on it.
type link struct {
	peers *Peers
	conn  *stream
	turn  chan struct{} // holds one while somebody writes
	slots chan struct{} // holds one per open question
	ended chan struct{}

	mu   sync.Mutex
	open map[uint64]*question
	last uint64
	dead bool
}

// question is a call that was sent. ready is closed when reply, or nil if there will be none, is set.
type question struct {
	id    uint64
	ready chan struct{}
	reply *buf.Buffer
	body  []byte
}

func newLink(p *Peers, conn *stream, calls int) *link {
	return &link{
		peers: p, conn: conn, open: make(map[uint64]*question), ended: make(chan struct{}),
		turn: make(chan struct{}, 1), slots: make(chan struct{}, calls),
	}
}

func (l *link) alive() bool {
	select {
	case <-l.ended:
		return false
	default:
		return true
	}
}

// fail ends the connection: open questions get no answer.
func (l *link) fail() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return
	}
	l.dead = true
	close(l.ended)
	l.conn.abandon()
	for id, q := range l.open {
		delete(l.open, id)
		<-l.slots
		close(q.ready)
	}
}

var errEnded = errors.New("relay: the connection has ended")

// put takes n from a channel of tokens, or gives up.
func (l *link) put(ctx context.Context, tokens chan struct{}, w *watch) error {
	select {
	case tokens <- struct{}{}:
		return nil
	default:
	}
	for {
		select {
		case tokens <- struct{}{}:
			return nil
		case <-l.ended:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		case <-w.changed:
		case <-w.look.C:
			w.look.Reset(lastLook)
		}
		if w.over() {
			return errEnded
		}
	}
}

// send writes a call. An error says that it was not sent; a nil question without one, that nobody knows.
func (l *link) send(ctx context.Context, r request, c *rpc.Call, length int, w *watch) (*question, error) {
	if err := l.put(ctx, l.slots, w); err != nil {
		return nil, err
	}
	q := &question{ready: make(chan struct{})}
	l.mu.Lock()
	if l.dead {
		l.mu.Unlock()
		<-l.slots
		return nil, errEnded
	}
	l.last++
	q.id = l.last
	l.open[q.id] = q
	l.mu.Unlock()
	frame := l.peers.pool.Get(headSize + length)
	defer frame.Release()
	putHead(frame.B, head{uint32(length), r.kind, q.id})
	bytes := appendCall(frame.B[:headSize], r, c)
	if err := l.put(ctx, l.turn, w); err != nil {
		l.giveUp(q)
		return nil, err
	}
	err := l.conn.write(bytes, l.peers.cfg.WriteTimeout)
	<-l.turn
	if err != nil {
		l.fail()
		<-q.ready
		q.reply.Release()
		return nil, nil
	}
	return q, nil
}

// giveUp ends a question whose answer nobody waits for, and tells the peer if that costs no waiting.
func (l *link) giveUp(q *question) {
	if q == nil {
		return
	}
	l.mu.Lock()
	_, open := l.open[q.id]
	if open {
		delete(l.open, q.id)
		<-l.slots
	}
	l.mu.Unlock()
	if !open {
		<-q.ready // the answer came, or the end
		q.reply.Release()
		return
	}
	select {
	case l.turn <- struct{}{}:
		var frame [headSize]byte
		putHead(frame[:], head{0, kindCancel, q.id})
		err := l.conn.write(frame[:], l.peers.cfg.WriteTimeout)
		<-l.turn
		if err != nil {
			l.fail()
		}
	default:
	}
}

// read hands out answers until the connection ends.
func (l *link) read() error {
	var b [headSize]byte
	for {
		if _, err := io.ReadFull(l.conn, b[:]); err != nil {
			return err
		}
		h, err := parseHead(b[:], l.peers.cfg.MaxFrame)
		if err != nil || h.kind != kindReply {
			return errFrame
		}
		reply := l.peers.pool.Get(int(h.length))
		body := reply.B[:h.length]
		if _, err := io.ReadFull(l.conn, body); err != nil {
			reply.Release()
			return err
		}
		l.mu.Lock()
		q := l.open[h.id]
		if q != nil {
			delete(l.open, h.id)
			<-l.slots
			q.reply, q.body = reply, body
			close(q.ready)
		}
		l.mu.Unlock()
		if q == nil {
			reply.Release() // given up
		}
	}
}
