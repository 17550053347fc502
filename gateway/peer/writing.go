package peer

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/grpc/peer"

	"causeway"
)

// writing are the writes that are done for gateways without reach. Who has lost an answer writes the same again, and when it has that
// answer goes on to write something else there: the first one, if it was held up, must not come after.
type writing struct {
	mu      sync.Mutex
	objects map[causeway.Handle][]*oneWrite
}

type oneWrite struct {
	from, by string // which gateway, over which connection
	ctx      context.Context
	done     chan struct{}
}

// begin waits for those of a gateway's writes to an object that it has given up: they were cancelled, or came over another connection, of
// which it has one at a time.
func (w *writing) begin(ctx context.Context, h causeway.Handle, from string) (done func(), err error) {
	mine := &oneWrite{from: from, ctx: ctx, done: make(chan struct{})}
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		mine.by = p.Addr.String()
	}
	w.mu.Lock()
	if w.objects == nil {
		w.objects = make(map[causeway.Handle][]*oneWrite)
	}
	before := slices.Clone(w.objects[h])
	w.objects[h] = append(w.objects[h], mine)
	w.mu.Unlock()
	done = func() { w.end(h, mine) }
	for _, other := range before {
		if other.from != from || other.by == mine.by && other.ctx.Err() == nil {
			continue
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			done()
			return nil, ctx.Err()
		}
	}
	if ctx.Err() != nil { // waited for, and given up meanwhile
		done()
		return nil, ctx.Err()
	}
	return done, nil
}

func (w *writing) end(h causeway.Handle, one *oneWrite) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(one.done)
	if w.objects[h] = slices.DeleteFunc(w.objects[h], func(o *oneWrite) bool { return o == one }); len(w.objects[h]) == 0 {
		delete(w.objects, h)
	}
}
