// Package peer carries the access part of volumes between gateways: requests to the gateway that administers a volume, and from it
// recalls of grants and events to those that hold and wait.
//
// Each pair of gateways has a stream per direction of asking: it carries one's requests and their replies, and the recalls and
// events that concern the same volumes the other way, so that what was said first arrives first. Messages carry the epoch of the
// ownership that they believe in, and a number of their own: a stream that breaks loses nothing and does nothing twice.
//
// Here: sessions over streams (conduit), who asks (Peers, Router), who answers (Peers.Serve), bytes for gateways without reach of
// the storage (Proxy). Not here: what the requests mean (gateway/access), their encoding (gateway/peer/wire), who owns which
// volume (cluster; told by Table), and what is done when a gateway dies.
package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/depth"
	"causeway/gateway/rounds"
	"causeway/internal/gate"
	"causeway/internal/setting"
)

// Table knows where volumes are answered.
type Table interface {
	Now(causeway.VolumeID) gateway.Standing
	Changed() <-chan struct{} // closed when the standing of any volume changes next
	All(is func(causeway.VolumeID, gateway.Standing) bool) bool
	// Enter counts a call in, so that who closes the volume waits for it, and returns where the volume is answered.
	Enter(causeway.VolumeID) (gateway.Standing, gate.Pass)
	Valid() bool       // this gateway may do I/O and report success now
	ValidNearly() bool // the same, for reads: late by some milliseconds after the machine was suspended
	Life() uint64      // changes when this gateway was cut off: what has waited since before must not be begun
}

// Config says how gateways reach each other.
type Config struct {
	Node    string                                       // this gateway
	Address func(node string) (hostPort string, ok bool) // where a node is served now
	Client  func() *tls.Config                           // asked anew for every connection
	Server  *tls.Config                                  // must demand certificates of the cluster: what a peer says of a client is believed
	Table   Table
	// Member tells since which joining a node is a member now: certificates outlive that. What a node sent before it was fenced may
	// arrive after its client had another gateway do the same, and more: it counts only while the joining lasts in which it was
	// sent. Nil: all that have a certificate are members for ever.
	Member  func(node string) (joining uint64, ok bool)
	Joining func() uint64                // of this gateway; nil: 0
	Known   func(causeway.VolumeID) bool // whether there is such a volume: calls for others are ErrStale; nil: all exist
	Others  func() []string              // all other nodes of the cluster; nil: none
	Slots   depth.Config
	Strict  bool // panic where a call is deeper than the call graph: for tests

	// Broken, if not nil, is called when a stream ends that nobody here closed: its node may have died. It must not block.
	Broken func(node string)

	MaxCalls    int           // open calls from one gateway to another; default 512; the same at all gateways
	DialTimeout time.Duration // with the handshake; default 1 s
	Redial      time.Duration // longest pause between attempts; default 250 ms
	Beat        time.Duration // between signs of life; a stream that brings nothing for three of them is cut; default 500 ms
	Linger      time.Duration // how long a session without a stream keeps its calls; default 5 s
	Log         *slog.Logger  // nil: silent
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	switch {
	case c.Node == "":
		return errors.New("peer: Node is needed")
	case c.Address == nil:
		return errors.New("peer: Address is needed")
	case c.Client == nil:
		return errors.New("peer: Client is needed")
	case c.Server == nil:
		return errors.New("peer: Server is needed")
	case c.Table == nil:
		return errors.New("peer: Table is needed")
	}
	if c.Member == nil {
		c.Member = func(string) (uint64, bool) { return 0, true }
	}
	if c.Joining == nil {
		c.Joining = func() uint64 { return 0 }
	}
	if c.Known == nil {
		c.Known = func(causeway.VolumeID) bool { return true }
	}
	if c.Others == nil {
		c.Others = func() []string { return nil }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return errors.Join(
		c.Slots.Validate(), setting.Positive("peer: MaxCalls", &c.MaxCalls, 512), setting.Positive("peer: DialTimeout", &c.DialTimeout, time.Second),
		setting.Positive("peer: Redial", &c.Redial, 250*time.Millisecond), setting.Positive("peer: Beat", &c.Beat, 500*time.Millisecond),
		setting.Positive("peer: Linger", &c.Linger, 5*time.Second),
	)
}

// Services are what other gateways find here.
type Services struct {
	Access gateway.Access // the access part of the volumes that this gateway administers
	Holder gateway.Holder // what ends grants that are held here; nil: none are

	// Stable makes changes stable that other gateways asked for: *rounds.Rounds, if fronts here shall share them. Nil: Access does.
	Stable gateway.Persister
	// Stateful is for protocols that open; nil: none are served.
	Stateful gateway.Stateful
	// Transfer moves bytes for gateways without reach of the storage; nil: not from here.
	Transfer gateway.Transfer
	// Copies keeps second copies of what other gateways own; nil: none.
	Copies Copies
}

// Peers are the other gateways, as seen from this one.
type Peers struct {
	cfg      Config
	slots    *depth.Pools
	services Services
	counts   counts
	events   events
	rounds   *rounds.Rounds
	writing  writing

	ctx   context.Context
	stop  context.CancelFunc
	tasks sync.WaitGroup
	grpc  *grpc.Server

	mu       sync.Mutex
	links    map[string]*link    // in which this gateway asks
	sessions map[string]*session // in which others ask
	bulks    map[string]*grpc.ClientConn
}

var _ gateway.Holders = (*Peers)(nil)

// New returns Peers without connections. What they find here is said by Offer.
func New(cfg Config) (*Peers, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	slots, err := depth.New(cfg.Slots)
	if err != nil {
		return nil, err
	}
	p := &Peers{cfg: cfg, slots: slots, links: make(map[string]*link), sessions: make(map[string]*session),
		bulks: make(map[string]*grpc.ClientConn)}
	p.events.init()
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.serveGRPC()
	return p, nil
}

// Offer says what other gateways find here. It is called once, before Serve and the first request.
func (p *Peers) Offer(s Services) {
	p.services = s
	switch {
	case s.Stable != nil:
		p.rounds = rounds.Of(s.Stable)
	case s.Access != nil:
		p.rounds = rounds.Of(s.Access)
	}
	if s.Access == nil {
		return
	}
	for kind := causeway.OwnerNLM; kind <= causeway.OwnerAware; kind++ { // other gateways' clients are told also of kinds that no front here serves
		s.Access.Subscribe(kind, dispatcher{p})
	}
}

// Close ends all sessions, of both directions; open calls fail. It waits until nothing runs any more.
func (p *Peers) Close() {
	p.mu.Lock()
	p.stop() // under mu: nobody begins a session behind it
	sessions, bulks := p.sessions, p.bulks
	p.sessions, p.bulks = nil, nil
	p.mu.Unlock()
	for _, c := range bulks {
		c.Close()
	}
	p.grpc.Stop()
	for _, s := range sessions {
		s.end()
		s.wait()
	}
	p.tasks.Wait()
}

// Stats counts since the start, for metrics.
func (p *Peers) Stats() Stats { return p.counts.stats() }

// Depths tells of the slots of each depth, for metrics.
func (p *Peers) Depths() [depth.Max]depth.Stats { return p.slots.Stats() }
