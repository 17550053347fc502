package v3

import (
	"bytes"
	"context"
	"sync"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
	"causeway/internal/gate"
)

// stabilizer makes changes stable and then sends their replies, which are held until then. Changes that arrive while a round
// runs are done together in the next one: one sync and one goroutine for all of them, where each would have had its own.
type stabilizer struct {
	persist gateway.Persister
	enter   func(causeway.VolumeID) gate.Pass // a change stays inside until it is answered: it uses the storage

	mu     sync.Mutex
	rounds map[causeway.VolumeID]*round // of volumes that have changes under way
}

// round collects the changes of a volume that wait for the next sync.
type round struct{ waiting []change }

// change is a change that was made.
type change struct {
	objects  [2]causeway.ObjectID
	held     *rpc.Held
	reply    []byte
	remember func(reply []byte)
	lost     func(*xdr.Encoder)
	inside   gate.Pass
}

func newStabilizer(p gateway.Persister, enter func(causeway.VolumeID) gate.Pass) *stabilizer {
	if enter == nil {
		anybody := new(gate.Gate)
		enter = func(causeway.VolumeID) gate.Pass { return anybody.Enter() }
	}
	return &stabilizer{persist: p, enter: enter, rounds: make(map[causeway.VolumeID]*round)}
}

// add takes over a change that c.Later describes. Its reply stands in c.Reply from start on. remember may be nil.
func (s *stabilizer) add(c *rpc.Call, start int, remember func([]byte), lost func(*xdr.Encoder)) {
	ch := change{objects: c.Later.Objects, held: c.Hold(), remember: remember, lost: lost, inside: s.enter(c.Later.Volume)}
	if remember != nil {
		ch.reply = bytes.Clone(c.Reply.Bytes()[start:])
	}
	s.mu.Lock()
	r := s.rounds[c.Later.Volume]
	idle := r == nil
	if idle {
		r = &round{}
		s.rounds[c.Later.Volume] = r
	}
	r.waiting = append(r.waiting, ch)
	s.mu.Unlock()
	if idle {
		go s.run(c.Later.Volume, r) // ends when there is nothing to do; the held replies keep the RPC server waiting for it
	}
}

// run makes rounds until nothing waits.
func (s *stabilizer) run(v causeway.VolumeID, r *round) {
	for {
		s.mu.Lock()
		changes := r.waiting
		r.waiting = nil
		if len(changes) == 0 {
			delete(s.rounds, v)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		err := s.persist.Persist(context.Background(), v, objectsOf(changes)...)
		for i := range changes {
			changes[i].end(err)
			changes[i].inside.Leave()
		}
	}
}

// objectsOf returns the objects of all changes, each once.
func objectsOf(changes []change) []causeway.ObjectID {
	seen := make(map[causeway.ObjectID]struct{}, len(changes)+1)
	ids := make([]causeway.ObjectID, 0, len(changes)+1)
	for i := range changes {
		for _, id := range changes[i].objects {
			if _, again := seen[id]; !again && !id.IsZero() {
				seen[id] = struct{}{}
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// end answers the client. That a change may be lost is remembered like any other reply: a retransmission that was carried out
// again might find the change made and its next sync without a fault, and would be told that all is well. A call of the client's
// own, who may try again, is another one.
func (ch *change) end(err error) {
	if err == nil {
		if ch.remember != nil {
			ch.remember(ch.reply)
		}
		ch.held.Send()
		return
	}
	var lost xdr.Encoder
	ch.lost(&lost)
	if ch.remember != nil {
		ch.remember(lost.Bytes())
	}
	ch.held.Fail(func(e *xdr.Encoder) { copy(e.Reserve(lost.Len()), lost.Bytes()) })
}
