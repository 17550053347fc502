package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"causeway/cluster/record"
	"causeway/cmd/causeway/member"
)

// seed makes the volumes of the command line and the file volumes of the cluster, if they are none yet: with the ids and keys that
// they had while the gateway served them alone, so that clients keep their handles. What the cluster has already stays as it is.
func (j *joining) seed(ctx context.Context) error {
	var all []*record.Volume
	for i := range j.config.Volumes {
		spec := &j.config.Volumes[i]
		r, at := seedRecord(spec), member.Storage{}
		if at.Backend = r.Backend; at.IsShare() {
			var err error
			if at.Password, err = readPasswordFile(spec.PasswordFile); err != nil {
				return fmt.Errorf("volume %s: %w", spec.Name, err)
			}
			at.UID, at.GID = spec.UID, spec.GID
			j.member.Keep(r, at)
		}
		id, err := newClusterVolumes(j.volumes).Identify(ctx, at)
		if err != nil {
			return fmt.Errorf("volume %s: %w", spec.Name, err)
		}
		known, err := j.state.Bind(id, spec.Name, spec.Path, time.Now())
		if err != nil {
			return err
		}
		r.ID, r.Keys = id, nil
		for _, k := range known.Keys {
			r.Keys = append(r.Keys, record.HandleKey{ID: k.ID, Secret: k.Secret})
		}
		all = append(all, r)
	}
	return errors.Join(j.member.Seed(ctx, all), j.seedUsers(ctx))
}
