// Package relay lets any gateway answer for any volume: a request of a volume that another gateway administers is sent to that
// one as a whole, answered there as if its client had come itself (export rules, ports, squashing, the memory of answers), and
// the result is copied into the reply.
//
// It belongs here which calls travel and where to, how they travel, and what becomes of them when owners move or die on the
// way. It decides no rights and knows neither who owns what nor how certificates come about: both are handed in. The wire
// between gateways is a fixed binary layout with a format number: it is private to the relay, which ends where access and
// transfer are split between gateways.
//
// A request whose connection broke before its answer came is sent again, to whoever owns the volume then, as the same call (xid
// and arguments): the owner's memory of answers makes that safe for what must not be done twice. So is a client's
// retransmission through another gateway.
package relay

import (
	"context"
	"errors"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/rpc"
)

// Config says how a Handler finds who answers.
type Config struct {
	Local   rpc.Handler      // answers what is ours
	Catalog *gateway.Catalog // for MOUNT, whose calls name volumes

	// Owner tells who administers a volume in which epoch. local: this gateway, and so for a volume that nobody knows, which
	// Local refuses. ok is false while there is none. It is called for every call and must not block.
	Owner func(causeway.VolumeID) (peer string, epoch causeway.Epoch, local, ok bool)

	// Changed, if not nil, returns a channel that is closed when what Owner tells changes next. Without it Owner is asked
	// every now and then while calls wait.
	Changed func() <-chan struct{}

	Peers *Peers
	Wait  time.Duration // how long a call waits for an owner and his answer before its client is told to come again; default 10 s
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	switch {
	case c.Local == nil:
		return errors.New("relay: Local is needed")
	case c.Catalog == nil:
		return errors.New("relay: Catalog is needed")
	case c.Owner == nil:
		return errors.New("relay: Owner is needed")
	case c.Peers == nil:
		return errors.New("relay: Peers is needed")
	case c.Wait < 0:
		return errors.New("relay: Wait must not be negative")
	}
	if c.Wait == 0 {
		c.Wait = 10 * time.Second
	}
	if c.Changed == nil {
		c.Changed = func() <-chan struct{} { return nil }
	}
	return nil
}

// Handler stands before a program (NFS, MOUNT, NLM, NSM) and sends calls of other gateways' volumes there.
type Handler struct {
	cfg Config
}

var _ rpc.Handler = (*Handler)(nil)

// New returns a Handler.
func New(cfg Config) (*Handler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Handler{cfg}, nil
}

// Handle serves one call. With NoWait it parks what is not ours.
func (h *Handler) Handle(ctx context.Context, c *rpc.Call) rpc.Verdict {
	volume, who := target(c, h.cfg.Catalog)
	switch who {
	case here:
		return h.cfg.Local.Handle(ctx, c)
	case everyone:
		if c.NoWait {
			return rpc.Park
		}
		return h.tellAll(ctx, c)
	}
	if _, _, local, ok := h.cfg.Owner(volume); ok && local {
		return h.cfg.Local.Handle(ctx, c)
	}
	if c.NoWait {
		return rpc.Park
	}
	return h.forward(ctx, c, volume)
}
