package peer

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/depth"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// LinksConfig says how other gateways are reached.
type LinksConfig struct {
	Node    string                                       // this gateway
	Address func(node string) (hostPort string, ok bool) // where a node's [Server] listens now
	TLS     func() *tls.Config                           // a client's; asked anew for every connection
	Table   Table                                        // where volumes are answered
	Holder  gateway.Holder                               // what ends grants here; nil: none are held
	Slots   *depth.Pools                                 // for what administrative gateways ask here; shared with the Server

	// Broken, if not nil, is called when a stream ends that nobody here closed: its node may have died. It must not block.
	Broken func(node string)

	MaxCalls    int           // open calls to each node; default 512; the same at all gateways
	DialTimeout time.Duration // with the handshake; default 1 s
	Redial      time.Duration // longest pause between attempts; default 250 ms
	Beat        time.Duration // between signs of life; a stream that brings nothing for three of them is cut; default 500 ms
	Linger      time.Duration // how long a session without a stream keeps its calls; default 5 s
	Log         *slog.Logger  // nil: silent
}

// Validate sets defaults and names the field at fault.
func (c *LinksConfig) Validate() error {
	switch {
	case c.Node == "":
		return errors.New("peer: Node is needed")
	case c.Address == nil:
		return errors.New("peer: Address is needed")
	case c.TLS == nil:
		return errors.New("peer: TLS is needed")
	case c.Table == nil:
		return errors.New("peer: Table is needed")
	case c.Slots == nil:
		return errors.New("peer: Slots are needed")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return errors.Join(
		positive("MaxCalls", &c.MaxCalls, 512), positive("DialTimeout", &c.DialTimeout, time.Second),
		positive("Redial", &c.Redial, 250*time.Millisecond), positive("Beat", &c.Beat, 500*time.Millisecond),
		positive("Linger", &c.Linger, 5*time.Second),
	)
}

// positive sets a default, and refuses what is negative.
func positive[T int | time.Duration](name string, v *T, def T) error {
	if *v < 0 {
		return fmt.Errorf("peer: %s must not be negative", name)
	}
	if *v == 0 {
		*v = def
	}
	return nil
}

// Links are the sessions in which this gateway asks others. They are made when they are needed, and kept: the other side recalls
// grants and tells events through them.
type Links struct {
	cfg    LinksConfig
	counts counts
	events subscribers

	ctx   context.Context
	stop  context.CancelFunc
	tasks sync.WaitGroup

	mu     sync.Mutex
	byNode map[string]*link
}

// NewLinks returns Links without sessions.
func NewLinks(cfg LinksConfig) (*Links, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &Links{cfg: cfg, byNode: make(map[string]*link)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l, nil
}

// Close ends all sessions; open calls fail. It waits until nothing runs any more.
func (l *Links) Close() {
	l.mu.Lock()
	l.stop() // under mu: nobody begins a link behind it
	l.mu.Unlock()
	l.tasks.Wait()
}

// Stats counts since the start, for metrics.
func (l *Links) Stats() Stats { return l.counts.stats() }

// ask sends a request to a node. depth is that of the caller.
func (l *Links) ask(ctx context.Context, node string, r *peerpb.Request) (*peerpb.Reply, error) {
	if r.Depth = uint32(depth.At(ctx) + 1); r.Depth > depth.Max {
		return nil, tooDeep(l.cfg.Log, r)
	}
	if end, ok := ctx.Deadline(); ok {
		r.TimeoutMs = uint32(max(1, min(time.Until(end).Milliseconds(), 1<<31)))
	}
	k := l.link(node)
	if k == nil {
		return nil, errUnsent
	}
	l.counts.asked.Add(1)
	return k.ask(ctx, r)
}

// link finds the session with a node, or begins one; nil after Close.
func (l *Links) link(node string) *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.byNode[node]; k != nil {
		return k
	}
	if l.ctx.Err() != nil {
		return nil
	}
	k := &link{links: l, node: node}
	k.renew()
	l.byNode[node] = k
	l.tasks.Go(k.run)
	return k
}

// execute does what a node asks that administers volumes.
func (l *Links) execute(ctx context.Context, r *peerpb.Request) (*peerpb.Reply, func()) {
	if r.Depth < 2 || r.Depth > depth.Max {
		return wire.Failed(tooDeep(l.cfg.Log, r)), nil
	}
	slots, err := l.cfg.Slots.Take(ctx, int(r.Depth), 1)
	if err != nil {
		return wire.Failed(causeway.ErrDelay), nil
	}
	defer slots.Release()
	ctx = depth.With(ctx, int(r.Depth))
	if now := l.cfg.Table.Now(causeway.VolumeID(r.Volume)); wire.Epoch(r.Epoch).Before(now.Epoch) {
		l.counts.stale.Add(1)
		return wire.Failed(causeway.ErrStaleEpoch), nil
	}
	switch r.Op {
	case peerpb.Op_RECALL:
		h, gone, err := wire.RecallOf(r)
		if err == nil && l.cfg.Holder != nil {
			err = l.cfg.Holder.Recall(ctx, h, gone)
		}
		return wire.Failed(err), nil
	case peerpb.Op_EVENT:
		e, err := wire.EventOf(r)
		if err == nil {
			err = l.events.deliver(ctx, e)
		}
		return wire.Failed(err), nil
	}
	return wire.Failed(causeway.ErrNotSupp), nil
}

// session makes a number that no other session has.
func session() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:]) | 1
}
