// Package near answers questions about names and attributes of an exclusive volume at a gateway that does not administer it:
// from leases that the administrative gateway gave, so that a cached GETATTR, ACCESS, LOOKUP, READLINK or READDIR costs no hop,
// and a miss costs one call. It stands between the fronts and whoever carries calls to the administrative gateway. It changes
// nothing by itself, decides rights by causeway.Permit from leased attributes, and knows neither storage nor protocols.
package near

import (
	"context"
	"errors"
	"sync"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/internal/boottime"
)

// Config is what a Cache is made of.
type Config struct {
	Access gateway.Access // answers what is not known here, and gives leases
	// Leased returns a volume whose attributes and names are leased from another gateway, nil for all others: these are passed
	// on.
	Leased func(causeway.VolumeID) *causeway.Volume
	// Holder holds the grants of bytes at this gateway. Recalls are passed on to it. It may be nil.
	Holder gateway.Holder
	// Attr returns the attributes of an object whose bytes this gateway holds a grant of, with all that the caller's rights depend
	// on. It may be nil.
	Attr func(context.Context, *gateway.Caller, causeway.Handle) (causeway.Attr, bool)
	// Valid reports whether this gateway is a member still. When it is not, the others take its leases for ended, however long they would
	// have lasted. Nil: always.
	Valid      func() bool
	Node       string               // this gateway's name
	Now        func() time.Duration // goes on while the process is stopped; default boottime.Now
	Renew      time.Duration        // how often leases in use are renewed; default 1 s
	MaxObjects int                  // attributes kept; default 131,072
	MaxNames   int                  // names kept, and entries of listings; default 1,048,576
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	switch {
	case c.Access == nil:
		return errors.New("near: Access is missing")
	case c.Leased == nil:
		return errors.New("near: Leased is missing")
	}
	if c.Valid == nil {
		c.Valid = func() bool { return true }
	}
	if c.Renew <= 0 {
		c.Renew = time.Second
	}
	if c.MaxObjects <= 0 {
		c.MaxObjects = 1 << 17
	}
	if c.MaxNames <= 0 {
		c.MaxNames = 1 << 20
	}
	return nil
}

// next answers what is not answered here.
type next = gateway.Access

// Cache implements gateway.Access and gateway.Holder.
type Cache struct {
	next
	cfg     Config
	recent  func() time.Duration // Now, nearly
	known   known
	running sync.WaitGroup
	stop    context.CancelFunc
}

var (
	_ gateway.Access = (*Cache)(nil)
	_ gateway.Holder = (*Cache)(nil)
)

// New returns a Cache that knows nothing. Close ends it.
func New(cfg Config) (*Cache, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Cache{next: cfg.Access, cfg: cfg, recent: cfg.Now}
	if cfg.Now == nil {
		n.cfg.Now, n.recent = boottime.Now, boottime.Recent
	}
	n.known.init(cfg.MaxObjects, cfg.MaxNames)
	var ctx context.Context
	ctx, n.stop = context.WithCancel(context.Background())
	n.running.Go(func() { n.renewing(ctx) })
	return n, nil
}

// Close ends the renewal of leases. No request may run any more.
func (n *Cache) Close() error {
	n.stop()
	n.running.Wait()
	return nil
}

// ask asks for leases, and remembers what came.
func (n *Cache) ask(ctx context.Context, c *gateway.Caller, s gateway.GrantSpec) (gateway.GrantReply, error) {
	s.Holder, s.NoWait = n.cfg.Node, c.NoWait
	sent, tenure := n.cfg.Now(), n.known.tenure.Load()
	r, err := n.next.Grant(ctx, &s)
	if err == nil && r.Lease != 0 {
		n.known.learn(&s, &r, sent+r.Lease-r.Lease/50, tenure)
	}
	return r, err
}

// attr returns the complete attributes of an object, with one call at most.
func (n *Cache) attr(ctx context.Context, c *gateway.Caller, h causeway.Handle) (causeway.Attr, error) {
	if a, ok := n.attrNear(ctx, c, h); ok {
		return a, nil
	}
	r, err := n.ask(ctx, c, gateway.GrantSpec{Handle: h, Leases: causeway.LeaseAttr})
	return r.Attr, err
}

// attrNear is attr without a call. While this gateway may write the object, the storage is asked: its own writes change it.
func (n *Cache) attrNear(ctx context.Context, c *gateway.Caller, h causeway.Handle) (causeway.Attr, bool) {
	if a, ok := n.known.attr(h, n.recent()); ok && n.cfg.Valid() {
		return a, true
	}
	if n.cfg.Attr != nil {
		if a, ok := n.cfg.Attr(ctx, c, h); ok && n.cfg.Valid() {
			return a, true
		}
	}
	return causeway.Attr{}, false
}
