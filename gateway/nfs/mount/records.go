package mount

import (
	"net/netip"
	"slices"
	"sync"
)

// Record is a mount that was not taken back: advice for people, since clients die without a word.
type Record struct {
	Client netip.Addr
	Path   string
}

// mounts is a bounded set of records, oldest first.
type mounts struct {
	limit int

	mu      sync.Mutex
	records []Record
}

// Mounts returns the records, oldest first, for status.
func (s *Server) Mounts() []Record { return s.mounts.list() }

func (m *mounts) list() []Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.records)
}

func (m *mounts) add(r Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(m.records, r) {
		return
	}
	if len(m.records) >= m.limit {
		m.records = slices.Delete(m.records, 0, len(m.records)-m.limit+1)
	}
	m.records = append(m.records, r)
}

func (m *mounts) remove(r Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = slices.DeleteFunc(m.records, func(have Record) bool { return have == r })
}

func (m *mounts) removeAll(client netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = slices.DeleteFunc(m.records, func(have Record) bool { return have.Client == client })
}
