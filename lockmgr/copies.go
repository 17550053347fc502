package lockmgr

import (
	"time"

	"causeway"
)

// Observer is told what was taken (or changed) and given up, in order, before the call that did it returns. It may block.
type Observer func([]causeway.Held)

// Observe registers the observer. It is called once, before the first request.
func (m *Manager) Observe(o Observer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.observer = o
	m.table.ObserveChanges()
}

// tell tells the observer all that it has not been told. Whoever finds nothing left waited until another call had told it.
func (m *Manager) tell() {
	m.telling.Lock()
	defer m.telling.Unlock()
	m.mu.Lock()
	batch, observer := m.untold, m.observer
	m.untold = nil
	m.mu.Unlock()
	if len(batch) > 0 && observer != nil {
		observer(batch)
	}
}

// Held lists what is held in a volume by clients of a gateway, or of all if it is empty.
func (m *Manager) Held(v causeway.VolumeID, gateway string) []causeway.Held {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.HeldIn(v, gateway)
}

// AssertHeld takes back what an earlier owner of the volume had granted, with or without a grace period, and returns what
// contradicts it. Opens come before leases, whatever the order of the list.
func (m *Manager) AssertHeld(list []causeway.Held) (refused []causeway.Held) {
	m.step(func() {
		for _, kind := range []causeway.HeldKind{causeway.HeldOpen, causeway.HeldLease, causeway.HeldLock} {
			for i := range list {
				if list[i].Kind == kind && m.table.AssertHeld(&list[i]) != causeway.OK {
					refused = append(refused, list[i])
				}
			}
		}
	})
	return refused
}

// Apply applies changes that another manager's observer was told, in order: so this one becomes its copy.
func (m *Manager) Apply(changes []causeway.Held) {
	m.step(func() {
		for i := range changes {
			if changes[i].Gone {
				m.table.Forget(&changes[i])
			} else {
				m.table.AssertHeld(&changes[i])
			}
		}
	})
}

// ReleaseGateway says that a gateway died, see [table.Table.ReleaseGateway].
func (m *Manager) ReleaseGateway(v causeway.VolumeID, gateway string) {
	m.step(func() { m.table.ReleaseGateway(v, gateway, m.orphaned) })
}

// Died says that a gateway has died, see [table.Table.Died].
func (m *Manager) Died(gateway string) {
	if m.opens.Load() > 0 {
		m.step(func() { m.table.Died(gateway) })
	}
}

// Adopt says that a client's requests come through another gateway from now on.
func (m *Manager) Adopt(c Client, gateway string) {
	m.step(func() { m.table.Adopt(c, gateway) })
}

// Drop forgets a volume whose ownership has left.
func (m *Manager) Drop(v causeway.VolumeID) {
	m.step(func() { m.table.Drop(v) })
}

// BeginGrace opens the grace period of one volume whose state was lost with all its copies, see Config; none if there are no clients.
func (m *Manager) BeginGrace(v causeway.VolumeID, known []Client, grace, settle time.Duration) {
	m.step(func() { m.table.BeginGrace(v, known, ticks(grace), ticks(settle)) })
}
