package member

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"causeway/cluster/record"
	"causeway/gateway/nfs/nlm"
)

// lockClients keeps the records of clients with locks where all gateways see them.
type lockClients struct {
	m     *Member
	state uint32
	alone nlm.Records // of the time when the gateway served alone
}

// LockClients returns the records of clients that hold locks. It is for after Join.
func (m *Member) LockClients(alone nlm.Records) nlm.Records {
	// Later lives of the gateway have higher numbers: each has written its member record in between. Odd is "up".
	return &lockClients{m, uint32(m.Cluster().Table().Revision())<<1 | 1, alone}
}

const protocolNLM = "nlm"

// Known implements nlm.Records: a gateway of a cluster that starts has lost no locks, since others have them.
func (l *lockClients) Known() []nlm.Record { return l.alone.Known() }

// State implements nlm.Records.
func (l *lockClients) State() uint32 { return l.state }

// All returns the records of all clients.
func (l *lockClients) all(match func(*record.Client) bool) []nlm.Record {
	var list []nlm.Record
	for item := range l.m.Cluster().Table().All(record.KindClient) {
		c := item.Value.(*record.Client)
		if c.Protocol == protocolNLM && match(c) {
			list = append(list, nlm.Record{Name: c.Name, Addr: c.Address, Locals: c.Locals, State: c.State})
		}
	}
	return list
}

// At implements nlm.Records.
func (l *lockClients) At(addr netip.Addr) []nlm.Record {
	return l.all(func(c *record.Client) bool { return c.Address.Unmap() == addr.Unmap() })
}

func (l *lockClients) recordOf(r nlm.Record) *record.Client {
	return &record.Client{Protocol: protocolNLM, Name: r.Name, Address: r.Addr.Unmap(), Locals: r.Locals, State: r.State,
		Node: l.m.cfg.Cluster.Node}
}

// Mine implements nlm.Records.
func (l *lockClients) Mine() []nlm.Record {
	return l.all(func(c *record.Client) bool { return c.Node == l.m.cfg.Cluster.Node })
}

// Stray implements nlm.Records: the master looks after the clients of gateways that do not run.
func (l *lockClients) Stray() []nlm.Record {
	if !l.m.Cluster().Leads() {
		return nil
	}
	return l.all(func(c *record.Client) bool { return !l.m.runs(c.Node) })
}

// Put implements nlm.Records.
func (l *lockClients) Put(ctx context.Context, r nlm.Record) error {
	next := l.recordOf(r)
	key := next.Key()
	for range 5 {
		item := l.m.Cluster().Table().Get(key)
		if item == nil {
			done, err := l.m.transact(ctx, record.Create(key, next, 0), key)
			if done || err != nil {
				return err
			}
			continue
		}
		c := *item.Value.(*record.Client) // with what a newer version wrote
		c.State, c.Node = next.State, next.Node
		for _, a := range next.Locals {
			if !slices.Contains(c.Locals, a) {
				c.Locals = append(slices.Clone(c.Locals), a)
			}
		}
		done, err := l.m.transact(ctx, record.Update(item, &c), key)
		if done || err != nil {
			return err
		}
	}
	return fmt.Errorf("client %.80s: %w", r.Name, errBusy)
}

// Delete implements nlm.Records. A client that has gone to another gateway is that one's to forget.
func (l *lockClients) Delete(ctx context.Context, r nlm.Record) error {
	if err := l.alone.Delete(ctx, r); err != nil {
		return err
	}
	key := l.recordOf(r).Key()
	item := l.m.Cluster().Table().Get(key)
	if item == nil {
		return nil
	}
	if node := item.Value.(*record.Client).Node; node != l.m.cfg.Cluster.Node && l.m.runs(node) {
		return nil
	}
	_, err := l.m.transact(ctx, record.Remove(item), key)
	return err
}
