// Package aware is the front for aware clients: programs that use the library in causeway/client. It speaks client/clientpb over gRPC, in
// the clear or in TLS, and knows of each client what it uses and how much, so that it can be sent to another gateway.
//
// Who a caller is, is decided as for NFS: the export rule for the client's address squashes what the client claims, and handles are those
// of NFS, with their MAC. Not here: rights on objects (access, transfer), whom to send where (redirect), the client (client).
package aware

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/keepalive"

	"causeway"
	"causeway/client/clientpb"
	"causeway/gateway"
)

// Version is that of the protocol.
const Version = 1

// Bounds of one client's demands. What all of them read and write at once is bounded by Config.MaxCalls.
const (
	maxMessage = causeway.MaxTransfer + 64<<10
	maxStreams = 256 // calls at once on a connection
)

// Gateway is what clients are told of a gateway.
type Gateway struct {
	Node        string
	Addresses   []netip.AddrPort // where it answers aware clients
	Utilization uint8            // percent
	Age         time.Duration    // of that figure
	Draining    bool
	Refuses     []string // volumes that it does not serve
}

// Groups finds the groups that the server knows for a user, in place of those that clients claim.
type Groups interface {
	Groups(uid uint32, noWait bool) ([]uint32, error)
}

// Config says what a Server works with. Access, Transfer, Catalog and Log are needed.
type Config struct {
	Access   gateway.Access
	Transfer gateway.Transfer
	Catalog  *gateway.Catalog
	Groups   Groups // nil: as clients claim
	Log      *slog.Logger
	TLS      *tls.Config // nil: in the clear, as NFS with AUTH_SYS

	Node     string           // this gateway's name; may be empty
	Gateways func() []Gateway // all that run, this one included; nil: the client knows
	Load     func() (utilization uint8, draining bool)
	WaysOff  func() uint8                                // ways by which no client shall be moved (redirect.Ways); nil: none
	Mirrors  func() []Mirror                             // all that are declared, in an order that stays; nil: nothing is known of them
	Sees     func(client netip.Addr, volume string) bool // whether a volume of the cluster is exported to a client; nil: those of Catalog
	Epoch    func(causeway.VolumeID) causeway.Epoch      // of the ownership of a volume, as this gateway knows it; nil: it never changes
	Enter    func() interface{ Leave() }                 // what must be held while volumes are used; nil: nothing

	Every      time.Duration // how often clients are told about the gateways; default 1 s
	Lease      time.Duration // within which a client that has locks renews them; default 30 s
	MaxCalls   int           // that run at once, of all clients, of which one client address may have a half: about as many MiB of memory; default 256
	MaxUnsent  int           // bytes of answers that clients have not taken yet, of which one client address may have a quarter; at least 8 MiB, default 256 MiB
	MaxPending int           // bytes that calls hold which have not been answered; over it, who has most loses a connection; at least 8 MiB, default 1 GiB
	MaxClients int           // that are remembered, of which one client address may have a quarter; default 16,384
	MaxConns   int           // connections, of which one client address may have a quarter; default 32,768
	Now        func() time.Time
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	switch {
	case c.Access == nil || c.Transfer == nil || c.Catalog == nil || c.Log == nil:
		return errors.New("aware: Access, Transfer, Catalog and Log are needed")
	case c.Every < 0 || c.Lease < 0 || c.MaxCalls < 0 || c.MaxClients < 0 || c.MaxConns < 0:
		return fmt.Errorf("aware: Every (%v), Lease (%v), MaxCalls (%d), MaxClients (%d) and MaxConns (%d) must not be negative", c.Every, c.Lease, c.MaxCalls, c.MaxClients, c.MaxConns)
	}
	if c.MaxUnsent != 0 && c.MaxUnsent < 8<<20 {
		return fmt.Errorf("aware: MaxUnsent (%d) must be 8 MiB or more", c.MaxUnsent)
	}
	if c.MaxPending != 0 && c.MaxPending < 8<<20 {
		return fmt.Errorf("aware: MaxPending (%d) must be 8 MiB or more", c.MaxPending)
	}
	if c.MaxPending == 0 {
		c.MaxPending = 1 << 30
	}
	if c.Lease == 0 {
		c.Lease = 30 * time.Second
	}
	if c.MaxConns == 0 {
		c.MaxConns = 32 << 10
	}
	if c.Every == 0 {
		c.Every = time.Second
	}
	if c.MaxCalls == 0 {
		c.MaxCalls = 256
	}
	if c.MaxUnsent == 0 {
		c.MaxUnsent = 256 << 20
	}
	if c.MaxClients == 0 {
		c.MaxClients = 16 << 10
	}
	if c.Gateways == nil {
		c.Gateways = func() []Gateway { return nil }
	}
	if c.Load == nil {
		c.Load = func() (uint8, bool) { return 0, false }
	}
	if c.Epoch == nil {
		c.Epoch = func(causeway.VolumeID) causeway.Epoch { return causeway.Epoch{} }
	}
	if c.Enter == nil {
		c.Enter = func() interface{ Leave() } { return nobody{} }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

type nobody struct{}

func (nobody) Leave() {}

// Server answers aware clients.
type Server struct {
	clientpb.UnimplementedFilesServer
	cfg   Config
	grpc  *grpc.Server
	tls   *tls.Config // nil: in the clear
	slots slots
	end   context.CancelFunc
	life  context.Context

	tenants *tenants
	turns   turns
	unsent  unsent

	unanswered unanswered
	list       struct {
		mu       sync.Mutex
		at       time.Time
		gateways []Gateway
		mirrors  []Mirror
	}
	tasks sync.WaitGroup

	mu       sync.Mutex
	clients  map[who]*session
	sessions map[netip.Addr]int // clients of an address
	conns    map[*conn]bool
	from     map[netip.Addr]int // connections of an address
}

// New returns a Server that does not listen yet.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, slots: newSlots(cfg.MaxCalls), clients: map[who]*session{}, sessions: map[netip.Addr]int{}, conns: map[*conn]bool{}, from: map[netip.Addr]int{}}
	s.tenants = newTenants()
	s.turns.of, s.turns.from = map[locksOf]*turn{}, map[netip.Addr]int{}
	s.unsent.most, s.unsent.of, s.unsent.less = cfg.MaxUnsent, map[netip.Addr]int{}, make(chan struct{})
	s.unanswered.most, s.unanswered.of = cfg.MaxPending, map[netip.Addr]int{}
	s.unsent.holds = map[netip.AddrPort]map[*hold]bool{}
	s.life, s.end = context.WithCancel(context.Background())
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage), grpc.MaxConcurrentStreams(maxStreams),
		grpc.InitialWindowSize(4 << 20), grpc.InitialConnWindowSize(16 << 20), grpc.WaitForHandlers(true), grpc.ConnectionTimeout(10 * time.Second), grpc.MaxHeaderListSize(16 << 10),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(s.guarded), grpc.ForceServerCodecV2(codec{encoding.GetCodecV2(proto.Name)}),
	}
	if cfg.TLS != nil { // below what counts frames
		s.tls = cfg.TLS.Clone()
		s.tls.NextProtos = []string{"h2"}
	}
	s.grpc = grpc.NewServer(options...)
	clientpb.RegisterFilesServer(s.grpc, s)
	cfg.Access.Subscribe(causeway.OwnerAware, s)
	s.tasks.Go(s.evict)
	return s, nil
}

// Serve answers on a listener until it is closed, or Shutdown.
func (s *Server) Serve(l net.Listener) error {
	err := s.grpc.Serve(&listener{l, s})
	if errors.Is(err, net.ErrClosed) || s.life.Err() != nil {
		return nil
	}
	return err
}

// Shutdown lets calls finish as long as the context lasts, then ends them.
func (s *Server) Shutdown(ctx context.Context) error {
	s.end()
	done := make(chan struct{})
	go func() { s.grpc.GracefulStop(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
	}
	s.tasks.Wait()
	return nil
}

// Disconnect ends the connections to an address that this gateway no longer has.
func (s *Server) Disconnect(addr netip.Addr) {
	s.mu.Lock()
	var gone []*conn
	for c := range s.conns {
		if a, ok := c.LocalAddr().(*net.TCPAddr); ok && a.AddrPort().Addr().Unmap() == addr.Unmap() {
			gone = append(gone, c)
		}
	}
	s.mu.Unlock()
	for _, c := range gone {
		c.Close()
	}
}

// hangUp ends connections by the addresses and ports of their clients.
func (s *Server) hangUp(stuck []netip.AddrPort) {
	s.mu.Lock()
	var gone []*conn
	for c := range s.conns {
		if slices.Contains(stuck, c.at) {
			gone = append(gone, c)
		}
	}
	s.mu.Unlock()
	for _, c := range gone {
		s.cfg.Log.Info("an aware client does not take what it asked for", "client", c.at)
		c.cut()
	}
}

// listener remembers connections.
type listener struct {
	net.Listener
	s *Server
}

// Accept implements net.Listener. Whoever has too many connections is hung up on.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: nc, raw: nc, s: l.s, calls: calls{in: frames{skip: lengthOfPreface}, open: map[uint32]int{}}}
		if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
			c.at = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
			c.from = c.at.Addr()
		}
		if l.s.admitConn(c) {
			if l.s.tls != nil {
				c.Conn = tls.Server(nc, l.s.tls)
			}
			return c, nil
		}
		nc.Close()
	}
}

func (s *Server) admitConn(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= s.cfg.MaxConns || s.from[c.from] >= max(s.cfg.MaxConns/4, 1) {
		return false
	}
	s.conns[c] = true
	s.from[c.from]++
	return true
}

// conn is a connection of a client.
type conn struct {
	net.Conn
	raw   net.Conn // under TLS
	s     *Server
	at    netip.AddrPort
	from  netip.Addr
	calls calls
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.forget()
	return c.Conn.Close()
}

// forget takes the connection off all lists.
func (c *conn) forget() {
	c.s.mu.Lock()
	if c.s.conns[c] {
		delete(c.s.conns, c)
		if c.s.from[c.from]--; c.s.from[c.from] <= 0 {
			delete(c.s.from, c.from)
		}
	}
	c.s.mu.Unlock()
	c.s.unsent.gone(c.at)
	c.s.unanswered.add(c.from, -c.calls.end())
}
