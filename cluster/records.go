package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"causeway/cluster/pki"
	"causeway/cluster/record"
)

// ErrOtherCluster says that a database is not the one of this gateway's cluster.
var ErrOtherCluster = errors.New("the configuration database is another cluster's")

// found writes the records that make a database a cluster's, if this gateway was asked to, or if it is a database of others that holds
// no cluster. From such a database, which admits this gateway by its own means, it has its certificate too.
func (c *Cluster) found(ctx context.Context) error {
	data, err := os.ReadFile(c.path(foundingFile))
	founding := err == nil
	if !founding && len(c.cfg.External) == 0 {
		return nil
	}
	known, err := c.db.Get(ctx, record.Sole(record.KindCluster))
	if err != nil {
		return err
	}
	if known == nil {
		if err := c.foundOn(ctx, data); err != nil {
			return err
		}
	}
	if founding {
		return os.Remove(c.path(foundingFile))
	}
	return c.enrol(ctx)
}

// foundOn makes a cluster of a database that holds none. PEM is of its authority, made now if there is none.
func (c *Cluster) foundOn(ctx context.Context, pem []byte) error {
	where, err := c.recall()
	if err != nil {
		return err
	}
	if where.Cluster != "" {
		return fmt.Errorf("the configuration database holds no cluster, and this gateway belongs to %s: it was emptied, or is not the right one; "+
			"causeway cluster restore brings a backup back", where.Cluster)
	}
	certificate, key, _ := strings.Cut(string(pem), "-----BEGIN EC")
	key = "-----BEGIN EC" + key
	if len(pem) == 0 {
		authority, err := pki.NewAuthority(newID(), c.cfg.Now())
		if err != nil {
			return err
		}
		certificate, key = authority.PEM()
	}
	txn := record.Create(record.Sole(record.KindCluster), newCluster(newID(), 1), 0)
	issuers := []record.Issuer{{Certificate: certificate, Key: key}}
	txn.Then = append(txn.Then, record.Put(record.Sole(record.KindAuthority), &record.Authority{Issuers: issuers}, 0))
	_, err = c.db.Transact(ctx, txn) // not done: somebody else made one at the same time
	return err
}

func newCluster(id string, incarnation uint64) *record.Cluster {
	r := &record.Cluster{ID: id, Incarnation: incarnation, MinVersion: OldestProtocol, Secret: make([]byte, 32)}
	rand.Read(r.Secret) // never fails
	return r
}

// enrol gives this gateway a certificate of the authority that stands in a database of others.
func (c *Cluster) enrol(ctx context.Context) error {
	authority, trusted, _, err := c.authority(ctx)
	if err != nil {
		return err
	}
	if c.identity, err = pki.Open(c.path(identityDir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if c.identity != nil && c.follows(authority, trusted) && !c.identity.Due(c.cfg.Now()) {
		return nil
	}
	c.identity = nil
	return c.issue(authority, trusted)
}

// recognise refuses the database of another cluster, and raises the incarnation when the database was set back: epochs that were given
// out after the backup from which it was restored must stay below those that follow.
func (c *Cluster) recognise(ctx context.Context) error {
	where, err := c.recall()
	if err != nil {
		return err
	}
	item := c.Table().Get(record.Sole(record.KindCluster))
	if item == nil {
		return errors.New("the configuration database holds no cluster")
	}
	cluster := *item.Value.(*record.Cluster)
	if where.Cluster != "" && where.Cluster != cluster.ID {
		return fmt.Errorf("%w: it is of %s, and this gateway belongs to %s", ErrOtherCluster, cluster.ID, where.Cluster)
	}
	if revision := c.Table().Revision(); revision < where.Revision {
		cluster.Incarnation = nextIncarnation(cluster.Incarnation, c.cfg.Now())
		done, err := c.Transact(ctx, record.Update(item, &cluster))
		if err != nil {
			return err
		}
		c.log.Warn("the configuration database was set back, by a restore it seems: all epochs are raised above those of before",
			"revision", revision, "before", where.Revision, "incarnation", cluster.Incarnation, "done", done)
	}
	return c.noteRevision()
}

// noteRevision remembers whose the database is and how far it has come.
func (c *Cluster) noteRevision() error {
	t := c.Table()
	return c.note(func(w *whereabouts) { w.Cluster, w.Revision = t.Cluster().ID, t.Revision() })
}

// nextIncarnation is higher than the one before, and than any that another restore of the same backup may have chosen earlier.
func nextIncarnation(before uint64, now time.Time) uint64 {
	return max(before+1, uint64(max(now.Unix(), 0)))
}
