package member

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"causeway"
	"causeway/cluster/record"
	"causeway/gateway/nfs/nlm"
	"causeway/lockmgr"
)

// Bounds of a volume's grace period, as after the restart of a gateway that is alone.
const (
	graceWithin   = 90 * time.Second
	graceSettling = 15 * time.Second
)

// lost is what follows when nobody knows any more what clients hold in a volume: each client is told by the gateway that has the address
// which the client uses, and takes its locks again meanwhile.
type lost struct {
	mu      sync.Mutex
	waiting map[record.Key]waited // clients that this gateway, as an owner, waits for
	told    map[record.Key]uint64 // of which loss this gateway has told a client
}

// waited is a client that has to hear of a loss, or of a later one.
type waited struct {
	name string
	loss uint64
}

// mayHaveHeld reports whether somebody may have held something in a volume before this gateway acquires it: not if it was made
// since this gateway joined, and no other one has owned it.
func (m *Member) mayHaveHeld(v causeway.VolumeID) bool {
	t := m.Cluster().Table()
	_, joined := t.Member(m.cfg.Cluster.Node)
	item := t.Get(record.Of(record.KindVolume, v))
	_, owned := m.others.Load(v)
	return item == nil || item.Create < joined || owned
}

// lose begins the grace period of a volume of which there is no copy, and has its clients told. It is before the volume is served.
func (m *Member) lose(v causeway.VolumeID, e causeway.Epoch) {
	var clients []lockmgr.Client
	var keys []record.Key
	m.lost.mu.Lock()
	for item := range m.Cluster().Table().All(record.KindClient) {
		if c := item.Value.(*record.Client); c.Protocol == protocolNLM {
			name := recordOf(c).Client()
			clients, keys = append(clients, lockmgr.Client{Kind: causeway.OwnerNLM, Name: name}), append(keys, item.Key)
			m.lost.waiting[item.Key] = waited{name, uint64(e.Revision)}
		}
	}
	m.lost.mu.Unlock()
	if len(clients) == 0 {
		return
	}
	m.log.Warn("what clients held is not known to any gateway: they are told to take it again", "volume", v, "clients", len(clients))
	m.cfg.Engines.Locks.BeginGrace(v, clients, graceWithin, graceSettling)
	m.tasks.Go(func() {
		for _, key := range keys {
			if err := m.mark(m.life, key, func(c *record.Client) { c.Lost = max(c.Lost, uint64(e.Revision)) }); err != nil {
				m.log.Error("a client cannot be told that its locks are lost", "volume", v, "err", err)
			}
		}
	})
}

func (m *Member) mark(ctx context.Context, key record.Key, set func(*record.Client)) error {
	return m.change(ctx, key, func(r record.Record) (record.Record, error) {
		c := *r.(*record.Client)
		set(&c)
		return &c, nil
	})
}

// tellLost tells those clients whose address of ours is here, and hears what other gateways have told.
func (m *Member) tellLost(t *record.Table, here []netip.Addr) {
	front := m.front.Load()
	var list []nlm.Record
	var heard []string
	m.lost.mu.Lock()
	for key, w := range m.lost.waiting {
		if item := t.Get(key); item == nil || item.Value.(*record.Client).Told >= w.loss {
			heard = append(heard, w.name)
			delete(m.lost.waiting, key)
		}
	}
	for item := range t.All(record.KindClient) {
		c := item.Value.(*record.Client)
		if c.Lost == 0 || c.Protocol != protocolNLM || front == nil || m.lost.told[item.Key] == c.Lost {
			continue
		}
		r := recordOf(c)
		r.Locals = slices.DeleteFunc(slices.Clone(r.Locals), func(a netip.Addr) bool { return !slices.Contains(here, a) })
		if len(r.Locals) > 0 {
			m.lost.told[item.Key] = c.Lost
			list = append(list, r)
		}
	}
	m.lost.mu.Unlock()
	for _, name := range heard {
		m.cfg.Engines.Locks.Told(lockmgr.Client{Kind: causeway.OwnerNLM, Name: name})
	}
	if len(list) > 0 {
		(*front).Lost(list)
	}
}

// Told is called when a client knows that its locks are lost.
func (m *Member) Told(client string) {
	c := m.Cluster()
	if c == nil {
		return
	}
	for item := range c.Table().All(record.KindClient) {
		if one := item.Value.(*record.Client); one.Lost == 0 || one.Protocol != protocolNLM || recordOf(one).Client() != client {
			continue
		}
		m.lost.mu.Lock()
		delete(m.lost.waiting, item.Key) // whoever calls this tells the locks here
		m.lost.mu.Unlock()
		if err := m.mark(m.life, item.Key, func(c *record.Client) { c.Told, c.Lost = c.Lost, 0 }); err != nil {
			m.log.Warn("others do not hear that a client knows of its lost locks", "client", client, "err", err)
		}
	}
}

// recordOf is what the front calls a client's record.
func recordOf(c *record.Client) nlm.Record {
	return nlm.Record{Name: c.Name, Addr: c.Address, Locals: c.Locals, State: c.State}
}
