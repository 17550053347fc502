package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"causeway/cluster/database"
	"causeway/cluster/record"
)

const (
	growEvery = 500 * time.Millisecond
	noteEvery = time.Minute // how far the database has come
)

// servers returns how many servers the database has with so many gateways: with two of either, one could not go on alone.
func servers(gateways int) int {
	switch {
	case gateways < 3:
		return 1
	case gateways < 5:
		return 3
	}
	return 5
}

// grow brings the database's servers to the number that fits: the master invites, who is invited starts one. New servers
// learn first, and vote when they have caught up, so that no vote is needed from one that is empty.
func (c *Cluster) grow(ctx context.Context) {
	ticker := time.NewTicker(growEvery)
	defer ticker.Stop()
	for noted := c.cfg.Clock(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if now := c.cfg.Clock(); now > noted+noteEvery {
			noted = now
			if err := c.noteRevision(); err != nil {
				c.log.Warn("the state directory cannot be written", "err", err)
			}
		}
		if len(c.cfg.External) > 0 {
			continue
		}
		t := c.Table()
		if lock := t.Get(record.Sole(record.KindLock)); lock != nil && lock.Value.(*record.Lock).Node == c.cfg.Node && c.Valid() {
			c.attempt(ctx, "enlarge the configuration database", c.enlarge)
		}
		if t.Get(record.Named(record.KindServer, c.cfg.Node)) != nil && c.server.Load() == nil {
			c.attempt(ctx, "run a server of the configuration database", c.accept)
		}
	}
}

func (c *Cluster) attempt(ctx context.Context, what string, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := do(ctx); err != nil && ctx.Err() == nil {
		c.log.Debug("cannot yet "+what, "err", err)
	}
}

// enlarge adds learners until there are enough servers, then has them vote.
func (c *Cluster) enlarge(ctx context.Context) error {
	t := c.Table()
	want := servers(t.Len(record.KindMember))
	if c.grown.Load() >= int64(want) && c.rounds%20 != 0 { // asked for again now and then: somebody may have removed one
		c.rounds++
		return nil
	}
	c.rounds++
	list, err := c.client.MemberList(ctx)
	if err != nil {
		return err
	}
	if removed, err := c.prune(ctx, t, list.Members); removed || err != nil {
		return err
	}
	voters := 0
	for _, m := range list.Members {
		if !m.IsLearner {
			voters++
		}
	}
	c.grown.Store(int64(voters))
	for _, item := range t.Items(record.KindMember) {
		m := item.Value.(*record.Member)
		if len(list.Members) >= want || m.EnginePeer == "" {
			continue
		}
		if serves(list.Members, m.EnginePeer) {
			continue
		}
		return c.invite(ctx, m)
	}
	if len(list.Members) < want {
		return nil
	}
	return c.promote(ctx, list.Members)
}

// promote has all learners vote, when all of them are ready: with two voters, neither could be lost.
func (c *Cluster) promote(ctx context.Context, members []*etcdserverpb.Member) error {
	newest := uint64(0)
	learners := make(map[*etcdserverpb.Member]uint64)
	for _, m := range members {
		if len(m.ClientURLs) == 0 {
			return nil // invited, and not started
		}
		status, err := c.client.Status(ctx, m.ClientURLs[0])
		if err != nil {
			return err
		}
		if newest = max(newest, status.RaftIndex); m.IsLearner {
			learners[m] = status.RaftAppliedIndex
		}
	}
	for _, applied := range learners {
		if applied+100 < newest {
			return nil
		}
	}
	for m := range learners {
		if _, err := c.client.MemberPromote(ctx, m.ID); err != nil {
			return err // the leader does not know yet that it has caught up
		}
		c.log.Info("a server of the configuration database votes", "server", m.Name)
	}
	return nil
}

func serves(members []*etcdserverpb.Member, peer string) bool {
	return slices.ContainsFunc(members, func(m *etcdserverpb.Member) bool { return slices.Contains(m.PeerURLs, "https://"+peer) })
}

// invite adds a learner, which starts when its gateway sees the record. The record is first: a learner without one is removed.
func (c *Cluster) invite(ctx context.Context, m *record.Member) error {
	key := record.Named(record.KindServer, m.Node)
	_, err := c.db.Transact(ctx, record.Txn{Then: []record.Op{record.Put(key, &record.Server{Node: m.Node, Peer: m.EnginePeer}, 0)}})
	if err == nil {
		_, err = c.client.MemberAddAsLearner(ctx, []string{"https://" + m.EnginePeer})
	}
	return err
}

// prune removes a server that nobody will run, if there is one: a gateway that was to add or to remove it ended before it was done. It
// would count for ever.
func (c *Cluster) prune(ctx context.Context, t *record.Table, members []*etcdserverpb.Member) (removed bool, err error) {
	for _, m := range members {
		if !orphaned(t, m) {
			continue
		}
		now, err := database.Read(ctx, c.db) // this gateway's copy may lag
		if err != nil || !orphaned(now, m) {
			return false, err
		}
		c.log.Info("a server of the configuration database that no gateway runs is removed", "server", m.Name, "at", strings.Join(m.PeerURLs, " "))
		_, err = c.client.MemberRemove(ctx, m.ID)
		return err == nil, err
	}
	return false, nil
}

// orphaned reports whether a server is of a gateway that was removed or, as long as it has not started and has no name, of one that was
// not invited or would run it elsewhere now.
func orphaned(t *record.Table, m *etcdserverpb.Member) bool {
	if m.Name != "" {
		member, _ := t.Member(m.Name)
		return t.Node(m.Name) == nil && member == nil
	}
	for item := range t.All(record.KindServer) {
		if s := item.Value.(*record.Server); slices.Contains(m.PeerURLs, "https://"+s.Peer) {
			member, _ := t.Member(s.Node)
			return member != nil && member.EnginePeer != s.Peer
		}
	}
	return true
}

// accept starts the server that the master has invited.
func (c *Cluster) accept(ctx context.Context) error {
	list, err := c.client.MemberList(ctx)
	if err != nil {
		return err
	}
	if !serves(list.Members, c.cfg.EnginePeer) {
		return nil
	}
	return c.startServer(ctx, c.founders(list.Members))
}

// founders names the servers there are, for one that joins them. One that is about to start has no name yet; what it is called by others
// is of no importance, and to wait for its name would be in vain if it waits for this one's.
func (c *Cluster) founders(members []*etcdserverpb.Member) map[string]string {
	peers := make(map[string]string)
	for _, m := range members {
		name := m.Name
		switch {
		case slices.Contains(m.PeerURLs, "https://"+c.cfg.EnginePeer):
			name = c.cfg.Node
		case name == "":
			name = fmt.Sprintf("%x about to start", m.ID)
		}
		if len(m.PeerURLs) > 0 {
			peers[name] = strings.TrimPrefix(m.PeerURLs[0], "https://")
		}
	}
	return peers
}

// moveServer tells the others where this gateway's server is, when its address was changed.
func (c *Cluster) moveServer(ctx context.Context, id uint64) error {
	list, err := c.client.MemberList(ctx)
	if err != nil {
		return err
	}
	peer := []string{"https://" + c.cfg.EnginePeer}
	for _, m := range list.Members {
		if m.ID == id && !slices.Equal(m.PeerURLs, peer) {
			_, err = c.client.MemberUpdate(ctx, id, peer)
		}
	}
	return err
}
