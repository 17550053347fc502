package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"causeway/cluster/pki"
	"causeway/cluster/record"
	"causeway/internal/sleep"
)

// renewEvery is how often a gateway looks whether its certificate is due, or the authorities have changed.
const renewEvery = 500 * time.Millisecond

// renew replaces the certificate in time, and follows the authorities.
func (c *Cluster) renew(ctx context.Context) {
	if c.identity == nil {
		return
	}
	failed := time.Duration(0)
	for ; ctx.Err() == nil; sleep.For(ctx, renewEvery) {
		stale := c.Table().Mod(record.Sole(record.KindAuthority)) > c.trusted.Load()
		if !stale && !c.identity.Due(c.cfg.Now()) || failed != 0 && c.cfg.Clock() < failed+10*time.Second {
			continue
		}
		if failed = 0; c.reissue(ctx) != nil {
			failed = c.cfg.Clock()
		}
	}
}

// reissue brings this gateway's certificate and the authorities that it trusts to what the records say. Running servers read them at
// the next handshake.
func (c *Cluster) reissue(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	authority, trusted, item, err := c.authority(ctx)
	if err == nil && (!c.follows(authority, trusted) || c.identity.Due(c.cfg.Now())) {
		if err = c.issue(authority, trusted); err == nil {
			c.log.Info("a new certificate", "until", c.identity.Certificate().NotAfter)
		}
	}
	if err != nil {
		c.log.Warn("cannot renew the certificate", "until", c.identity.Certificate().NotAfter, "err", err)
		return err
	}
	c.trusted.Store(item.Mod)
	return nil
}

// follows reports whether this gateway's certificate is of the authority that issues, and what it trusts is what is to be trusted.
func (c *Cluster) follows(authority *pki.Authority, trusted []byte) bool {
	now, err := os.ReadFile(c.identity.AuthorityFile())
	return err == nil && bytes.Equal(now, trusted) && c.identity.Certificate().CheckSignatureFrom(authority.Certificate) == nil
}

// ErrOldTrusted says that a rotation is not over: the old authority is trusted yet, for gateways that are not there.
var ErrOldTrusted = errors.New("the old authority stays trusted")

// RotateAuthority makes a new certificate authority, from which all gateways get new certificates, and ends the trust in the old one.
// Connections are not interrupted. Where a node does not run the old one stays trusted, so that it can come back (ErrOldTrusted); the
// next call then only ends that. Join tokens end.
func (c *Cluster) RotateAuthority(ctx context.Context) error {
	old, _, item, err := c.authority(ctx)
	if err != nil {
		return err
	}
	a := *item.Value.(*record.Authority)
	if len(a.Issuers) == 1 {
		next, err := old.Succeed(c.cfg.Now())
		if err != nil {
			return err
		}
		certificate, key := next.PEM()
		a.Issuers = append([]record.Issuer{{Certificate: certificate, Key: key, Crosses: next.Crosses}}, a.Issuers...)
		if item, err = c.writeAuthority(ctx, item, &a); err != nil {
			return err
		}
		c.log.Info("a new certificate authority issues")
	}
	if err := c.everywhereAt(ctx, item.Mod); err != nil {
		return err
	}
	var away []string
	for _, n := range c.Table().Items(record.KindNode) {
		if m, _ := c.Table().Member(n.Key.Name); m == nil {
			away = append(away, n.Key.Name)
		}
	}
	if len(away) > 0 {
		return fmt.Errorf("%w until %s runs again, or is removed: then give the command again", ErrOldTrusted, strings.Join(away, ", "))
	}
	b := a
	b.Issuers = slices.Clone(a.Issuers[:1])
	if item, err = c.writeAuthority(ctx, item, &b); err != nil {
		return err
	}
	c.log.Info("the old certificate authority is not trusted any more")
	return c.everywhereAt(ctx, item.Mod)
}

// writeAuthority replaces the authorities, and ends the join tokens, which name the old one.
func (c *Cluster) writeAuthority(ctx context.Context, old *record.Item, a *record.Authority) (*record.Item, error) {
	txn := record.Update(old, a)
	for i, item := range c.Table().Items(record.KindToken) {
		if i < record.MaxOps-10 {
			txn.Then = append(txn.Then, record.Delete(item.Key))
		}
	}
	done, err := c.Transact(ctx, txn)
	if err == nil && !done {
		err = errors.New("somebody else changes the certificate authority")
	}
	if err != nil {
		return nil, err
	}
	return c.db.Get(ctx, old.Key)
}
