package v3

import (
	"bytes"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
	"causeway/gateway/rounds"
	"causeway/internal/gate"
)

// stabilizer holds the replies of changes until these are stable. Changes that arrive while others are made stable are done together
// in the next round: one sync and one goroutine for all of them, where each would have had its own.
type stabilizer struct {
	rounds *rounds.Rounds
	enter  func(causeway.VolumeID) gate.Pass // a change stays inside until it is answered: it uses the storage
}

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
	return &stabilizer{rounds: rounds.Of(p), enter: enter}
}

// add takes over a change that c.Later describes. Its reply stands in c.Reply from start on. remember may be nil. The held reply keeps
// the RPC server waiting for the round.
func (s *stabilizer) add(c *rpc.Call, start int, remember func([]byte), lost func(*xdr.Encoder)) {
	ch := &change{objects: c.Later.Objects, held: c.Hold(), remember: remember, lost: lost, inside: s.enter(c.Later.Volume)}
	if remember != nil {
		ch.reply = bytes.Clone(c.Reply.Bytes()[start:])
	}
	s.rounds.Add(c.Later.Volume, ch)
}

// Pending implements rounds.Change.
func (ch *change) Pending(list []causeway.ObjectID) []causeway.ObjectID {
	return append(list, ch.objects[:]...)
}

// End implements rounds.Change: it answers the client. That a change may be lost is remembered like any other reply: a retransmission that was carried out
// again might find the change made and its next sync without a fault, and would be told that all is well. A call of the client's
// own, who may try again, is another one. Where it is only not known whether the change will last, since somebody else may own the volume by now,
// there is no answer: the same call, made again, finds out.
func (ch *change) End(err error) {
	defer ch.inside.Leave()
	if passes(err) {
		if ch.remember != nil {
			ch.remember(nil)
		}
		ch.held.HangUp()
		return
	}
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

// passes reports that another gateway may own the volume, so that nobody's sync has failed. ErrDelay may hide one that did, while it is found out whether
// the storage is in reach: the next sync would not hear of the loss again.
func passes(err error) bool {
	switch causeway.CodeOf(err) {
	case causeway.ErrStaleEpoch, causeway.ErrMoved, causeway.ErrClosed:
		return true
	}
	return false
}
