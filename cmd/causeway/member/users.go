package member

import (
	"context"
	"fmt"

	"causeway/cluster/record"
	"causeway/cmd/causeway/accounts"
	"causeway/gateway/smb/auth"
)

// Users are the accounts of the cluster, from this gateway's copy of the database.
func (m *Member) Users() auth.Users {
	return accounts.Lookup{Find: m.findUser, Key: func() (accounts.Key, error) { return m.userKey(), nil }, Fail: func(name string, err error) {
		m.log.Error("an account cannot be read", "user", name, "err", err)
	}}
}

func (m *Member) findUser(name string) *record.User {
	c := m.Cluster()
	if c == nil {
		return nil
	}
	item := c.Table().Get(record.UserKey(name))
	if item == nil {
		return nil
	}
	return item.Value.(*record.User)
}

// userKey seals the passwords of the cluster's accounts.
func (m *Member) userKey() accounts.Key { return accounts.Key(m.Secret("users")) }

func (m *Member) users(context.Context, struct{}) (any, error) {
	shown := []accounts.Shown{}
	for _, item := range m.Cluster().Table().Items(record.KindUser) {
		shown = append(shown, accounts.Show(item.Value.(*record.User)))
	}
	return shown, nil
}

// putUser makes or changes an account. When it returns, all gateways know.
func (m *Member) putUser(ctx context.Context, o accounts.Order) (any, error) {
	u, err := m.writeUser(ctx, o)
	if err != nil {
		return nil, err
	}
	return accounts.Show(u), m.Cluster().Everywhere(ctx)
}

// writeUser makes or changes an account in the database.
func (m *Member) writeUser(ctx context.Context, o accounts.Order) (*record.User, error) {
	key := record.UserKey(o.Name)
	for range 20 {
		item, txn := m.Cluster().Table().Get(key), record.Txn{}
		u, err := o.Apply(m.userKey(), m.findUser(o.Name))
		switch {
		case err != nil:
			return nil, err
		case item == nil:
			txn = record.Create(key, u, 0)
		default:
			txn = record.Update(item, u)
		}
		if done, err := m.transact(ctx, txn, key); err != nil {
			return nil, err
		} else if done {
			return u, nil
		}
	}
	return nil, errBusy
}

func (m *Member) removeUser(ctx context.Context, o Named) (any, error) {
	key := record.UserKey(o.Name)
	item := m.Cluster().Table().Get(key)
	if item == nil {
		return nil, noUser(o.Name)
	}
	done, err := m.transact(ctx, record.Remove(item), key)
	if err == nil && !done {
		err = fmt.Errorf("user %s changed meanwhile", o.Name)
	}
	if err == nil {
		err = m.Cluster().Everywhere(ctx)
	}
	return struct{}{}, err
}

// SeedUsers makes accounts that a gateway had before it was one of a cluster. Those that the cluster has stay as they are. It is
// for before Serve, so it does not wait until clients are shown the change: this gateway has none yet.
func (m *Member) SeedUsers(ctx context.Context, from accounts.Key, list []*record.User) error {
	for _, u := range list {
		if m.findUser(u.Name) != nil {
			continue
		}
		hash, err := from.Open(u.Name, u.Sealed)
		if err != nil {
			return fmt.Errorf("user %s: %w", u.Name, err)
		}
		if _, err := m.writeUser(ctx, accounts.Order{Name: u.Name, New: true, UID: &u.UID, GID: &u.GID, Groups: &u.Groups, NTHash: hash[:]}); err != nil {
			return err
		}
	}
	return nil
}

// share is what is set for a volume and SMB.
func share(v *record.Volume) record.Share {
	if v.SMB == nil {
		return record.Share{}
	}
	return *v.SMB
}

// applyShare changes that.
func (o *VolumeOrder) applyShare(v *record.Volume) {
	if o.SMB == nil && o.SMBEncrypt == nil && o.SMBUsers == nil && o.CaseSensitive == nil && o.CaseInsensitive == nil && o.Advisory == nil {
		return
	}
	s := share(v)
	if o.SMB != nil {
		s.Off = !*o.SMB
	}
	put(&s.Encrypt, o.SMBEncrypt)
	put(&s.Users, o.SMBUsers)
	put(&s.CaseSensitive, o.CaseSensitive)
	put(&s.CaseInsensitive, o.CaseInsensitive)
	put(&s.Advisory, o.Advisory)
	v.SMB = &s
}

func noUser(name string) error { return fmt.Errorf("there is no user %s", name) }
