package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"causeway/cluster/database"
	"causeway/cluster/engine"
	"causeway/cluster/record"
)

// Backup is what a configuration database holds that is not of the moment: everything but what vanishes with a gateway. It holds the
// keys of the cluster and of its volumes.
type Backup struct {
	Format   int       `json:"format"` // 1
	Taken    time.Time `json:"taken"`
	Cluster  string    `json:"cluster"`
	Revision int64     `json:"revision"`
	Records  []Backed  `json:"records"`
}

// Backed is one record, as it is stored.
type Backed struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// backed reports whether records of a kind are worth keeping: the others tell of gateways that run, or are invitations of the moment.
func backed(k record.Kind) bool {
	switch k {
	case record.KindCluster, record.KindNode, record.KindVolume, record.KindName, record.KindAssign, record.KindAuthority, record.KindSettings,
		record.KindUser, record.KindClient: // clients that believe that they hold locks must be told that they do not
		return true
	}
	return false
}

// Backup reads all records at one revision.
func (c *Cluster) Backup(ctx context.Context) (*Backup, error) {
	t, err := database.Read(ctx, c.db)
	if err != nil {
		return nil, err
	}
	b := &Backup{Format: 1, Taken: c.cfg.Now().UTC().Truncate(time.Second), Revision: t.Revision()}
	if t.Cluster() != nil {
		b.Cluster = t.Cluster().ID
	}
	for kind := record.Kind(1); kind.Known(); kind++ {
		if !backed(kind) {
			continue
		}
		for _, item := range t.Items(kind) {
			value, err := record.Encode(item.Value)
			if err != nil {
				return nil, err
			}
			b.Records = append(b.Records, Backed{item.Key.String(), value})
		}
	}
	return b, nil
}

// items decodes the records, and refuses a backup that is not whole.
func (b *Backup) items() ([]record.Op, error) {
	if b.Format != 1 {
		return nil, fmt.Errorf("backup: format %d, this version reads 1", b.Format)
	}
	var ops []record.Op
	has := make(map[record.Kind]bool)
	for _, r := range b.Records {
		key, err := record.ParseKey(r.Key)
		if err != nil {
			return nil, fmt.Errorf("backup: %w", err)
		}
		value, err := record.Decode(key, r.Value)
		if err != nil {
			return nil, fmt.Errorf("backup: %w", err)
		}
		if !backed(key.Kind) {
			return nil, fmt.Errorf("backup: %s is not of the kind that is kept", r.Key)
		}
		has[key.Kind] = true
		ops = append(ops, record.Put(key, value, 0))
	}
	if !has[record.KindCluster] || !has[record.KindAuthority] {
		return nil, errors.New("backup: no cluster or no authority in it")
	}
	return ops, nil
}

// Restore makes a database of a backup: of the state directory of the first gateway, in which there must be none yet, or in an empty one
// of others. The incarnation rises, so that no epoch of before is given out again. Of cfg it needs Node, Dir, Log, the engine's
// addresses and what concerns External. The gateway is then started as if it had been stopped; others join with a new token.
func Restore(ctx context.Context, cfg Config, b *Backup) error {
	ops, err := b.items()
	if err != nil {
		return err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Cluster{cfg: cfg, log: cfg.Log, cancel: func() {}}
	defer c.shut()
	if _, err := os.Stat(c.path(identityDir)); err == nil {
		return fmt.Errorf("%s belongs to a cluster already: restore into a state directory that does not, or move %s away", cfg.Dir, cfg.Dir)
	}
	if c.instance, err = loadInstance(cfg.Dir); err != nil {
		return err
	}
	if err := c.connectEmpty(ctx, ops); err != nil {
		return err
	}
	c.db = database.New(c.client)
	for _, op := range ops {
		switch old := op.Value.(type) {
		case *record.Cluster:
			old.Incarnation = nextIncarnation(old.Incarnation, cfg.Now())
		case *record.Client:
			old.Lost, old.Told = 0, 0 // revisions of the database that is lost
		}
	}
	if err := c.writeAll(ctx, ops); err != nil {
		return err
	}
	return c.note(func(w *whereabouts) { w.Endpoints, w.Cluster = c.client.Endpoints(), b.Cluster })
}

// connectEmpty runs a server of a new database, with a certificate of the cluster's authority, or finds the one of others.
func (c *Cluster) connectEmpty(ctx context.Context, ops []record.Op) (err error) {
	if len(c.cfg.External) > 0 {
		if err := engine.CheckEndpoints(c.cfg.External, c.cfg.ExternalTLS != nil); err != nil {
			return err
		}
		c.client, err = engine.Connect(ctx, c.cfg.External, c.cfg.ExternalTLS, c.log)
		return err
	}
	for _, op := range ops {
		a, ok := op.Value.(*record.Authority)
		if !ok {
			continue
		}
		authority, trusted, err := authorityOf(a)
		if err != nil {
			return err
		}
		if err := c.issue(authority, trusted); err != nil {
			return err
		}
	}
	if c.cfg.EnginePeer, c.cfg.EngineClient, err = engineAddresses(c.cfg.EnginePeer, c.cfg.EngineClient); err != nil {
		return err
	}
	if err := c.startServer(ctx, nil); err != nil {
		return errors.Join(err, os.RemoveAll(c.path(identityDir)))
	}
	c.client, err = engine.Connect(ctx, []string{c.server.Load().Endpoint()}, c.identity.Client(), c.log)
	return err
}

// writeAll writes the records, the one that makes it a cluster last: what is interrupted can be done again.
func (c *Cluster) writeAll(ctx context.Context, ops []record.Op) error {
	key := record.Sole(record.KindCluster)
	known, err := c.db.Get(ctx, key)
	if err != nil {
		return err
	}
	if known != nil {
		return fmt.Errorf("the configuration database holds the cluster %s: restore into an empty one", known.Value.(*record.Cluster).ID)
	}
	var last record.Op
	var txn record.Txn
	flush := func() error {
		txn.If = []record.Cond{record.Absent(key)}
		done, err := c.Transact(ctx, txn)
		if err == nil && !done {
			err = errors.New("somebody else made a cluster of the database meanwhile")
		}
		txn = record.Txn{}
		return err
	}
	for _, op := range ops {
		if op.Key == key {
			last = op
			continue
		}
		if txn.Then = append(txn.Then, op); len(txn.Then) == 16 { // a volume's record may be long
			if err := flush(); err != nil {
				return err
			}
		}
	}
	txn.Then = append(txn.Then, last)
	return flush()
}

// ParseBackup reads what was written of a Backup.
func ParseBackup(text []byte) (*Backup, error) {
	b := &Backup{}
	if err := json.Unmarshal(text, b); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	_, err := b.items()
	return b, err
}
