// Package ownership decides, at each gateway, which volumes it owns and which it must pause, and, at one of them, who shall
// own what. It is pure: events in, effects out, time by ticks. It looks at the state of the database and at its own and does
// the next step that brings them together, so that a lost message, a repeated one or a new master needs no special case.
//
// Not here: placement (it is asked for by [Compute]), the database, leases and clocks (the driver's).
package ownership

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"causeway"
	"causeway/cluster/record"
	"causeway/internal/setting"
)

// Config says which node this is, and how patient it is.
type Config struct {
	Node          string
	LeaseTTL      time.Duration // after a revocation the node has stopped by itself within it; default 2 s
	ConfirmWithin time.Duration // a node that has not confirmed a plan by then is dropped; default 1 s
	Retry         time.Duration // after a refused or unknown transaction; default 100 ms
	RefuseFor     time.Duration // how long a node does not try again to own a volume that it could not take; default 30 s
	MaxMoves      int           // volumes that are paused at a time; default and at most 32
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	if c.Node == "" {
		return fmt.Errorf("ownership: no Node")
	}
	if err := errors.Join(
		setting.Positive("ownership: LeaseTTL", &c.LeaseTTL, 2*time.Second),
		setting.Positive("ownership: ConfirmWithin", &c.ConfirmWithin, time.Second),
		setting.Positive("ownership: Retry", &c.Retry, 100*time.Millisecond),
		setting.Positive("ownership: RefuseFor", &c.RefuseFor, 30*time.Second),
	); err != nil {
		return err
	}
	if c.MaxMoves == 0 {
		c.MaxMoves = 32
	}
	if c.MaxMoves < 1 || c.MaxMoves > 32 { // two operations each, in one transaction
		return fmt.Errorf("ownership: MaxMoves %d is not 1 to 32", c.MaxMoves)
	}
	return nil
}

// Machine is the state of one gateway. It is not safe for concurrent use.
type Machine struct {
	cfg      Config
	now      time.Duration
	table    record.Table
	self     Joined // the membership; zero: none
	joining  bool
	stopping bool
	stopped  bool
	volumes  map[causeway.VolumeID]*volume
	due      map[causeway.VolumeID]bool // volumes to look at
	moving   map[causeway.VolumeID]bool // volumes of the plan
	refusing map[causeway.VolumeID]bool // volumes that this gateway could not take over
	waits    waits
	master   master
	out      []Effect
}

// New returns the machine of a gateway that knows nothing yet. The first Changed brings the whole copy.
func New(cfg Config) (*Machine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &Machine{cfg: cfg, volumes: make(map[causeway.VolumeID]*volume), due: make(map[causeway.VolumeID]bool),
		refusing: make(map[causeway.VolumeID]bool)}
	m.waits.init()
	m.master.reset()
	return m, nil
}

// Step takes an event that happened at now (any monotonic time) and returns what is to be done. The result is the caller's.
func (m *Machine) Step(now time.Duration, e Event) []Effect {
	m.now, m.out = now, nil
	switch e := e.(type) {
	case Changed:
		m.changed(e)
	case Joined:
		m.self, m.joining = e, false
		m.allDue()
	case LeaseLost:
		if e.Lease == m.self.Lease {
			m.leave()
		}
	case TxnDone:
		if p := m.waits.answer(m.now, m.table.Revision(), e, m.cfg.Retry); e.Outcome != Done {
			m.master.failed(p)
		}
	case HookDone:
		m.hookDone(e)
	case Placed:
		m.master.placed(m, e)
	case Revoked:
		m.master.revoked(m, e)
	case Stop:
		m.stopping = true
		m.allDue()
	case Rebalance:
		m.master.changed = true
	case Tick:
	}
	m.settle()
	return m.out
}

func (m *Machine) changed(e Changed) {
	before := m.joined()
	m.table.Apply(e.Revision, e.Changes)
	if !before && m.joined() {
		m.allDue()
	}
	for _, c := range e.Changes {
		switch c.Key.Kind {
		case record.KindVolume, record.KindAssign, record.KindOwner, record.KindRefusal:
			m.due[c.Key.Volume] = true
		case record.KindPlan:
			m.planChanged(c.Item)
		case record.KindNode:
			if c.Key.Name == m.cfg.Node {
				m.allDue()
			}
		}
		m.master.saw(c)
	}
	if m.joined() {
		if _, create := m.table.Member(m.cfg.Node); create != m.self.Member {
			m.leave()
		}
	}
}

func (m *Machine) planChanged(item *record.Item) {
	maps.Copy(m.due, m.moving)
	m.moving = make(map[causeway.VolumeID]bool)
	if item != nil {
		for _, move := range item.Value.(*record.Plan).Moves {
			m.moving[move.Volume] = true
		}
	}
	maps.Copy(m.due, m.moving)
}

// leave gives up everything: the lease is gone, or its end cannot be ruled out.
func (m *Machine) leave() {
	if m.self.Lease == 0 {
		return
	}
	m.self = Joined{}
	m.emit(Fence{})
	m.master.reset()
	m.waits.init()
	m.allDue()
}

// settle does whatever can be done now.
func (m *Machine) settle() {
	for _, id := range m.waits.expired(m.now, m.table.Revision()) {
		m.due[id] = true
	}
	m.lift()
	for _, id := range slices.Sorted(maps.Keys(m.due)) {
		delete(m.due, id)
		m.advance(id)
	}
	m.confirm()
	m.membership()
	m.master.advance(m)
}

func (m *Machine) membership() {
	switch {
	case m.stopping && !m.stopped && m.idle():
		m.stopped = true
		m.emit(Stopped{})
	case m.self.Lease == 0 && !m.joining && !m.stopping && m.idle():
		m.joining = true
		m.emit(Join{})
	}
}

// idle reports whether nothing is owned and no hook runs: whether an earlier membership has ended.
func (m *Machine) idle() bool {
	for _, v := range m.volumes {
		if v.running != 0 || v.held != 0 || !v.paused {
			return false
		}
	}
	return true
}

// joined reports whether the gateway is a member and its copy is at least as new as the membership: an older one could show
// a volume as open that a plan has paused since.
func (m *Machine) joined() bool { return m.self.Lease != 0 && m.table.Revision() >= m.self.Member }

func (m *Machine) allDue() {
	for id := range m.volumes {
		m.due[id] = true
	}
	for _, kind := range []record.Kind{record.KindVolume, record.KindOwner} {
		for item := range m.table.All(kind) {
			m.due[item.Key.Volume] = true
		}
	}
}

func (m *Machine) emit(e Effect) { m.out = append(m.out, e) }

// transact asks for a transaction unless one for the same purpose is under way or failed just now. All of them hold only as
// long as the gateway is the member that asks.
func (m *Machine) transact(p purpose, txn record.Txn) {
	if !m.joined() || m.waits.blocked(p) {
		return
	}
	txn.If = append(txn.If, record.CreatedAt(record.Named(record.KindMember, m.cfg.Node), m.self.Member))
	m.emit(Transact{m.waits.begin(p), txn})
}

// JoinTxn returns the transaction that makes a gateway a member. It lifts the fence of its earlier self, which has ended.
func JoinTxn(member *record.Member) record.Txn {
	key := record.Named(record.KindMember, member.Node)
	return record.Txn{
		If:   []record.Cond{record.Absent(key)},
		Then: []record.Op{record.Put(key, member, member.Lease), record.Delete(record.Named(record.KindFence, member.Node))},
	}
}

// Administers returns the epoch at which the gateway serves a volume as its owner now. The caller must have ruled out that
// the lease has ended.
func (m *Machine) Administers(id causeway.VolumeID) (causeway.Epoch, bool) {
	v := m.volumes[id]
	if v == nil || v.held == 0 || v.paused || !m.joined() {
		return causeway.Epoch{}, false
	}
	return m.table.EpochAt(v.held), true
}

// Settled reports whether the gateway has nothing under way, and which volumes are paused at it.
func (m *Machine) Settled() (settled bool, paused []causeway.VolumeID) {
	settled = m.joined() && len(m.due) == 0 && m.waits.none() && m.master.calm(m)
	for _, id := range slices.Sorted(maps.Keys(m.volumes)) {
		settled = settled && m.volumes[id].running == 0
		if m.volumes[id].paused {
			paused = append(paused, id)
		}
	}
	return settled, paused
}
