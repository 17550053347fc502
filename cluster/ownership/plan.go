package ownership

import (
	"causeway/cluster/record"
)

// advancePlan brings a plan to its end: published when all have confirmed, given up when somebody has not in time, or when it
// is another master's.
func (s *master) advancePlan(m *Machine, plan *record.Item) {
	if plan.Lease != m.self.Lease {
		s.abandon(m, plan)
		return
	}
	if s.plan != plan.Mod {
		s.plan, s.deadline = plan.Mod, m.now+m.cfg.ConfirmWithin
	}
	late := unconfirmed(m, plan)
	switch {
	case len(late) == 0 && len(s.fences) == 0:
		s.publish(m, plan)
	case m.now >= s.deadline:
		for _, member := range late {
			s.drop(m, member)
		}
		s.abandon(m, plan)
	case len(s.fences) > 0:
		s.abandon(m, plan)
	}
}

// unconfirmed returns the members that have not said that they paused the plan's volumes. Who joined after the plan was made
// starts with all volumes paused and the plan in its copy.
func unconfirmed(m *Machine, plan *record.Item) []*record.Item {
	var late []*record.Item
	for _, member := range m.table.Items(record.KindMember) {
		c := m.table.Get(record.Named(record.KindConfirm, member.Key.Name))
		if member.Create < plan.Mod && (c == nil || c.Value.(*record.Confirm).Plan != plan.Mod) {
			late = append(late, member)
		}
	}
	return late
}

// publish makes the new owners known and ends the old ownerships, all or nothing.
func (s *master) publish(m *Machine, plan *record.Item) {
	txn := record.Txn{If: []record.Cond{record.Unchanged(plan.Key, plan.Mod)}, Then: []record.Op{record.Delete(plan.Key)}}
	for _, move := range plan.Value.(*record.Plan).Moves {
		vol := m.table.Volume(move.Volume)
		if vol == nil || s.target(m, vol, move.To) != move.To {
			s.abandon(m, plan)
			return
		}
		owner, assign := record.Of(record.KindOwner, move.Volume), record.Of(record.KindAssign, move.Volume)
		txn.If = append(txn.If, record.CreatedAt(owner, move.Owner))
		txn.Then = append(txn.Then, record.Delete(owner))
		if move.To == "" {
			txn.Then = append(txn.Then, record.Delete(assign))
		} else {
			txn.Then = append(txn.Then, record.Put(assign, &record.Assign{Node: move.To}, 0))
		}
	}
	if m.waits.blocked(purpose{what: "publish"}) {
		if s.changed { // the last attempt was refused: an owner has died meanwhile
			s.abandon(m, plan)
		}
		return
	}
	s.transact(m, purpose{what: "publish"}, txn)
}

func (s *master) abandon(m *Machine, plan *record.Item) {
	s.changed = true
	s.transact(m, purpose{what: "abandon"}, record.Remove(plan))
}

// drop ends a node's membership. From then on no write of its succeeds; what it does to storage ends with its lease.
func (s *master) drop(m *Machine, item *record.Item) {
	member := item.Value.(*record.Member)
	f := &record.Fence{Node: member.Node, Incarnation: member.Incarnation, Lease: member.Lease, Reason: "did not confirm that volumes were paused"}
	s.transact(m, purpose{what: "drop", node: member.Node}, record.Txn{
		If:   []record.Cond{record.CreatedAt(item.Key, item.Create)},
		Then: []record.Op{record.Put(record.Named(record.KindFence, member.Node), f, 0), record.Delete(item.Key)},
	})
}

// advanceFences revokes the leases of dropped nodes and lifts the fences when the nodes have stopped by themselves.
func (s *master) advanceFences(m *Machine) {
	for name, f := range s.fences {
		if m.table.Mod(record.Named(record.KindFence, name)) != f.mod {
			delete(s.fences, name)
		}
	}
	for _, item := range m.table.Items(record.KindFence) {
		f := s.fences[item.Key.Name]
		if f == nil {
			f = &fence{mod: item.Mod, lease: item.Value.(*record.Fence).Lease}
			s.fences[item.Key.Name] = f
		}
		switch {
		case f.revoked && m.now >= f.safe:
			s.transact(m, purpose{what: "lift", node: item.Key.Name}, record.Remove(item))
		case !f.revoked && !f.asked && m.now >= f.again:
			f.asked = true
			m.emit(Revoke{f.lease})
		}
	}
}

// revoked notes that a lease has ended: its holder's last keep-alive was sent before.
func (s *master) revoked(m *Machine, e Revoked) {
	for _, f := range s.fences {
		if f.lease == e.Lease && f.asked && !f.revoked {
			f.asked, f.revoked, f.safe, f.again = false, e.OK, m.now+m.cfg.LeaseTTL, m.now+m.cfg.Retry
		}
	}
}
