package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"causeway"
	"causeway/cluster/record"
	"causeway/internal/sleep"
)

// errBusy says that others changed a record again and again.
var errBusy = errors.New("others change the same record all the time")

// errNoAnswer says that nobody knows whether a transaction was made.
var errNoAnswer = errors.New("the configuration database does not answer")

// insist makes a change that may be made twice until the database answers: it may lose a server, or its leader, at any time.
func (m *Member) insist(ctx context.Context, change func() error) error {
	for told := false; ; told = true {
		err := change()
		if !errors.Is(err, errNoAnswer) {
			return err
		}
		if !told {
			m.log.Warn("waiting for the configuration database", "err", err)
		}
		if !sleep.For(ctx, 100*time.Millisecond) {
			return err
		}
	}
}

// change replaces a record by what edit makes of a copy of it, and returns when this gateway's copy shows it.
func (m *Member) change(ctx context.Context, key record.Key, edit func(record.Record) (record.Record, error)) error {
	for range 20 {
		item := m.Cluster().Table().Get(key)
		if item == nil {
			return fmt.Errorf("%s %s: %w", key.Kind, key.Name, causeway.ErrNoEnt)
		}
		next, err := edit(item.Value)
		if err != nil {
			return err
		}
		if err := next.Validate(); err != nil {
			return err
		}
		done, err := m.transact(ctx, record.Update(item, next), key)
		if done || err != nil {
			return err
		}
	}
	return errBusy
}

// transact makes a transaction that writes or deletes key, and returns when this gateway's copy shows that, or what was there instead.
func (m *Member) transact(ctx context.Context, txn record.Txn, key record.Key) (bool, error) {
	c := m.Cluster()
	before := c.Table().Mod(key)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	done, err := c.Transact(ctx, txn)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	for c.Table().Mod(key) == before {
		if !sleep.For(ctx, 2*time.Millisecond) {
			return done, nil // refused for another reason, or the copy lags
		}
		if !done {
			time.Sleep(20 * time.Millisecond)
			break
		}
	}
	return done, nil
}
