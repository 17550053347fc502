//go:build !linux

package address

// Conns lists the TCP connections to the held addresses: there is no way to ask for them on this system.
func (m *Manager) Conns(...uint16) ([]Conn, error) { return nil, nil }
