package database

import (
	"context"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"

	"causeway"
	"causeway/cluster/record"
	"causeway/internal/testport"
)

// open starts a database of one server, without TLS, that only this test reaches.
func open(t *testing.T) *DB {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(t.TempDir(), "etcd")
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	for _, urls := range []*[]url.URL{&cfg.ListenPeerUrls, &cfg.ListenClientUrls} {
		*urls = []url.URL{{Scheme: "http", Host: testport.Free(t)}}
	}
	cfg.AdvertisePeerUrls, cfg.AdvertiseClientUrls = cfg.ListenPeerUrls, cfg.ListenClientUrls
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	<-e.Server.ReadyNotify()
	client := v3client.New(e.Server)
	t.Cleanup(func() {
		client.Close()
		e.Close()
	})
	return New(client)
}

func assign(id causeway.VolumeID) record.Key { return record.Of(record.KindAssign, id) }

func TestTransactions(t *testing.T) {
	db, ctx := open(t), t.Context()
	k := assign(1)
	r, err := db.Transact(ctx, record.Create(k, &record.Assign{Node: "a"}, 0))
	if err != nil || !r.Done {
		t.Fatal(r, err)
	}
	if again, err := db.Transact(ctx, record.Create(k, &record.Assign{Node: "b"}, 0)); err != nil || again.Done {
		t.Error("created twice", err)
	}
	item, err := db.Get(ctx, k)
	if err != nil || item.Create != r.Revision || item.Value.(*record.Assign).Node != "a" {
		t.Fatal(item, err)
	}
	if r, err := db.Transact(ctx, record.Update(item, &record.Assign{Node: "b"})); err != nil || !r.Done {
		t.Error(r, err)
	}
	if r, err := db.Transact(ctx, record.Update(item, &record.Assign{Node: "c"})); err != nil || r.Done {
		t.Error("an old item was updated", err)
	}
	if r, err := db.Transact(ctx, record.Remove(item)); err != nil || r.Done {
		t.Error("an old item was removed", err)
	}
	if r, err := db.Transact(ctx, record.Txn{If: []record.Cond{record.CreatedAt(k, item.Create)}, Then: []record.Op{record.Delete(k)}}); err != nil || !r.Done {
		t.Error("the create revision changed", err)
	}
}

func TestLeases(t *testing.T) {
	db, ctx := open(t), t.Context()
	lease, ttl, err := db.Grant(ctx, 2*time.Second)
	if err != nil || ttl != 2*time.Second {
		t.Fatal(ttl, err)
	}
	if r, err := db.Transact(ctx, record.Create(assign(1), &record.Assign{Node: "a"}, lease)); err != nil || !r.Done {
		t.Fatal(r, err)
	}
	if ttl, err := db.KeepAlive(ctx, lease); err != nil || ttl != 2*time.Second {
		t.Error(ttl, err)
	}
	for range 2 {
		if err := db.Revoke(ctx, lease); err != nil {
			t.Error(err)
		}
	}
	if _, err := db.KeepAlive(ctx, lease); err != ErrNoLease {
		t.Error(err)
	}
	if item, err := db.Get(ctx, assign(1)); err != nil || item != nil {
		t.Error("a record outlived its lease", item, err)
	}
	if r, err := db.Transact(ctx, record.Create(assign(1), &record.Assign{Node: "a"}, lease)); err != nil || r.Done {
		t.Error("a record was made under a lease that has ended", r, err)
	}
}

// TestCopy follows changes, over a compaction that a copy which was away cannot follow, and past records that it cannot read.
func TestCopy(t *testing.T) {
	db, log := open(t), slog.New(slog.DiscardHandler)
	put := func(id causeway.VolumeID, node string) int64 {
		r, err := db.Transact(t.Context(), record.Txn{Then: []record.Op{record.Put(assign(id), &record.Assign{Node: node}, 0)}})
		if err != nil {
			t.Fatal(err)
		}
		return r.Revision
	}
	for id := range causeway.VolumeID(10) {
		put(id+1, "a")
	}
	c, err := Follow(t.Context(), db, log)
	if err != nil || c.Table().Len(record.KindAssign) != 10 {
		t.Fatal(c, err)
	}
	var shadow record.Table
	shadow.Apply(c.Table().Revision(), new(record.Table).Diff(c.Table()))
	follow := func(until int64) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		var tasks sync.WaitGroup
		defer tasks.Wait()
		defer cancel()
		seen := make(chan int64, 100)
		tasks.Go(func() {
			c.Run(ctx, func(n Notice) {
				if n.Revision <= shadow.Revision() {
					t.Errorf("revision %d after %d", n.Revision, shadow.Revision())
				}
				shadow.Apply(n.Revision, n.Changes)
				seen <- n.Revision
			})
		})
		for {
			select {
			case r := <-seen:
				if r >= until {
					return
				}
			case <-ctx.Done():
				t.Fatal("the copy does not follow")
			}
		}
	}
	put(1, "b")
	follow(put(2, "b"))
	put(3, "b")
	if _, err := db.Transact(t.Context(), record.Txn{Then: []record.Op{record.Delete(assign(4))}}); err != nil {
		t.Fatal(err)
	}
	last := put(5, "b")
	if _, err := db.client.Compact(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	follow(last)
	if _, err := db.client.Put(t.Context(), record.Prefix+"future/x", "?"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.client.Put(t.Context(), assign(6).String(), `{"format":77}`); err != nil {
		t.Fatal(err)
	}
	follow(put(7, "c"))
	for id, want := range map[causeway.VolumeID]string{1: "b", 2: "b", 3: "b", 4: "", 5: "b", 6: "", 7: "c", 8: "a"} {
		if got := c.Table().Assigned(id); got != want {
			t.Errorf("%v: %q, not %q", id, got, want)
		}
	}
	if diff := c.Table().Diff(&shadow); len(diff) > 0 {
		t.Errorf("notices and the copy differ: %+v", diff)
	}
}
