package peer

import (
	"context"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/depth"
	"causeway/gateway/peer/peerpb"
	"causeway/gateway/peer/wire"
	"causeway/internal/gate"
)

// held is a change that was made, whose reply waits until it is stable and known to two gateways.
type held struct {
	job    job
	reply  *peerpb.Reply
	later  gateway.Pending // of no volume: it waits for nothing
	slots  depth.Slots
	inside gate.Pass // a change stays inside its volume until it is answered: it uses the storage
}

// requestDepth is that of what a client caused at another gateway.
const requestDepth = 2

// made are changes of one volume that a session brought, in a round with those of other sessions and of this gateway's own clients.
type made struct {
	peers   *Peers
	conduit *conduit
	list    []held
	counted bool // Close waits for it
}

// hold hands changes to the next round of their volume.
func (w colleague) hold(c *conduit, list []held) {
	m := &made{peers: w.Peers, conduit: c, list: list}
	v := list[0].later.Volume
	if m.counted = w.enter(); m.counted {
		w.rounds.Add(v, m)
		return
	}
	m.End(w.rounds.Persist(context.Background(), v, m.Pending(nil)...)) // the end has begun, and waits for who called this
}

// Pending implements rounds.Change.
func (m *made) Pending(ids []causeway.ObjectID) []causeway.ObjectID {
	for i := range m.list {
		ids = append(ids, m.list[i].later.Objects[:]...)
	}
	return ids
}

// End implements rounds.Change. Who lost his right to answer meanwhile does not know what became of the changes.
func (m *made) End(err error) {
	if err == nil && !m.peers.cfg.Table.Valid() {
		err = gateway.ErrUnknown
	}
	for i := range m.list {
		if err != nil {
			m.list[i].reply = wire.Failed(err)
		}
		m.list[i].slots.Release()
		m.list[i].inside.Leave()
	}
	m.conduit.answer(m.list)
	if m.counted {
		m.peers.tasks.Done()
	}
}

// enter counts something in that Close waits for; false after Close.
func (p *Peers) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.tasks.Add(1)
	return true
}
