package wire

import (
	"math"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/peer/peerpb"
)

// maxNotices bounds the changes that one event tells, and maxNotice the length of a name below what is watched.
const (
	maxNotices = 16 << 10
	maxNotice  = 64 << 10
)

// Event makes the request that tells an event.
func Event(e *gateway.Event) *peerpb.Request {
	out := &peerpb.Event{Kind: uint32(e.Kind), Lock: lock(&e.Lock), Missed: e.Missed}
	v := e.Lock.Handle.Volume
	if e.Kind == gateway.LeaseBroken || e.Kind == gateway.OpenLost {
		v, out.Break = e.Break.Handle.Volume, breakOf(&e.Break)
	}
	if e.Kind == gateway.Noticed {
		out.Watch = watchID(&e.Watch)
	}
	for _, n := range e.Notices {
		out.Notices = append(out.Notices, &peerpb.Notice{Action: uint32(n.Action), Name: []byte(n.Name)})
	}
	return &peerpb.Request{Op: peerpb.Op_EVENT, Volume: uint64(v), Event: out}
}

// EventOf returns the event that a request tells.
func EventOf(r *peerpb.Request) (gateway.Event, error) {
	var d decoder
	m := r.GetEvent()
	k := m.GetKind()
	d.check(k >= uint32(gateway.LockGranted) && k <= uint32(gateway.Noticed) && len(m.GetNotices()) <= maxNotices)
	if d.bad {
		return gateway.Event{}, d.err()
	}
	e := gateway.Event{
		Kind: gateway.EventKind(k), Lock: d.lock(m.Lock), Break: d.breaks(m.Break, causeway.VolumeID(r.Volume)), Watch: d.watchID(m.Watch), Missed: m.Missed,
	}
	for _, n := range m.Notices {
		d.check(n.GetAction() >= uint32(gateway.Added) && n.GetAction() <= uint32(gateway.RenamedTo))
		e.Notices = append(e.Notices, gateway.Notice{Action: gateway.NoticeAction(n.GetAction()), Name: d.name(n.GetName(), maxNotice)})
	}
	return e, d.err()
}

func breakOf(b *gateway.Break) *peerpb.Break {
	return &peerpb.Break{
		Object: object(&b.Handle.Object), Id: leaseID(&b.ID), Open: b.Open[:], From: uint32(b.From), To: uint32(b.To), Epoch: uint32(b.Epoch),
		Ack: b.Ack, WithinNs: uint64(max(0, b.Within)), Owner: owner(&b.Owner),
	}
}

func (d *decoder) breaks(b *peerpb.Break, v causeway.VolumeID) (out gateway.Break) {
	if b == nil || !d.check(b.Epoch <= math.MaxUint16 && b.WithinNs <= math.MaxInt64) {
		return out
	}
	out = gateway.Break{
		Handle: causeway.Handle{Volume: v, Object: d.object(b.Object)}, ID: d.leaseID(b.Id), From: d.caching(b.From), To: d.caching(b.To),
		Epoch: uint16(b.Epoch), Ack: b.Ack, Within: time.Duration(b.WithinNs), Owner: d.owner(b.Owner),
	}
	d.fixed(out.Open[:], b.Open)
	return out
}

func watchID(w *gateway.WatchID) *peerpb.WatchID {
	return &peerpb.WatchID{Owner: owner(&w.Owner), Open: w.Open[:]}
}

func (d *decoder) watchID(w *peerpb.WatchID) (out gateway.WatchID) {
	if w == nil {
		return out
	}
	out.Owner = d.owner(w.Owner)
	d.fixed(out.Open[:], w.Open)
	return out
}

// fixed is for what has one length, or is not there.
func (d *decoder) fixed(to, b []byte) {
	if len(b) > 0 && d.check(len(b) == len(to)) {
		copy(to, b)
	}
}

func (d *decoder) caching(c uint32) causeway.Caching {
	d.check(c <= uint32(causeway.CacheAll))
	return causeway.Caching(c)
}

func leaseID(l *causeway.LeaseID) *peerpb.LeaseID {
	if *l == (causeway.LeaseID{}) {
		return nil
	}
	return &peerpb.LeaseID{Kind: uint32(l.Kind), Client: []byte(l.Client), Key: append([]byte(nil), l.Key[:]...)}
}

func (d *decoder) leaseID(l *peerpb.LeaseID) (out causeway.LeaseID) {
	if l == nil || !d.check(l.Kind <= uint32(causeway.Delegation)) {
		return out
	}
	out = causeway.LeaseID{Kind: causeway.LeaseKind(l.Kind), Client: d.name(l.Client, maxOwner)}
	d.fixed(out.Key[:], l.Key)
	return out
}
