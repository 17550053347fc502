//go:build !linux

package posix

import (
	"context"

	"causeway"
	"causeway/backend"
)

// Store is a directory as a backend.Store. On this system none can be opened.
type Store struct{ backend.Store }

// Open fails with ErrNotSupp: the store needs Linux.
func Open(context.Context, string, Config) (*Store, error) {
	return nil, &causeway.Error{Op: "posix open", Code: causeway.ErrNotSupp}
}

// VolumeID returns the id that the volume was born with.
func (s *Store) VolumeID() causeway.VolumeID { return 0 }

// Stats returns counters.
func (s *Store) Stats() Stats { return Stats{} }

// SetMaxDescriptors does nothing on this system.
func (s *Store) SetMaxDescriptors(int) {}

// DropPrivileges does nothing on this system.
func DropPrivileges() error { return nil }

// Probe fails on this system.
func (s *Store) Probe(context.Context) error { return causeway.ErrNotSupp }

// ReadOnly reports whether the directory cannot be written.
func (s *Store) ReadOnly() bool { return true }

// Identity returns the way in which objects are named.
func (s *Store) Identity() Identity { return IdentityAuto }

// Coherent reports whether names may be read at any gateway.
func (s *Store) Coherent() bool { return false }

// Shareable says why several gateways must not have the volume open at once.
func (s *Store) Shareable() error { return causeway.ErrNotSupp }

// SafeInCluster says why the volume cannot be one of a cluster.
func (s *Store) SafeInCluster() error { return causeway.ErrNotSupp }
