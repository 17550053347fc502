package member

import (
	"context"
	"errors"

	"causeway/cluster"
)

// Rotated tells how far a rotation of the certificate authority came.
type Rotated struct {
	Done bool   `json:"done"`
	Note string `json:"note,omitempty"` // what is left to do
}

// rotateAuthority replaces the cluster's certificate authority.
func (m *Member) rotateAuthority(ctx context.Context, _ struct{}) (any, error) {
	err := m.Cluster().RotateAuthority(ctx)
	if errors.Is(err, cluster.ErrOldTrusted) {
		return Rotated{Note: err.Error()}, nil
	}
	return Rotated{Done: err == nil}, err
}

func (m *Member) backup(ctx context.Context, _ struct{}) (any, error) { return m.Cluster().Backup(ctx) }
