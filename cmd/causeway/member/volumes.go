package member

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"causeway"
	"causeway/cluster/balance"
	"causeway/cluster/record"
)

// VolumeOrder makes a volume, or changes what it does not leave out of one.
type VolumeOrder struct {
	Name            string                `json:"name"`
	Backend         string                `json:"backend,omitempty"`   // when it is made
	Exclusive       bool                  `json:"exclusive,omitempty"` // when it is made: nothing but the gateways changes it
	Weight          *uint64               `json:"weight,omitempty"`
	AutoWeight      *bool                 `json:"auto_weight,omitempty"` // it follows the measured demand
	Group           *string               `json:"group,omitempty"`
	Preferred       *string               `json:"preferred,omitempty"`
	CanMigrate      *bool                 `json:"can_migrate,omitempty"`
	Domain          *string               `json:"domain,omitempty"`
	DomainPolicy    *record.DomainPolicy  `json:"domain_policy,omitempty"`
	Async           *bool                 `json:"async,omitempty"`
	ReadOnly        *bool                 `json:"read_only,omitempty"`
	Allow           []causeway.ExportRule `json:"allow,omitempty"`
	MirrorOf        *string               `json:"mirror_of,omitempty"` // a volume that offers the same; "": it is no mirror
	SMB             *bool                 `json:"smb,omitempty"`       // over SMB too
	SMBEncrypt      *bool                 `json:"smb_encrypt,omitempty"`
	SMBUsers        *[]string             `json:"smb_users,omitempty"` // none: all
	CaseSensitive   *bool                 `json:"case_sensitive,omitempty"`
	CaseInsensitive *bool                 `json:"case_insensitive,omitempty"`
	Advisory        *bool                 `json:"advisory,omitempty"` // locks of SMB clients refuse no I/O of NFS clients
	Password        string                `json:"password,omitempty"` // of the user of a share that is the backend
	UID             uint32                `json:"uid,omitempty"`      // when it is made: owner of everything in the share
	GID             uint32                `json:"gid,omitempty"`
}

// apply changes a record.
func (o *VolumeOrder) apply(v *record.Volume) error {
	if o.Weight != nil && *o.Weight > balance.MaxVolumeWeight {
		return fmt.Errorf("weight %d is more than %d", *o.Weight, balance.MaxVolumeWeight)
	}
	put(&v.Weight, o.Weight)
	put(&v.AutoWeight, o.AutoWeight)
	put(&v.Group, o.Group)
	put(&v.Preferred, o.Preferred)
	put(&v.CanMigrate, o.CanMigrate)
	put(&v.Domain, o.Domain)
	put(&v.DomainPolicy, o.DomainPolicy)
	put(&v.Async, o.Async)
	put(&v.ReadOnly, o.ReadOnly)
	o.applyShare(v)
	if o.Allow != nil {
		v.Exports = nil
		for _, r := range o.Allow {
			v.Exports = append(v.Exports, record.ExportOf(r))
		}
	}
	return nil
}

// known refuses the name of a node that there is not: most likely it is misspelt, and the volume would quietly stay where it is.
func (o *VolumeOrder) known(t *record.Table) error {
	if o.Preferred == nil || *o.Preferred == "" || t.Node(*o.Preferred) != nil {
		return nil
	}
	return fmt.Errorf("there is no node %.80q that could be preferred", *o.Preferred)
}

// createVolume makes a volume of a backend that this gateway reaches.
func (m *Member) createVolume(ctx context.Context, o VolumeOrder) (any, error) {
	t := m.Cluster().Table()
	if t.VolumeByName(o.Name) != nil {
		return nil, fmt.Errorf("there is a volume %s already", o.Name)
	}
	for item := range t.All(record.KindVolume) {
		if v := item.Value.(*record.Volume); v.Backend == o.Backend {
			return nil, fmt.Errorf("%s is the volume %s already", o.Backend, v.Name)
		}
	}
	v := &record.Volume{Name: o.Name, ID: 1, Backend: o.Backend, Exclusive: o.Exclusive, Weight: 1, CanMigrate: true, Domain: record.AllDomain,
		DomainPolicy: record.Reach, Keys: []record.HandleKey{{ID: 1}}}
	rand.Read(v.Keys[0].Secret[:]) // never fails
	if err := errors.Join(o.known(t), o.apply(v), o.mirror(t, v), v.Validate(), m.applyStorage(&o, v, true)); err != nil {
		return nil, err
	}
	at, err := m.storageOf(v)
	if err != nil {
		return nil, err
	}
	if v.ID, err = m.cfg.Volumes.Identify(ctx, at); err != nil {
		return nil, err
	}
	if other := t.Volume(v.ID); other != nil {
		return nil, fmt.Errorf("%s is the volume %s already, by another name: %s", o.Backend, other.Name, other.Backend)
	}
	if dir, err := Place(o.Backend); err == nil {
		if err := vouch(dir, t); err != nil {
			m.log.Warn("other gateways cannot be shown that they have the same file system", "volume", o.Name, "err", err)
		}
	}
	done, err := m.transact(ctx, record.CreateVolume(v), record.Of(record.KindVolume, v.ID))
	if err == nil && !done {
		err = fmt.Errorf("somebody else made the volume %s, or one of %s, meanwhile", o.Name, o.Backend)
	}
	if err != nil {
		return nil, err
	}
	m.awaitServing(ctx, v.ID)
	if err := m.Cluster().Everywhere(ctx); err != nil {
		return nil, err
	}
	return m.volume(ctx, o.Name)
}

// awaitServing gives a volume some time to find an owner.
func (m *Member) awaitServing(ctx context.Context, id causeway.VolumeID) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if owner, _ := m.Cluster().Table().Owner(id); owner != nil && owner.Serving {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// volume is what status says of one.
func (m *Member) volume(ctx context.Context, name string) (any, error) {
	for _, v := range m.Status(ctx).Volumes {
		if v.Name == name {
			return v, nil
		}
	}
	return nil, fmt.Errorf("volume %s: %w", name, causeway.ErrNoEnt)
}

func (m *Member) setVolume(ctx context.Context, o VolumeOrder) (any, error) {
	v := m.Cluster().Table().VolumeByName(o.Name)
	if v == nil {
		return nil, fmt.Errorf("volume %s: %w", o.Name, causeway.ErrNoEnt)
	}
	if err := o.known(m.Cluster().Table()); err != nil {
		return nil, err
	}
	err := m.change(ctx, record.Of(record.KindVolume, v.ID), func(r record.Record) (record.Record, error) {
		next := *r.(*record.Volume)
		return &next, errors.Join(o.apply(&next), o.mirror(m.Cluster().Table(), &next), m.applyStorage(&o, &next, false))
	})
	if err == nil {
		err = m.Cluster().Everywhere(ctx)
	}
	if err != nil {
		return nil, err
	}
	return m.volume(ctx, o.Name)
}

// removeVolume forgets a volume. Its files stay.
func (m *Member) removeVolume(ctx context.Context, o Named) (any, error) {
	t := m.Cluster().Table()
	v := t.VolumeByName(o.Name)
	if v == nil {
		return nil, fmt.Errorf("volume %s: %w", o.Name, causeway.ErrNoEnt)
	}
	if mirrors := mirrorsOf(t, v.ID); len(mirrors) > 0 {
		return nil, fmt.Errorf("volume %s has the mirror %s: causeway volume set %s --mirror-of '' ends that", o.Name, mirrors[0], mirrors[0])
	}
	key := record.Of(record.KindVolume, v.ID)
	done, err := m.transact(ctx, record.RemoveVolume(t.Get(key)), key)
	if err == nil && !done {
		err = fmt.Errorf("volume %s changed meanwhile", o.Name)
	}
	if err == nil {
		err = m.Cluster().Everywhere(ctx)
	}
	return struct{}{}, err
}

// Place returns the directory of a backend "posix:DIR".
func Place(backend string) (string, error) {
	dir, ok := strings.CutPrefix(backend, "posix:")
	if !ok || !strings.HasPrefix(dir, "/") {
		return "", fmt.Errorf("the backend %q is neither posix:/DIR nor smb://user@host/share", backend)
	}
	return dir, nil
}
