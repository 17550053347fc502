package member

import (
	"context"
	"time"

	"causeway/cluster/record"
	"causeway/internal/sleep"
	"causeway/redirect/utilization"
)

// firstReport is how long after its start a gateway reports its load for the first time, if its interval is longer.
const firstReport = 5 * time.Second

// report writes this gateway's load into its record, at the interval that is set for the node.
func (m *Member) report(ctx context.Context) {
	sampler, err := utilization.NewSampler(utilization.Config{}, m.cfg.Reading())
	if err != nil {
		m.log.Error("the load is not reported", "err", err)
		return
	}
	last, first := time.Now(), true
	for {
		wait := m.interval()
		if first {
			wait = min(wait, firstReport)
		}
		if left := time.Until(last.Add(wait)); left > 0 { // an interval that is changed counts within a second
			if !sleep.For(ctx, min(left, time.Second)) {
				return
			}
			continue
		}
		last, first = time.Now(), false
		if err := m.writeLoad(ctx, sampler.Next(m.cfg.Reading())); err != nil && ctx.Err() == nil {
			m.log.Debug("the load is not reported", "err", err)
		}
	}
}

// interval is the update interval of this gateway's node.
func (m *Member) interval() time.Duration {
	if n := m.Cluster().Table().Node(m.cfg.Cluster.Node); n != nil && n.UpdateInterval > 0 {
		return max(time.Duration(n.UpdateInterval), minInterval)
	}
	return time.Minute
}

// writeLoad writes a record that vanishes with the membership.
func (m *Member) writeLoad(ctx context.Context, parts utilization.Parts) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, name := m.Cluster(), m.cfg.Cluster.Node
	self, create := c.Table().Member(name)
	if self == nil || !m.Valid() {
		return nil
	}
	load := &record.Load{Node: name, Utilization: parts.Figure(), Parts: parts.Map()}
	m.measure(load)
	if m.cfg.Clients != nil {
		load.Clients = uint32(m.cfg.Clients())
	}
	if p, err := plan(c.Input(false)); err == nil {
		for _, capacity := range p.Capacities {
			if capacity.Node == name {
				load.Ideal, load.Remaining = capacity.Ideal, capacity.Remaining
			}
		}
	}
	_, err := c.Transact(ctx, record.Txn{If: []record.Cond{record.CreatedAt(record.Named(record.KindMember, name), create)},
		Then: []record.Op{record.Put(record.Named(record.KindLoad, name), load, self.Lease)}})
	return err
}
