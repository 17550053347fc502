package peer

import (
	"context"
	"sync"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/wire"
)

// events brings events to the fronts of this gateway, and to other gateways whose fronts wait for them.
type events struct {
	mu    sync.Mutex
	to    map[causeway.OwnerKind]gateway.Events
	boxes map[string]*mailbox
}

// mailbox holds the events for one gateway, in order. A goroutine sends them while there are any.
type mailbox struct {
	list    []gateway.Event
	sending bool
}

// Bounds of what waits for a gateway: events, and the time that it has to take one.
const (
	maxEvents   = 64 << 10
	eventWithin = 10 * time.Second
)

func (e *events) init() {
	e.to = make(map[causeway.OwnerKind]gateway.Events)
	e.boxes = make(map[string]*mailbox)
}

// Subscribe registers the front of this gateway for the events of a kind of owners, wherever they come from.
func (p *Peers) Subscribe(kind causeway.OwnerKind, to gateway.Events) {
	p.events.mu.Lock()
	defer p.events.mu.Unlock()
	p.events.to[kind] = to
}

// deliver gives an event to the front of this gateway.
func (e *events) deliver(ctx context.Context, event gateway.Event) error {
	e.mu.Lock()
	to := e.to[ownerOf(&event).Kind]
	e.mu.Unlock()
	if to == nil {
		return causeway.ErrNotSupp
	}
	return to.Deliver(ctx, event)
}

// ownerOf is whose event it is.
func ownerOf(e *gateway.Event) causeway.Owner {
	switch e.Kind {
	case gateway.LeaseBroken, gateway.OpenLost:
		return e.Break.Owner
	case gateway.Noticed:
		return e.Watch.Owner
	}
	return e.Lock.Owner
}

// dispatcher takes what the access part here has to tell.
type dispatcher struct{ p *Peers }

// Deliver implements gateway.Events. An event of another gateway's client is queued, and sent in order.
func (d dispatcher) Deliver(ctx context.Context, e gateway.Event) error {
	p := d.p
	if e.Gateway == "" || e.Gateway == p.cfg.Node {
		return p.events.deliver(ctx, e)
	}
	p.events.mu.Lock()
	defer p.events.mu.Unlock()
	box := p.events.boxes[e.Gateway]
	if box == nil {
		box = &mailbox{}
		p.events.boxes[e.Gateway] = box
	}
	if len(box.list) >= maxEvents {
		return causeway.ErrDelay
	}
	box.list = append(box.list, e)
	if !box.sending && p.start(func() { p.send(e.Gateway, box) }) {
		box.sending = true
	}
	return nil
}

// send sends the events for a gateway until there are none. One that cannot be delivered is dropped, as its front would drop it: the
// client asks again.
func (p *Peers) send(node string, box *mailbox) {
	for {
		p.events.mu.Lock()
		if len(box.list) == 0 || p.ctx.Err() != nil {
			box.list, box.sending = nil, false
			p.events.mu.Unlock()
			return
		}
		e := box.list[0]
		box.list = box.list[1:]
		p.events.mu.Unlock()
		e.Gateway = ""
		r := wire.Event(&e)
		if v := causeway.VolumeID(r.Volume); v != 0 { // what a watch tells names no volume
			wire.SetEpoch(r, p.cfg.Table.Now(v).Epoch)
		}
		ctx, cancel := context.WithTimeout(p.ctx, eventWithin)
		reply, err := p.tell(ctx, node, r)
		cancel()
		if err == nil {
			err = wire.Error(reply)
		}
		if err != nil {
			p.cfg.Log.Warn("an event did not reach its gateway", "node", node, "volume", causeway.VolumeID(r.Volume), "err", err)
		}
	}
}

// start runs f as a task; false after Close.
func (p *Peers) start(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.tasks.Go(f)
	return true
}
