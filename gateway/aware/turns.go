package aware

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"causeway"
)

// Bounds of what is remembered of calls about locks.
const (
	maxTurns  = 64 << 10 // owners of locks, of all clients; of one address a quarter. Calls of more are done as they come
	keepTurns = 30 * time.Second
)

// turns do the calls of each owner of locks one after the other, in the order in which its client made them: an unlock that overtook the lock that its
// client no longer waits for would leave a lock that nobody knows of, and that the client keeps by renewing others.
type turns struct {
	mu   sync.Mutex
	of   map[locksOf]*turn
	from map[netip.Addr]int // owners of an address
}

// locksOf is an owner of locks.
type locksOf struct {
	who
	owner uint64
}

type turn struct {
	inside chan struct{} // has an element while a call is done

	// guarded by turns.mu
	latest uint64
	stop   context.CancelFunc // of the call that is done
	calls  int                // that are done or wait
	last   time.Time
}

var errOvertaken = &causeway.Error{Op: "aware", Code: causeway.ErrInval, Err: errors.New("a later call of this owner of locks came first")}

// begin waits for a call's turn, after an earlier one of its owner was told to end. A call that comes after a later one is not done.
func (t *turns) begin(ctx context.Context, k locksOf, number uint64, now func() time.Time) (_ context.Context, end func(), err error) {
	o, err := t.enter(k, number)
	if o == nil {
		return ctx, func() {}, err
	}
	leave := func() {
		t.mu.Lock()
		o.calls--
		o.last = now()
		t.mu.Unlock()
	}
	select {
	case o.inside <- struct{}{}:
	case <-ctx.Done():
		leave()
		return ctx, nil, ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if number < o.latest {
		<-o.inside
		o.calls--
		return ctx, nil, errOvertaken
	}
	ctx, stop := context.WithCancel(ctx)
	o.stop = stop
	return ctx, func() {
		t.mu.Lock()
		o.stop = nil
		t.mu.Unlock()
		stop()
		<-o.inside
		leave()
	}, nil
}

// enter notes that there is a call; nil if it has no turn.
func (t *turns) enter(k locksOf, number uint64) (*turn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.of[k]
	if number == 0 || o == nil && (len(t.of) >= maxTurns || t.from[k.addr] >= maxTurns/4) {
		return nil, nil
	}
	if o == nil {
		o = &turn{inside: make(chan struct{}, 1)}
		t.of[k] = o
		t.from[k.addr]++
	}
	if number < o.latest {
		return nil, errOvertaken
	}
	o.latest = number
	o.calls++
	if o.stop != nil {
		o.stop()
	}
	return o, nil
}

// forget takes owners out that have not called for so long that no call of theirs is under way.
func (t *turns) forget(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, o := range t.of {
		if o.calls == 0 && now.Sub(o.last) > keepTurns {
			delete(t.of, k)
			lessen(t.from, k.addr)
		}
	}
}
