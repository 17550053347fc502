package member

import (
	"context"
	"fmt"
	"time"

	"causeway/cluster/record"
)

// seedWithin bounds how long volumes that are new to the cluster may take to be served.
const seedWithin = 20 * time.Second

// Seed makes volumes, with their ids and keys, unless the cluster has them. It returns when this gateway's clients see them. It is
// for before Serve. A volume that the cluster has is not waited for: another gateway may administer it.
func (m *Member) Seed(ctx context.Context, list []*record.Volume) error {
	ctx, cancel := context.WithTimeout(ctx, seedWithin)
	defer cancel()
	var made []*record.Volume
	for _, v := range list {
		t, key := m.Cluster().Table(), record.Of(record.KindVolume, v.ID)
		if known := t.Volume(v.ID); known != nil {
			if known.Name != v.Name {
				m.log.Warn("a volume has another name in the cluster, which counts", "volume", known.Name, "name", v.Name)
			}
			continue
		}
		if other := t.VolumeByName(v.Name); other != nil {
			return fmt.Errorf("the cluster has another volume %s: %s; name the one of %s otherwise", v.Name, other.Backend, v.Backend)
		}
		done, err := m.transact(ctx, record.CreateVolume(v), key)
		if err == nil && !done {
			err = fmt.Errorf("somebody else made the volume %s meanwhile", v.Name)
		}
		if err != nil {
			return err
		}
		made = append(made, v)
	}
	for _, v := range made {
		m.awaitServing(ctx, v.ID)
	}
	return m.publish(m.life, m.Cluster().Table())
}
