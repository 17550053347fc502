package ownership

import (
	"maps"
	"slices"
	"time"

	"causeway"
	"causeway/cluster/record"
)

// volume is what the gateway does with one volume. Everything else about it stands in the table.
type volume struct {
	paused  bool
	held    int64         // create revision of the owner key under which the volume was acquired; 0: not
	given   int64         // the same, of an ownership that was given up: it is never taken again
	running Hook          // one at a time
	epoch   int64         // the revision for which it runs
	refused time.Duration // until when Acquire is not tried again; 0: no refusal
	reason  string
}

// advance does the next step for one volume.
func (m *Machine) advance(id causeway.VolumeID) {
	v := m.volumes[id]
	if v == nil {
		if m.table.Volume(id) == nil && m.table.Get(record.Of(record.KindOwner, id)) == nil {
			return
		}
		v = &volume{paused: true}
		m.volumes[id] = v
	}
	if v.running != 0 {
		return
	}
	owner, epoch := m.table.Owner(id)
	mine := m.joined() && owner != nil && owner.Node == m.cfg.Node && owner.Incarnation == m.self.Incarnation
	keep := mine && !m.stopping && m.table.Volume(id) != nil && v.given != epoch
	open := m.joined() && !m.stopping && owner != nil && owner.Serving && m.table.Volume(id) != nil && !m.moving[id]
	switch {
	case !open && !v.paused || v.held != 0 && !(keep && v.held == epoch) && !v.paused:
		m.run(id, v, Pause, 0)
	case v.held != 0 && !(keep && v.held == epoch):
		m.run(id, v, Release, v.held)
	case mine && m.stopping: // the key goes with the lease
	case mine && !keep:
		v.given = epoch
		m.giveUp(id, v)
	case mine && v.held != epoch:
		m.run(id, v, Acquire, epoch)
	case mine && !owner.Serving:
		m.announce(id, epoch)
	case open && v.paused:
		m.run(id, v, Resume, epoch)
	case owner == nil:
		m.claim(id, v)
	}
	if v.paused && v.running == 0 && v.held == 0 && m.table.Volume(id) == nil && owner == nil {
		delete(m.volumes, id)
	}
}

func (m *Machine) run(id causeway.VolumeID, v *volume, h Hook, epoch int64) {
	v.running, v.epoch = h, epoch
	hook := RunHook{Volume: id, Hook: h}
	if epoch != 0 {
		hook.Epoch = m.table.EpochAt(epoch)
	}
	m.emit(hook)
}

func (m *Machine) hookDone(e HookDone) {
	v := m.volumes[e.Volume]
	if v == nil || v.running != e.Hook {
		return
	}
	v.running = 0
	m.due[e.Volume] = true
	switch e.Hook {
	case Pause:
		v.paused = true
	case Resume:
		v.paused = false
	case Release:
		v.held = 0
	case Acquire:
		if e.Failed == "" {
			v.held = v.epoch
			return
		}
		v.given, v.refused, v.reason = v.epoch, m.now+m.cfg.RefuseFor, e.Failed
		m.refusing[e.Volume] = true
	}
}

// claim makes the owner key, if the volume was assigned to this gateway. The conditions repeat what was looked at here.
func (m *Machine) claim(id causeway.VolumeID, v *volume) {
	vol, node := m.table.Volume(id), m.table.Node(m.cfg.Node)
	if m.stopping || m.table.Assigned(id) != m.cfg.Node || vol == nil || node == nil || !record.SharesDomain(node, vol) {
		return
	}
	if refusal := record.Refused(id, m.cfg.Node); m.table.Get(refusal) != nil {
		return
	} else if v.refused > m.now { // the record went with an earlier lease
		m.transact(purpose{"refuse", id, ""}, record.Txn{Then: []record.Op{m.refusal(id, v)}})
		return
	}
	key, assign := record.Of(record.KindOwner, id), record.Of(record.KindAssign, id)
	volume, self := record.Of(record.KindVolume, id), record.Named(record.KindNode, m.cfg.Node)
	m.transact(purpose{"claim", id, ""}, record.Txn{
		If: []record.Cond{record.Absent(key), record.Unchanged(assign, m.table.Mod(assign)),
			record.Unchanged(volume, m.table.Mod(volume)), record.Unchanged(self, m.table.Mod(self))},
		Then: []record.Op{record.Put(key, &record.Owner{Node: m.cfg.Node, Incarnation: m.self.Incarnation}, m.self.Lease)},
	})
}

// announce says that the volume was taken over.
func (m *Machine) announce(id causeway.VolumeID, epoch int64) {
	key := record.Of(record.KindOwner, id)
	m.transact(purpose{"announce", id, ""}, record.Txn{
		If:   []record.Cond{record.CreatedAt(key, epoch)},
		Then: []record.Op{record.Put(key, &record.Owner{Node: m.cfg.Node, Incarnation: m.self.Incarnation, Serving: true}, m.self.Lease)},
	})
}

// giveUp ends an ownership, with the reason if the volume could not be taken over.
func (m *Machine) giveUp(id causeway.VolumeID, v *volume) {
	key := record.Of(record.KindOwner, id)
	txn := record.Txn{If: []record.Cond{record.CreatedAt(key, v.given)}, Then: []record.Op{record.Delete(key)}}
	if v.refused > m.now {
		txn.Then = append(txn.Then, m.refusal(id, v))
	}
	m.transact(purpose{"give up", id, ""}, txn)
}

func (m *Machine) refusal(id causeway.VolumeID, v *volume) record.Op {
	return record.Put(record.Refused(id, m.cfg.Node), &record.Refusal{Reason: v.reason}, m.self.Lease)
}

// lift ends refusals whose time is over.
func (m *Machine) lift() {
	for _, id := range slices.Sorted(maps.Keys(m.refusing)) {
		v, key := m.volumes[id], record.Refused(id, m.cfg.Node)
		switch {
		case v != nil && v.refused > m.now:
		case m.table.Get(key) == nil:
			delete(m.refusing, id)
			m.due[id] = true
		default:
			m.transact(purpose{"lift", id, ""}, record.Txn{Then: []record.Op{record.Delete(key)}})
		}
	}
}

// confirm says that all volumes of the plan are paused here.
func (m *Machine) confirm() {
	item := m.table.Get(record.Sole(record.KindPlan))
	if item == nil || !m.joined() {
		return
	}
	key := record.Named(record.KindConfirm, m.cfg.Node)
	if c := m.table.Get(key); c != nil && c.Value.(*record.Confirm).Plan == item.Mod {
		return
	}
	for id := range m.moving {
		if v := m.volumes[id]; v != nil && (!v.paused || v.running == Resume) {
			return
		}
	}
	m.transact(purpose{"confirm", 0, ""}, record.Txn{
		If:   []record.Cond{record.Unchanged(record.Sole(record.KindPlan), item.Mod)},
		Then: []record.Op{record.Put(key, &record.Confirm{Node: m.cfg.Node, Plan: item.Mod}, m.self.Lease)},
	})
}
