package client

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"causeway"
	"causeway/client/clientpb"
	"causeway/internal/sleep"
	"causeway/redirect"
)

// maxGateways bounds what a client believes there are.
const maxGateways = 4096

// link is what connects to a gateway: a connection for calls, and one for redirects and signs of life, which would come late behind the
// data on a line that is full.
type link struct {
	address   string
	conn      *grpc.ClientConn
	control   *grpc.ClientConn
	files     clientpb.FilesClient         // by conn
	signs     clientpb.FilesClient         // by control
	conns     [2]atomic.Pointer[heardConn] // of conn and control, those made last
	heard     atomic.Int64                 // when anything came by conn last: nanoseconds since the client began
	signed    atomic.Int64                 // and by control
	responses redirect.Responses           // guarded by the client's mu

	offers atomic.Pointer[offers] // what the gateway said last; nil: nothing
}

// link returns the connections to an address, which are made when they are needed.
func (c *Client) link(address string) (*link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.links[address]; l != nil {
		return l, nil
	}
	if c.closed {
		return nil, causeway.ErrClosed
	}
	l := &link{address: address}
	var err error
	if l.conn, err = c.connect(address, &l.heard, &l.conns[0], c.doubt, grpc.WithUnaryInterceptor(c.times(l))); err != nil {
		return nil, err
	}
	if l.control, err = c.connect(address, &l.signed, &l.conns[1], func() {}); err != nil {
		return nil, errors.Join(err, l.conn.Close())
	}
	l.files, l.signs = clientpb.NewFilesClient(l.conn), clientpb.NewFilesClient(l.control)
	c.links[address] = l
	c.tasks.Go(func() { c.watch(l) })
	return l, nil
}

// connect makes a connection of a link. anew is called when it had to be made again, before anything comes by it.
func (c *Client) connect(address string, heard *atomic.Int64, last *atomic.Pointer[heardConn], anew func(), more ...grpc.DialOption) (*grpc.ClientConn, error) {
	var made atomic.Bool
	creds := insecure.NewCredentials()
	if c.cfg.TLS != nil {
		creds = credentials.NewTLS(c.cfg.TLS)
	}
	return grpc.NewClient("passthrough:///"+address, append(more, grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) {
			conn, err := c.cfg.Dial(ctx, "tcp", to)
			if err != nil {
				return nil, err
			}
			if made.Swap(true) {
				anew()
			}
			made := &heardConn{conn, c.began, heard}
			last.Store(made)
			return made, nil
		}),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 4 * c.cfg.Suspect,
			Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}}),
		grpc.WithInitialWindowSize(4<<20), grpc.WithInitialConnWindowSize(16<<20),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(causeway.MaxTransfer+64<<10), grpc.MaxCallSendMsgSize(causeway.MaxTransfer+64<<10)))...)
}

// heardConn notes when something comes.
type heardConn struct {
	net.Conn
	began time.Time
	heard *atomic.Int64
}

// Read implements net.Conn.
func (h *heardConn) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 {
		h.heard.Store(int64(time.Since(h.began)))
	}
	return n, err
}

// silent is how long nothing came.
func (c *Client) silent(heard *atomic.Int64) time.Duration {
	return time.Since(c.began) - time.Duration(heard.Load())
}

// close ends the connections.
func (l *link) close() error { return errors.Join(l.conn.Close(), l.control.Close()) }

// ping asks a gateway for a sign of life.
func (c *Client) ping(ctx context.Context, l *link) (*clientpb.PingReply, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*c.cfg.Suspect)
	defer cancel()
	return l.signs.Ping(ctx, &clientpb.PingRequest{})
}

// lives reports whether a gateway gives a sign of life, or anything else comes from it, by both connections: when its address has moved to another
// one, that one answers new connections and knows nothing of old ones.
func (c *Client) lives(ctx context.Context, l *link) bool {
	byConn := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, 2*c.cfg.Suspect)
		defer cancel()
		_, err := l.files.Ping(ctx, &clientpb.PingRequest{})
		byConn <- err
	}()
	_, err := c.ping(ctx, l)
	errConn := <-byConn
	return (err == nil || c.silent(&l.signed) < 2*c.cfg.Suspect) && (errConn == nil || c.silent(&l.heard) < 2*c.cfg.Suspect)
}

// acknowledgeWithin is how long a machine takes to acknowledge what has come: Linux waits for up to 40 ms for something to send along with that.
const acknowledgeWithin = 100 * time.Millisecond

// held reports whether a gateway that says nothing runs on a machine that takes in what is sent to it, by both connections: it is held up,
// and not dead. What was sent just now, the end of a ping for instance, is given the time to be acknowledged.
func (l *link) held() bool {
	for begun := time.Now(); ; time.Sleep(acknowledgeWithin / 10) {
		late := time.Since(begun) > acknowledgeWithin // before the look: it is the last one
		if l.taken() {
			return true
		}
		if late {
			return false
		}
	}
}

// taken reports whether all that was sent by both connections has been acknowledged.
func (l *link) taken() bool {
	for i := range l.conns {
		if h := l.conns[i].Load(); h == nil || !taken(h.Conn) {
			return false
		}
	}
	return true
}

// learnLocked adds an address, and the paths through it. It reports false if there are too many.
func (c *Client) learnLocked(address string) bool {
	if slices.Contains(c.known, address) {
		return true
	}
	if len(c.known) >= maxGateways {
		return false
	}
	c.known = append(c.known, address)
	for name := range c.volumes {
		c.paths.Add(name, address, time.Now())
	}
	return true
}

// told takes in where the gateways are. One that serves a volume no longer, or drains, is left.
func (c *Client) told(gateways []*clientpb.Gateway) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, g := range gateways[:min(len(gateways), maxGateways)] {
		if len(g.Addresses) == 0 {
			continue
		}
		at := g.Addresses[0]
		for _, a := range g.Addresses {
			if c.links[a] != nil {
				at = a
			}
		}
		if len(c.nodes) < maxGateways || c.nodes[g.Node] != "" {
			c.nodes[g.Node] = at
		}
		if c.learnLocked(at) {
			c.records[at] = g
		}
		for _, volume := range g.Refuses {
			c.paths.Remove(volume, at)
		}
		if !g.Draining {
			continue
		}
		for name := range c.volumes {
			if p, ok := c.paths.Current(name); ok && p.Gateway == at {
				c.paths.RedirectAnywhere(name, now)
			}
		}
	}
}

// watch hears from a gateway where the others are, and when to go to one of them.
func (c *Client) watch(l *link) {
	for c.life.Err() == nil {
		l.offers.Store(nil) // another gateway may be there now
		stream, err := l.signs.Watch(c.life, &clientpb.WatchRequest{Caller: c.caller})
		for err == nil {
			var e *clientpb.Event
			if e, err = stream.Recv(); err == nil {
				if len(e.Gateways) > 0 {
					c.off.Store(e.WaysOff)
				}
				c.told(e.Gateways)
				c.offered(l, e.Mirrors)
				c.redirected(l, e.Redirect)
			}
		}
		sleep.For(c.life, 2*c.cfg.Suspect)
	}
}

// redirected obeys a gateway, if it is the one in use.
func (c *Client) redirected(from *link, r *clientpb.Redirect) {
	if r == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.paths.Current(r.Volume)
	if !ok || p.Gateway != from.address {
		return
	}
	if r.Mirror != "" {
		if v := c.volumes[r.Volume]; v != nil && c.mayMirror() {
			c.tasks.Go(func() { c.toMirror(v, from, r) })
		}
		return
	}
	to := r.Address
	switch {
	case to != "" && c.Ways()&redirect.WayPath != 0:
		c.learnLocked(to)
		ok = c.paths.Redirect(r.Volume, to, time.Now())
	case c.Ways()&redirect.WayNoPath != 0: // a client that obeys no names is told that it shall go
		p, ok = c.paths.RedirectAnywhere(r.Volume, time.Now())
		to = p.Gateway
	default:
		ok = false
	}
	if ok {
		c.cfg.Log.Info("redirected", "volume", r.Volume, "from", from.address, "to", to)
	}
}

// probe asks failed gateways whether they are back.
func (c *Client) probe() {
	tick := time.NewTicker(c.cfg.Suspect / 2)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.life.Done():
			return
		}
		c.mu.Lock()
		due := c.paths.Probes(time.Now())
		c.mu.Unlock()
		for _, address := range due {
			c.tasks.Go(func() { c.probeOne(address) })
		}
	}
}

func (c *Client) probeOne(address string) {
	l, err := c.link(address)
	if err == nil {
		_, err = c.ping(c.life, l)
	}
	if err != nil {
		return
	}
	c.mu.Lock()
	c.paths.Alive(address, time.Now())
	c.mu.Unlock()
	c.cfg.Log.Info("a gateway answers again", "gateway", address)
}
