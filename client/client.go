// Package client is the library of aware clients: Go programs that open volumes of a cluster by name and work with files as with packages
// os and io/fs, over all gateways at once. It finds the gateways, goes to another one when it is told to or when one fails, and repeats
// what was not answered so that it is done once.
//
// Here: connections, paths, retries, files. Not here: the policy of who goes where (redirect), what gateways answer (gateway/aware), a mount
// for programs that do not know this library.
package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/status"

	"causeway/client/clientpb"
	"causeway/redirect"
)

// versions of the protocol that this library speaks.
const minVersion, maxVersion = 1, 1

// Config says how a Client works. The zero Config is that of the process's user, over plain connections.
type Config struct {
	UID, GID *uint32                                                              // who the client claims to be; default the process's. The export rule decides what that is worth
	Groups   []uint32                                                             // supplementary groups; default the process's if UID is nil
	Umask    *fs.FileMode                                                         // permission bits that new files and directories do not get; default the process's, where that can be known (Linux), else 022
	TLS      *tls.Config                                                          // nil: plain
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // how gateways are connected to; default a net.Dialer
	Local    string                                                               // the socket of a gateway on this machine; default DefaultLocal if that is there, "-": none
	Resolver *net.Resolver                                                        // of names with SRV records; default net.DefaultResolver
	Ways     redirect.Ways                                                        // by which it lets itself be moved; default WayPath, WayNoPath and WayFailOver

	Patience    time.Duration // how long a call is repeated before it fails with ErrDelay; default 1 minute
	Suspect     time.Duration // a gateway of which nothing was heard for so long is pinged, and left if that has no answer for twice as long; default 250 ms
	Balance     time.Duration // how often WayTable and WayPoll look for a less busy gateway, give or take a half; default 10 s
	MirrorFor   time.Duration // how long a volume is read at a mirror before the volume itself is asked again; default 5 minutes
	StripeUnit  int           // bytes of a large transfer that one gateway moves in one call, at most 1 MiB, which is the default
	Width       int           // gateways that share a large transfer; default 4
	Parallel    int           // calls of one transfer at once; default 8
	MaxUnsynced int           // bytes of a file that are kept until they are stable; more are made stable by the way. Default 64 MiB

	Log *slog.Logger // default: none
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	for _, d := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{{"Patience", &c.Patience, time.Minute}, {"Suspect", &c.Suspect, 250 * time.Millisecond}, {"Balance", &c.Balance, 10 * time.Second}, {"MirrorFor", &c.MirrorFor, 5 * time.Minute}} {
		if *d.value < 0 {
			return fmt.Errorf("client: %s is negative", d.name)
		}
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	for _, n := range []struct {
		name     string
		value    *int
		def, max int
	}{{"StripeUnit", &c.StripeUnit, 1 << 20, 1 << 20}, {"Width", &c.Width, 4, 64}, {"Parallel", &c.Parallel, 8, 128}, {"MaxUnsynced", &c.MaxUnsynced, 64 << 20, 1 << 40}} {
		if *n.value < 0 || *n.value > n.max {
			return fmt.Errorf("client: %s is %d, not from 1 to %d", n.name, *n.value, n.max)
		}
		if *n.value == 0 {
			*n.value = n.def
		}
	}
	if c.Ways&^redirect.AllWays != 0 {
		return fmt.Errorf("client: Ways %#x", c.Ways)
	}
	if c.Ways == 0 {
		c.Ways = redirect.WayPath | redirect.WayNoPath | redirect.WayFailOver
	}
	if c.Local == "" {
		c.Local = DefaultLocal
	}
	if c.UID != nil && *c.UID != uint32(os.Getuid()) || c.GID != nil && *c.GID != uint32(os.Getgid()) {
		c.Local = "-" // there it is the process that counts
	}
	c.setUser()
	if c.Umask == nil {
		umask := processUmask()
		c.Umask = &umask
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: 4 * c.Suspect}).DialContext
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func (c *Config) setUser() {
	if c.UID == nil && c.Groups == nil {
		groups, _ := os.Getgroups() // none is no harm
		for _, g := range groups {
			c.Groups = append(c.Groups, uint32(g))
		}
	}
	if c.UID == nil {
		uid := uint32(os.Getuid())
		c.UID = &uid
	}
	if c.GID == nil {
		gid := uint32(os.Getgid())
		c.GID = &gid
	}
}

// Client is a connection to a cluster. It may be used by many goroutines at once.
type Client struct {
	cfg    Config
	caller *clientpb.Caller
	life   context.Context
	end    context.CancelFunc
	tasks  sync.WaitGroup

	began  time.Time
	doubts atomic.Uint64 // how often what was written and not synced may have been lost, or may be without being noticed: see doubt
	off    atomic.Uint32 // ways that the operator switched off: redirect.Ways
	owners atomic.Uint64 // of locks: one for each open file

	mu      sync.Mutex
	closed  bool
	paths   redirect.Paths
	used    map[string]string // the gateway of the last call, by volume
	links   map[string]*link  // by address
	nodes   map[string]string // the address by which each node is reached
	known   []string          // addresses, in the order in which they were learned
	volumes map[string]*Volume
	locks   lockKeeper
	local   *localGateway                // nil: there is none on this machine
	records map[string]*clientpb.Gateway // by address
}

// Dial connects to a cluster. at are gateways, as host:port, or names whose SRV records _causeway._tcp say where they are, or both; one that
// answers is enough. The context is for Dial alone. Close must follow.
func Dial(ctx context.Context, cfg Config, at ...string) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	id := make([]byte, 16)
	rand.Read(id) // never fails
	c := &Client{
		cfg: cfg, began: time.Now(), caller: &clientpb.Caller{Uid: *cfg.UID, Gid: *cfg.GID, Groups: cfg.Groups, Client: id},
		links: map[string]*link{}, nodes: map[string]string{}, volumes: map[string]*Volume{}, used: map[string]string{}, records: map[string]*clientpb.Gateway{},
	}
	c.paths.Probe = cfg.Suspect
	c.life, c.end = context.WithCancel(context.Background())
	addresses, err := cfg.resolve(ctx, at)
	if err != nil {
		c.Close()
		return nil, err
	}
	if err := c.greet(ctx, addresses); err != nil {
		c.Close()
		return nil, err
	}
	c.local = c.findLocal()
	c.tasks.Go(c.probe)
	c.tasks.Go(c.keepLocks)
	if cfg.Ways&(redirect.WayTable|redirect.WayPoll) != 0 {
		c.tasks.Go(c.balance)
	}
	return c, nil
}

// resolve finds addresses.
func (c *Config) resolve(ctx context.Context, at []string) (out []string, err error) {
	var failed error
	for _, name := range at {
		if _, _, err := net.SplitHostPort(name); err == nil {
			out = append(out, name)
			continue
		}
		if _, err := netip.ParseAddr(name); err == nil {
			failed = errors.Join(failed, fmt.Errorf("%s: an address needs the port of the gateways' --aware, as in %s", name, net.JoinHostPort(name, "9450")))
			continue
		}
		_, found, err := c.Resolver.LookupSRV(ctx, "causeway", "tcp", name)
		failed = errors.Join(failed, err)
		for _, r := range found { // by address, as gateways name one another: one gateway shall not look like two
			addresses, err := c.Resolver.LookupHost(ctx, r.Target)
			failed = errors.Join(failed, err)
			for _, a := range addresses {
				out = append(out, net.JoinHostPort(a, strconv.Itoa(int(r.Port))))
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.Join(errors.New("client: there is no gateway to dial"), failed)
	}
	return out, nil
}

// greet asks gateways in turn until one answers. All are remembered.
func (c *Client) greet(ctx context.Context, addresses []string) error {
	var failed error
	for _, a := range addresses {
		c.mu.Lock()
		c.learnLocked(a)
		c.mu.Unlock()
	}
	for _, a := range addresses {
		l, err := c.link(a)
		if err != nil {
			return err
		}
		one, cancel := context.WithTimeout(ctx, 8*c.cfg.Suspect)
		r, err := l.files.Hello(one, &clientpb.HelloRequest{MinVersion: minVersion, MaxVersion: maxVersion, Client: c.caller.Client})
		cancel()
		switch {
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("client: %s: %s", a, status.Convert(err).Message()))
			continue
		case r.Version < minVersion || r.Version > maxVersion:
			return fmt.Errorf("client: the gateway at %s speaks none of the versions %d to %d", a, minVersion, maxVersion)
		}
		if r.Node != "" {
			c.mu.Lock()
			c.nodes[r.Node] = a
			c.mu.Unlock()
		}
		c.told(r.Gateways)
		return nil
	}
	if ctx.Err() != nil {
		failed = errors.Join(failed, context.Cause(ctx))
	}
	return failed
}

// Close ends all connections. What was not synced may not be stable.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.end()
	c.local.close()
	c.tasks.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	for _, l := range c.links {
		err = errors.Join(err, l.close())
	}
	c.links = map[string]*link{}
	return err
}

// Paths lists how a volume can be reached, for status. The first address is that of the path in use.
func (c *Client) Paths(volume string) []redirect.Path {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.paths.All(volume)
	now, ok := c.paths.Current(volume)
	for i := range all {
		if ok && all[i].Gateway == now.Gateway {
			all[0], all[i] = all[i], all[0]
		}
	}
	return all
}
