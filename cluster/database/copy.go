package database

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"causeway/cluster/record"
	"causeway/internal/sleep"
)

// Copy holds all records in memory and follows the database. Readers need no lock.
type Copy struct {
	db  *DB
	log *slog.Logger
	now atomic.Pointer[record.Table]
	end atomic.Pointer[context.CancelFunc] // of the watch
}

// Notice tells of changes: all of a revision at once, in order, none left out. When the copy had to be read anew, one notice
// carries all that differs, at the new revision.
type Notice struct {
	Revision int64
	Changes  []record.Change
}

// Follow reads all records. Run keeps the copy up to date.
func Follow(ctx context.Context, db *DB, log *slog.Logger) (*Copy, error) {
	c := &Copy{db: db, log: log}
	c.now.Store(new(record.Table))
	t, err := c.load(ctx)
	if err != nil {
		return nil, err
	}
	c.now.Store(t)
	return c, nil
}

// Read returns all records at one revision, read now.
func Read(ctx context.Context, db *DB) (*record.Table, error) {
	return (&Copy{db: db, log: slog.New(slog.DiscardHandler)}).load(ctx)
}

// Table returns the copy as it is now. It does not change.
func (c *Copy) Table() *record.Table { return c.now.Load() }

// load reads all records at one revision, in pages.
func (c *Copy) load(ctx context.Context) (*record.Table, error) {
	const page = 2000
	t := new(record.Table)
	from, end, revision := record.Prefix, clientv3.GetPrefixRangeEnd(record.Prefix), int64(0)
	for {
		r, err := c.db.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(revision),
			clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend))
		if err != nil {
			return nil, err
		}
		if revision == 0 {
			revision = r.Header.Revision
		}
		changes := make([]record.Change, 0, len(r.Kvs))
		for _, kv := range r.Kvs {
			if item := c.item(kv); item != nil {
				changes = append(changes, record.Change{Key: item.Key, Item: item})
			}
			from = string(kv.Key) + "\x00"
		}
		t.Apply(revision, changes)
		if !r.More {
			return t, nil
		}
	}
}

// item decodes a record. What a newer version wrote and this one cannot read is left out.
func (c *Copy) item(kv *mvccpb.KeyValue) *record.Item {
	item, err := decode(kv)
	if err != nil {
		c.log.Warn("a record of the configuration database cannot be read", "key", string(kv.Key), "err", err)
		return nil
	}
	return item
}

// Run follows the database until ctx ends, and hands each notice to deliver after Table shows it.
func (c *Copy) Run(ctx context.Context, deliver func(Notice)) {
	const pause = 50 * time.Millisecond
	for ctx.Err() == nil {
		err := c.follow(ctx, deliver)
		if ctx.Err() != nil {
			return
		}
		c.log.Debug("the configuration database is followed anew", "revision", c.Table().Revision(), "err", err)
		if errors.Is(err, rpctypes.ErrCompacted) || errors.Is(err, rpctypes.ErrFutureRev) {
			c.reload(ctx, deliver)
		}
		sleep.For(ctx, pause)
	}
}

// reload reads everything again: what lies between was compacted.
func (c *Copy) reload(ctx context.Context, deliver func(Notice)) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	t, err := c.load(ctx)
	if err != nil {
		c.log.Debug("the configuration database cannot be read", "err", err)
		return
	}
	changes := c.Table().Diff(t)
	c.now.Store(t)
	deliver(Notice{t.Revision(), changes})
}

// Anew makes Run watch over another connection: the client's endpoints have changed, and a watch stays where it was made, though
// the server there may be lost without a word.
func (c *Copy) Anew() {
	if end := c.end.Load(); end != nil {
		(*end)()
	}
}

// follow watches from the revision after the copy's until the watch breaks. Only a server with a leader serves it.
func (c *Copy) follow(ctx context.Context, deliver func(Notice)) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	c.end.Store(&cancel)
	watch := c.db.client.Watch(ctx, record.Prefix, clientv3.WithPrefix(), clientv3.WithRev(c.Table().Revision()+1))
	for r := range watch {
		if err := r.Err(); err != nil {
			return err
		}
		events := r.Events
		for more := true; more && len(events) < 4096; { // a copy of the table for all that is there, not for each
			select {
			case r, more = <-watch:
				if more = more && r.Err() == nil; more {
					events = append(events, r.Events...)
				}
			default:
				more = false
			}
		}
		c.take(events, deliver)
		if err := r.Err(); err != nil {
			return err
		}
	}
	return errors.New("the watch has ended")
}

// take makes the changes of a response, revision by revision: a response holds whole revisions, several of them at times.
func (c *Copy) take(events []*clientv3.Event, deliver func(Notice)) {
	var notices []Notice
	for _, e := range events {
		key, err := record.ParseKey(string(e.Kv.Key))
		if err != nil {
			continue
		}
		change := record.Change{Key: key}
		if e.Type == clientv3.EventTypePut {
			change.Item = c.item(e.Kv)
		}
		if n := len(notices); n == 0 || notices[n-1].Revision != e.Kv.ModRevision {
			notices = append(notices, Notice{Revision: e.Kv.ModRevision})
		}
		n := &notices[len(notices)-1]
		n.Changes = append(n.Changes, change)
	}
	if len(notices) == 0 {
		return
	}
	t := c.Table()
	var all []record.Change
	for _, n := range notices {
		all = append(all, n.Changes...)
	}
	c.now.Store(t.With(notices[len(notices)-1].Revision, all))
	for _, n := range notices {
		deliver(n)
	}
}
