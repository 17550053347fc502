package client

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"causeway/client/clientpb"
	"causeway/internal/sleep"
	"causeway/redirect"
)

// worthwhile is by how many points of percent another gateway must be less busy before a client goes there by itself.
const worthwhile = 20

// balance looks for a less busy gateway from time to time: in the records, or by asking the gateways.
func (c *Client) balance() {
	for sleep.For(c.life, c.cfg.Balance/2+rand.N(c.cfg.Balance)) {
		figures := c.figures()
		c.mu.Lock()
		for name := range c.volumes {
			c.leaveLocked(name, figures)
		}
		c.mu.Unlock()
	}
}

// figures says how busy the gateways are, by address.
func (c *Client) figures() map[string]uint32 {
	out := map[string]uint32{}
	c.mu.Lock()
	known := append([]string(nil), c.known...)
	if c.Ways()&redirect.WayTable != 0 {
		for a, r := range c.records {
			if !r.Draining {
				out[a] = r.Utilization
			}
		}
	}
	c.mu.Unlock()
	if c.Ways()&redirect.WayPoll == 0 {
		return out
	}
	for _, a := range known {
		l, err := c.link(a)
		if err != nil {
			break
		}
		var r *clientpb.PingReply
		if r, err = c.ping(c.life, l); err == nil && !r.Draining {
			out[a] = r.Utilization
		} else {
			delete(out, a)
		}
	}
	return out
}

// leaveLocked goes to the least busy gateway that reaches the volume, if that is worth it. Which of several it takes is left to chance, so
// that not all clients meet there.
func (c *Client) leaveLocked(volume string, figures map[string]uint32) {
	here, ok := c.paths.Current(volume)
	mine, known := figures[here.Gateway]
	if !ok || !known {
		return
	}
	var better []string
	for _, p := range c.paths.All(volume) {
		if u, ok := figures[p.Gateway]; ok && p.State == redirect.Valid && u+worthwhile <= mine {
			if len(better) > 0 && u < figures[better[0]] {
				better = better[:0]
			}
			if len(better) == 0 || u == figures[better[0]] {
				better = append(better, p.Gateway)
			}
		}
	}
	if len(better) > 0 {
		c.paths.Redirect(volume, better[rand.N(len(better))], time.Now())
	}
}

// timed notes how long a gateway took to answer, and goes elsewhere when that is no longer normal.
func (c *Client) timed(l *link, method string, size int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !l.responses.Add(method, size, took, now) {
		return
	}
	for name := range c.volumes {
		if p, ok := c.paths.Current(name); ok && p.Gateway == l.address {
			c.paths.RedirectAnywhere(name, now)
			c.cfg.Log.Info("a gateway has become slow", "volume", name, "from", l.address)
		}
	}
}

// times is what notes the calls of a link.
func (c *Client) times(l *link) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		begun := time.Now()
		err := call(ctx, method, request, reply, conn, opts...)
		// A lock may be waited for: that says nothing of the gateway.
		if err == nil && c.Ways()&redirect.WayOwn != 0 && method != clientpb.Files_Lock_FullMethodName {
			c.timed(l, method, proto.Size(request.(proto.Message))+proto.Size(reply.(proto.Message)), time.Since(begun))
		}
		return err
	}
}

// Ways are those by which the client lets itself be moved now: of Config.Ways those that the gateways' operator has not switched off.
func (c *Client) Ways() redirect.Ways {
	return c.cfg.Ways &^ redirect.Ways(c.off.Load()&uint32(redirect.AllWays))
}
