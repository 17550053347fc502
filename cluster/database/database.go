// Package database reads and writes records in etcd: transactions, leases, and a copy that follows.
//
// Not here: what the records mean (cluster/record), and what is done when they change (cluster/ownership).
package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"causeway/cluster/record"
)

// DB is a connection to the database. It is safe for concurrent use.
type DB struct {
	client *clientv3.Client
}

// New returns a DB on a client, which stays the caller's.
func New(client *clientv3.Client) *DB { return &DB{client} }

// Result tells what became of a transaction.
type Result struct {
	Done     bool  // all conditions held, and the operations were made
	Revision int64 // of the database when it decided
}

// Transact makes a transaction. After an error it is not known whether it was made, or will be.
func (db *DB) Transact(ctx context.Context, txn record.Txn) (Result, error) {
	cmps := make([]clientv3.Cmp, 0, len(txn.If))
	for _, c := range txn.If {
		if c.Create >= 0 {
			cmps = append(cmps, clientv3.Compare(clientv3.CreateRevision(c.Key.String()), "=", c.Create))
		}
		if c.Mod >= 0 {
			cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(c.Key.String()), "=", c.Mod))
		}
	}
	ops := make([]clientv3.Op, 0, len(txn.Then))
	for _, op := range txn.Then {
		if op.Value == nil {
			ops = append(ops, clientv3.OpDelete(op.Key.String()))
			continue
		}
		value, err := record.Encode(op.Value)
		if err != nil {
			return Result{}, err
		}
		ops = append(ops, clientv3.OpPut(op.Key.String(), string(value), clientv3.WithLease(clientv3.LeaseID(op.Lease))))
	}
	r, err := db.client.Txn(ctx).If(cmps...).Then(ops...).Commit()
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return Result{}, nil // nothing was written, and never will be
	}
	if err != nil {
		return Result{}, fmt.Errorf("configuration database: %w", err)
	}
	return Result{r.Succeeded, r.Header.Revision}, nil
}

// Get returns an item, or nil if there is none. It is never stale.
func (db *DB) Get(ctx context.Context, k record.Key) (*record.Item, error) {
	r, err := db.client.Get(ctx, k.String())
	if err != nil || len(r.Kvs) == 0 {
		return nil, err
	}
	return decode(r.Kvs[0])
}

func decode(kv *mvccpb.KeyValue) (*record.Item, error) {
	key, err := record.ParseKey(string(kv.Key))
	if err != nil {
		return nil, err
	}
	value, err := record.Decode(key, kv.Value)
	if err != nil {
		return nil, err
	}
	return &record.Item{Key: key, Value: value, Create: kv.CreateRevision, Mod: kv.ModRevision, Lease: kv.Lease}, nil
}

// Grant returns a new lease and the time to live that the database gave it, which can be more than was asked for.
func (db *DB) Grant(ctx context.Context, ttl time.Duration) (int64, time.Duration, error) {
	r, err := db.client.Grant(ctx, int64((ttl+time.Second-1)/time.Second))
	if err != nil {
		return 0, 0, err
	}
	return int64(r.ID), time.Duration(r.TTL) * time.Second, nil
}

// ErrNoLease says that a lease has ended.
var ErrNoLease = errors.New("the lease has ended")

// KeepAlive prolongs a lease once and returns its time to live, counted from a moment after the call.
func (db *DB) KeepAlive(ctx context.Context, lease int64) (time.Duration, error) {
	r, err := db.client.KeepAliveOnce(ctx, clientv3.LeaseID(lease))
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return 0, ErrNoLease
	}
	if err != nil {
		return 0, err
	}
	if r.TTL <= 0 {
		return 0, ErrNoLease
	}
	return time.Duration(r.TTL) * time.Second, nil
}

// Revoke ends a lease and removes what depends on it. A lease that has ended is no error.
func (db *DB) Revoke(ctx context.Context, lease int64) error {
	if _, err := db.client.Revoke(ctx, clientv3.LeaseID(lease)); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return err
	}
	return nil
}
