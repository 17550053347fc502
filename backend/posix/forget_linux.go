package posix

import (
	"causeway"
	"causeway/backend"
)

var _ backend.Forgetter = (*Store)(nil)

// Forget implements backend.Forgetter: an exclusive volume is changed by several gateways, and what another one changes is
// forgotten here.
func (s *Store) Forget(id causeway.ObjectID) {
	switch {
	case s.memory == nil:
	case id.IsZero():
		s.memory.forget()
	default:
		if ino, ok := s.identity.inoOf(id); ok {
			s.memory.begin(ino) // as if it changed in this moment
			s.memory.end(ino)
		}
	}
}

// forget forgets everything. Names and listings are worth nothing without the serials and versions of their objects.
func (m *memory) forget() {
	for i := range m.shards {
		sh := &m.shards[i]
		sh.mu.Lock()
		sh.changed = m.clock.Add(1)
		clear(sh.slots)
		clear(sh.entries)
		sh.entries, sh.hand = sh.entries[:0], 0
		sh.mu.Unlock()
	}
	for i := range m.versions {
		m.versions[i].Add(1)
	}
}
