package relay

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"causeway/gateway/nfs/rpc"
	"causeway/internal/buf"
)

// PeersConfig says how other gateways are reached.
type PeersConfig struct {
	Address func(peer string) (hostPort string, ok bool) // where a peer's [Server] listens now
	Others  func() []string                              // all other gateways of the cluster
	TLS     func() *tls.Config                           // a client's; asked anew for every connection

	// Broken, if not nil, is called when a connection ends that nobody here closed: its peer may have died. It must not block.
	Broken func(peer string)

	BulkConns    int           // connections per peer for large calls; default 2
	MaxCalls     int           // outstanding on the connection for small calls; default 256
	MaxBulk      int           // outstanding per connection for large calls; default 8
	MaxFrame     int           // bytes; default 1 MiB + 128 KiB; the same at all gateways
	DialTimeout  time.Duration // with the handshake; default 1 s
	WriteTimeout time.Duration // after which a peer that reads nothing is given up; default 2 s
	Log          *slog.Logger  // nil: silent
}

// Validate sets defaults and names the field at fault.
func (c *PeersConfig) Validate() error {
	switch {
	case c.Address == nil:
		return errors.New("relay: Address is needed")
	case c.TLS == nil:
		return errors.New("relay: TLS is needed")
	}
	if c.Others == nil {
		c.Others = func() []string { return nil }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := positive("DialTimeout", &c.DialTimeout, time.Second); err != nil {
		return err
	}
	return errors.Join(
		positive("WriteTimeout", &c.WriteTimeout, 2*time.Second), positive("BulkConns", &c.BulkConns, 2),
		positive("MaxCalls", &c.MaxCalls, 256), positive("MaxBulk", &c.MaxBulk, 8), frameLimit(&c.MaxFrame),
	)
}

// positive sets a default, and refuses what is negative.
func positive[T int | time.Duration](name string, v *T, def T) error {
	if *v < 0 {
		return fmt.Errorf("relay: %s must not be negative", name)
	}
	if *v == 0 {
		*v = def
	}
	return nil
}

func frameLimit(v *int) error {
	if err := positive("MaxFrame", v, buf.MaxPooled); err != nil {
		return err
	}
	if *v < 64<<10 || *v > 65<<20 {
		return fmt.Errorf("relay: MaxFrame: %d is not between 64 KiB and 65 MiB", *v)
	}
	return nil
}

// Peers are the connections to other gateways: made when they are needed, kept, and made again when they break.
type Peers struct {
	cfg    PeersConfig
	pool   buf.Pool
	counts counts

	mu     sync.Mutex
	byName map[string]*peer

	ctx   context.Context
	stop  context.CancelFunc
	tasks sync.WaitGroup
}

type counts struct{ forwarded, retried, refused atomic.Uint64 }

// Stats counts since the start, for metrics.
type Stats struct {
	Forwarded uint64 // calls that another gateway answered
	Retried   uint64 // attempts that were repeated: refused by a former owner, or lost
	Refused   uint64 // calls whose clients were told to come again, or nothing
}

// Stats returns the counts.
func (p *Peers) Stats() Stats {
	return Stats{p.counts.forwarded.Load(), p.counts.retried.Load(), p.counts.refused.Load()}
}

// peer is one gateway: a connection for small calls, and some for large ones.
type peer struct {
	small lane
	bulk  []lane
	turn  atomic.Uint32
}

// NewPeers returns Peers without connections.
func NewPeers(cfg PeersConfig) (*Peers, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Peers{cfg: cfg, byName: make(map[string]*peer)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p, nil
}

// Close ends all connections; calls under way fail. It waits until nothing runs any more.
func (p *Peers) Close() {
	p.mu.Lock()
	p.stop() // under mu: nobody begins a task behind it
	p.mu.Unlock()
	p.tasks.Wait()
}

// start runs f as a task; false after Close.
func (p *Peers) start(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.tasks.Go(f)
	return true
}

// lane finds the connection for a call.
func (p *Peers) lane(name string, c *rpc.Call) *lane {
	p.mu.Lock()
	g := p.byName[name]
	if g == nil {
		g = &peer{small: lane{name: name, calls: p.cfg.MaxCalls}, bulk: make([]lane, p.cfg.BulkConns)}
		for i := range g.bulk {
			g.bulk[i] = lane{name: name, calls: p.cfg.MaxBulk}
		}
		p.byName[name] = g
	}
	p.mu.Unlock()
	if isBulk(c) {
		return &g.bulk[int(g.turn.Add(1))%len(g.bulk)]
	}
	return &g.small
}

// bulk is the size in bytes of arguments or a result from which a call would keep small ones waiting.
const bulk = 32 << 10

func isBulk(c *rpc.Call) bool {
	if len(c.Args.Rest()) >= bulk {
		return true
	}
	if c.Prog != nfs || c.Proc != nfsRead {
		return false
	}
	args := c.Args
	args.Opaque(maxHandle)
	args.Uint64()
	return args.Uint32() >= bulk
}

const nfsRead = 6

// exchange sends a call to a peer and copies the answer's result into c.Reply.
func (p *Peers) exchange(ctx context.Context, name string, r request, c *rpc.Call, w *watch) (rpc.Verdict, attempt) {
	length := callLength(c)
	if length > p.cfg.MaxFrame {
		return rpc.SystemErr, answered
	}
	l := p.lane(name, c).get(ctx, p, w)
	if l == nil {
		return 0, refused
	}
	if end, ok := ctx.Deadline(); ok {
		r.patience = time.Until(end)
	}
	q, err := l.send(ctx, r, c, length, w)
	if err != nil {
		return 0, refused
	}
	if q == nil || !w.wait(ctx, q.ready) {
		l.giveUp(q)
		return 0, lost
	}
	return q.take(c)
}

// take copies an answer.
func (q *question) take(c *rpc.Call) (rpc.Verdict, attempt) {
	if q.reply == nil {
		return 0, lost
	}
	defer q.reply.Release()
	switch a := answer(q.body[0]); {
	case a == notMine || a == busy:
		return 0, refused
	case a == answer(rpc.Park) || a > answer(rpc.AuthBadCred) || binary.BigEndian.Uint32(q.body)<<8 != 0:
		return rpc.SystemErr, answered // a peer that is no gateway of ours
	case a == answer(rpc.Done):
		copy(c.Reply.Reserve(len(q.body)-replySize), q.body[replySize:])
		return rpc.Done, answered
	default:
		return rpc.Verdict(a), answered
	}
}
