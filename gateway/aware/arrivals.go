package aware

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/proto"

	"causeway/client/clientpb"
)

// Bounds of requests that have not come whole, or wait for a slot. Each may hold as much memory as a message may have: flow control does not bound that, since
// gRPC widens the window of a call for a message that is announced to be long.
const (
	arrivingOfClient = 4                // one address may have that part of Config.MaxArriving
	arriveWithin     = 10 * time.Second // where there are too many, who needs longer is hung up on
	smallRequest     = 64 << 10         // bytes; of a request that is no longer nobody keeps count while it waits
)

// arrivals counts requests from their first byte until they are being done.
type arrivals struct {
	mu   sync.Mutex
	most int
	all  map[*arrival]bool
	of   map[netip.Addr]int
}

// arrival is a request of which some has come.
type arrival struct {
	a     *arrivals
	from  netip.AddrPort
	since time.Time
	stop  func() bool // ends the watch over the call's end
}

// arrivalKey is where the context of a call has its arrival.
type arrivalKey struct{}

// begins counts a call that begins, before any of its request is read. It must not wait, since it holds up the connection: where there are too many,
// the client makes the call again later. Signs of life come through when nothing else does: without them the client would leave.
func (s *Server) begins(ctx context.Context, call *tap.Info) (context.Context, error) {
	from, _ := remote(ctx)
	most := s.arrivals.most
	switch call.FullMethodName {
	case clientpb.Files_Hello_FullMethodName, clientpb.Files_Ping_FullMethodName, clientpb.Files_Watch_FullMethodName, clientpb.Files_Renew_FullMethodName:
		most *= 2
	}
	a := s.arrivals.add(from, most, s.cfg.Now())
	if a == nil {
		return ctx, status.Error(codes.Aborted, "too many requests at once: later") // the library's ErrDelay
	}
	a.stop = context.AfterFunc(ctx, func() { a.a.remove(a) })
	return context.WithValue(ctx, arrivalKey{}, a), nil
}

// add counts one; nil: there are too many.
func (a *arrivals) add(from netip.AddrPort, most int, now time.Time) *arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.all) >= most || a.of[from.Addr()] >= max(most/arrivingOfClient, 1) {
		return nil
	}
	n := &arrival{a: a, from: from, since: now}
	a.all[n] = true
	a.of[from.Addr()]++
	return n
}

func (a *arrivals) remove(n *arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.all[n] {
		return
	}
	delete(a.all, n)
	if a.of[n.from.Addr()]--; a.of[n.from.Addr()] == 0 {
		delete(a.of, n.from.Addr())
	}
}

// stuck lists the connections that take long to say what they want, where room is short.
func (a *arrivals) stuck(now time.Time) (out []netip.AddrPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for n := range a.all {
		short := len(a.all) >= a.most/2 || a.of[n.from.Addr()] >= max(a.most/arrivingOfClient/2, 1)
		if short && now.Sub(n.since) > arriveWithin {
			out = append(out, n.from)
		}
	}
	return out
}

// Arriving returns how many requests have not come whole, or wait for their turn.
func (s *Server) Arriving() int {
	s.arrivals.mu.Lock()
	defer s.arrivals.mu.Unlock()
	return len(s.arrivals.all)
}

// arrived notes that a call's request is being done, or is so small that it does not matter how long it waits.
func arrived(ctx context.Context) {
	if n, ok := ctx.Value(arrivalKey{}).(*arrival); ok {
		n.stop()
		n.a.remove(n)
	}
}

// small reports whether a request needs little memory.
func small(req any) bool {
	m, ok := req.(proto.Message)
	return ok && proto.Size(m) <= smallRequest
}
