package member

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"causeway"
	"causeway/cluster/record"
	"causeway/gateway"
	"causeway/gateway/peer"
	"causeway/gateway/transfer"
	"causeway/internal/sleep"
)

// findPaths connects the ways to the storage: this gateway's own, and other gateways.
func (s *Split) findPaths(own gateway.Transfer) error {
	proxy, err := peer.NewProxy(peer.ProxyConfig{Peers: s.peers})
	if err != nil {
		return err
	}
	s.paths, err = transfer.NewPaths(transfer.PathsConfig{
		Here: own, Via: proxy.Via, Open: s.m.cfg.Volumes.Open, Else: s.others, Test: s.m.cfg.Volumes.Probe, Log: s.m.log,
		Lost: s.engines.Lost, Changed: s.m.reached, Hangs: s.m.cfg.Hangs,
	})
	return err
}

// Doubt is what a client is told of an error of the storage that this gateway has open.
func (s *Split) Doubt(v causeway.VolumeID, err error) error { return s.paths.Doubt(v, err) }

// Paths tells of the ways to the storage, for metrics.
func (s *Split) Paths() transfer.PathStats { return s.paths.Stats() }

// others are the gateways that may reach a volume's storage when this one does not: first its owner, who does for sure, but none that said
// that it does not.
func (s *Split) others(v causeway.VolumeID) []string {
	c := s.m.Cluster()
	if c == nil {
		return nil
	}
	t := c.Table()
	now := s.m.routes.Now(v)
	nodes := slices.DeleteFunc(s.keepers(v), func(node string) bool { return node == now.Node || t.Get(record.Refused(v, node)) != nil })
	if now.Open && !now.Here && now.Node != "" {
		nodes = slices.Insert(nodes, 0, now.Node)
	}
	return nodes
}

// outOfReach is how the reason of a refusal begins that this gateway made because its path died.
const outOfReach = "its storage is out of reach: "

// reached puts into the records that this gateway's path to a volume has died, or is back: who places volumes, and sends clients, avoids it
// meanwhile. It goes on until that is written, or something else is true.
func (m *Member) reached(v causeway.VolumeID, fault error) {
	m.storage.mu.Lock()
	defer m.storage.mu.Unlock()
	delete(m.storage.said, v)
	if m.storage.faults == nil {
		m.storage.faults = make(map[causeway.VolumeID]error)
	}
	if fault == nil {
		m.storage.back = append(m.storage.back, v)
		delete(m.storage.faults, v)
	} else {
		m.storage.faults[v] = fault
	}
	select {
	case m.storage.changed <- struct{}{}:
	default:
	}
}

// tellReach writes it.
func (m *Member) tellReach(ctx context.Context) {
	ticker := time.NewTicker(time.Second) // a membership that ended took the records along
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.storage.changed:
		case <-ticker.C:
		}
		for !m.writeReach(ctx) {
			if !sleep.For(ctx, 200*time.Millisecond) {
				return
			}
		}
	}
}

// writeReach makes the records say what is so; false: not all of it.
func (m *Member) writeReach(ctx context.Context) (done bool) {
	m.storage.mu.Lock()
	faults := make(map[causeway.VolumeID]error, len(m.storage.faults))
	maps.Copy(faults, m.storage.faults)
	back := m.storage.back
	m.storage.back = nil
	m.storage.mu.Unlock()
	t, name := m.Cluster().Table(), m.cfg.Cluster.Node
	self, create := t.Member(name)
	if self == nil || !m.Valid() {
		m.keepBack(back)
		return len(faults)+len(back) == 0
	}
	done = true
	still := record.CreatedAt(record.Named(record.KindMember, name), create)
	for v, fault := range faults {
		if t.Volume(v) == nil || t.Get(record.Refused(v, name)) != nil || m.keepsHanging(v, fault) {
			continue
		}
		refusal := record.Put(record.Refused(v, name), &record.Refusal{Reason: outOfReach + fault.Error()}, self.Lease)
		_, err := m.transact(ctx, record.Txn{If: []record.Cond{still}, Then: []record.Op{refusal}}, record.Refused(v, name))
		done = done && err == nil
	}
	for _, v := range back {
		if _, again := faults[v]; again || t.Get(record.Refused(v, name)) == nil {
			continue
		}
		if _, err := m.transact(ctx, record.Txn{If: []record.Cond{still}, Then: []record.Op{record.Delete(record.Refused(v, name))}}, record.Refused(v, name)); err != nil {
			m.keepBack([]causeway.VolumeID{v})
			done = false
		}
	}
	return done
}

// keepsHanging reports whether a volume stays with this gateway, which administers it, although its storage does not answer here. It could not be paused,
// and so the gateway would be put out of the cluster: clients would repeat by way of another gateway what hangs here, and go on; and then the
// storage might do what hung. Who is sure that it does not (the machine is off, the storage shuts it out) ends the gateway.
func (m *Member) keepsHanging(v causeway.VolumeID, fault error) bool {
	if !errors.Is(fault, context.DeadlineExceeded) || !m.routes.Now(v).Here {
		return false
	}
	m.storage.mu.Lock()
	defer m.storage.mu.Unlock()
	if !m.storage.said[v] {
		if m.storage.said == nil {
			m.storage.said = make(map[causeway.VolumeID]bool)
		}
		m.storage.said[v] = true
		m.log.Error("the storage of a volume does not answer, and it stays with this gateway: what hangs may still be done. If this machine is off, or the storage shuts it out, another gateway takes it", "volume", v)
	}
	return true
}

func (m *Member) keepBack(back []causeway.VolumeID) {
	m.storage.mu.Lock()
	defer m.storage.mu.Unlock()
	m.storage.back = append(m.storage.back, back...)
}

// reachDomain stands for who reaches a volume's storage now.
func reachDomain(v causeway.VolumeID) string { return "reach/" + v.String() }

// DomainOf is the domain of a volume for those who send clients: its own, or the gateways of it that have not said that they do not reach
// the storage now.
func DomainOf(t *record.Table, v *record.Volume) string {
	if v.DomainPolicy == record.Strict { // whoever is in it serves it, if need be by way of another one in it
		return v.Domain
	}
	for item := range t.All(record.KindRefusal) {
		if item.Key.Volume == v.ID {
			return reachDomain(v.ID)
		}
	}
	return v.Domain
}

// DomainsOf are the domains of a node, with those of DomainOf.
func DomainsOf(t *record.Table, n *record.Node) []string {
	domains := n.Domains
	seen := map[causeway.VolumeID]bool{}
	for item := range t.All(record.KindRefusal) {
		id := item.Key.Volume
		if v := t.Volume(id); v != nil && !seen[id] && record.SharesDomain(n, v) && t.Get(record.Refused(id, n.Name)) == nil {
			domains = append(slices.Clone(domains), reachDomain(id))
		}
		seen[id] = true
	}
	return domains
}
