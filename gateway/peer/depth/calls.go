package depth

import "context"

// Work is what a gateway does for a client or for another gateway.
type Work string

// The kinds of work.
const (
	Front  Work = "front"  // what a client asked for
	Access Work = "access" // the access part, at the administrative gateway
	Bulk   Work = "bulk"   // bytes, moved for a gateway without reach of the storage
	Recall Work = "recall" // a holder ends a grant
	Event  Work = "event"  // a front takes an event; it queues what it does about it
	Keep   Work = "keep"   // a second copy is kept
)

// Calls says what work may ask of another gateway: the call graph. It has no circle.
var Calls = map[Work][]Work{
	Front:  {Access, Bulk},
	Bulk:   {Access},
	Access: {Recall, Event, Keep},
	Recall: nil,
	Event:  nil,
	Keep:   nil,
}

type key struct{}

// At returns the depth of what runs under ctx: 1 for what a client asked for.
func At(ctx context.Context) int {
	if d, ok := ctx.Value(key{}).(int); ok {
		return d
	}
	return 1
}

// With returns a context for work at a depth.
func With(ctx context.Context, depth int) context.Context {
	return context.WithValue(ctx, key{}, depth)
}
