package peer

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/gatewaytest"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
)

// TestStrangersWithoutTLS: connections that never show a certificate are hung up on when an address has too many, and keep gateways at other
// addresses from nothing.
func TestStrangersWithoutTLS(t *testing.T) {
	s := newSite(t, options{direct: true})
	at := s.g[0].at
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	var hungUp atomic.Int32
	for range 4 * maxStrangersPerAddr {
		c, err := dialer.DialContext(t.Context(), "tcp", at)
		must(t, err)
		t.Cleanup(func() { c.Close() })
		go func() {
			if _, err := io.Copy(io.Discard, c); err == nil || !errors.Is(err, net.ErrClosed) {
				hungUp.Add(1)
			}
		}()
	}
	until(t, "those that are too many are gone", func() bool { return hungUp.Load() >= 3*maxStrangersPerAddr })
	if n := s.g[0].peers.counts.refused.Load(); n < 3*maxStrangersPerAddr {
		t.Error("they were waited for:", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	root, err := s.g[1].router.Root(ctx, gatewaytest.Root(), vol)
	if err != nil {
		t.Fatal("a gateway is kept out:", err)
	}
	if _, err := s.g[1].router.GetAttr(ctx, gatewaytest.Root(), root.Handle); err != nil {
		t.Error(err)
	}
}

// unread is a stream whose other end asks on and on, and takes no answer.
type unread struct {
	asked atomic.Uint64
	stuck chan struct{}
}

func (u *unread) Send(*peerpb.Packet) error { <-u.stuck; return errLost }

func (u *unread) Recv() (*peerpb.Packet, error) {
	n := u.asked.Add(1)
	if n > 1_000_000 {
		return nil, errors.New("nobody stopped it")
	}
	time.Sleep(time.Microsecond) // answers are made meanwhile
	return &peerpb.Packet{Frames: []*peerpb.Frame{{Id: n, Request: &peerpb.Request{Op: peerpb.Op_GETATTR}}, {Beat: true}}}, nil
}

// answering answers at once.
type answering struct{}

func (answering) execute(context.Context, *peerpb.Request) *peerpb.Reply {
	return wire.Failed(causeway.ErrNoEnt)
}
func (answering) begin(context.Context, *peerpb.Request) (held, bool) { return held{}, false }
func (answering) hold(*conduit, []held)                               {}

// TestAnswersNobodyTakes: who asks and does not read is cut off before its answers fill the memory.
func TestAnswersNobodyTakes(t *testing.T) {
	c := newConduit(16, slog.New(slog.DiscardHandler), &counts{}, answering{})
	stream := &unread{stuck: make(chan struct{})}
	k, err := c.attach(stream)
	must(t, err)
	written := goErr(func() error { return c.write(k) })
	if err := c.read(k); err != errUnread {
		t.Error(err)
	}
	if n := stream.asked.Load(); n > 10_000 {
		t.Error("stopped after", n)
	}
	c.detach(k)
	close(stream.stuck)
	<-written
	c.mu.Lock()
	if len(c.queue) > 0 {
		t.Error("what was not taken is kept:", len(c.queue))
	}
	c.mu.Unlock()
	c.end()
	c.wait()
}

// brokenTransfer is a transfer part that fails its callers.
type brokenTransfer struct{ gateway.Transfer }

func (brokenTransfer) Write(context.Context, *gateway.Caller, causeway.Handle, uint64, []byte, causeway.Stability) (gateway.WriteResult, error) {
	panic("broken")
}

// TestPanicOfBulk: a panic in what another gateway asks to be written fails that write, and nothing else.
func TestPanicOfBulk(t *testing.T) {
	s := newSite(t, options{gates: 2})
	x := s.g[1].without(func() []string { return []string{"g1"} })
	h, err := s.g[1].create("f")
	must(t, err)
	services := s.g[0].peers.services
	services.Transfer = brokenTransfer{s.g[0].data}
	s.g[0].peers.Offer(services)
	c := gatewaytest.Root()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // it would be tried again for a while
	defer cancel()
	if _, err := x.Write(ctx, c, h, 0, []byte("text"), causeway.FileSync); err == nil {
		t.Error("it was written")
	}
	services.Transfer = s.g[0].data
	s.g[0].peers.Offer(services)
	if w, err := x.Write(t.Context(), c, h, 0, []byte("text"), causeway.FileSync); err != nil || w.N != 4 {
		t.Error(w, err)
	}
}
