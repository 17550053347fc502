package member

import "causeway/cluster/record"

// vanished ends at once what gateways hold whose membership this revision ends: each has died, or has stopped all I/O before. A gateway
// that was dropped may still believe that it is a member, and what it holds ends by its leases; one that has joined again says itself that it
// holds nothing of before.
func (m *Member) vanished(changes []record.Change) {
	dropped := make(map[string]bool)
	for _, c := range changes {
		if c.Key.Kind == record.KindFence && c.Item != nil {
			dropped[c.Key.Name] = true
		}
	}
	for _, c := range changes {
		name := c.Key.Name
		if c.Key.Kind != record.KindMember || name == m.cfg.Cluster.Node {
			continue
		}
		if c.Item == nil && !dropped[name] && !m.runs(name) {
			m.split.engines.Layouts.Lost(name)
		}
		if c.Item == nil || c.Item.Create == c.Item.Mod { // it may have joined again before anybody looked
			m.split.copies.sender.Gone(name)
		}
	}
}
