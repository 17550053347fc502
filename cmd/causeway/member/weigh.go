package member

import (
	"context"
	"math"
	"time"

	"causeway"
	"causeway/cluster/balance"
	"causeway/cluster/record"
	"causeway/internal/sleep"
)

// What a report of demand and capacity is made of.
const (
	leastDemand   = 0.05 // percent of this gateway; less is not worth a word
	enoughToJudge = 10   // percent of utilization from which capacity can be told
	ofCapacity    = 0.2  // part of a new figure in the one that is reported
)

// measure adds to a report what volumes with weights that follow demand cause, and what this gateway could do.
func (m *Member) measure(load *record.Load) {
	if m.cfg.Crowd == nil {
		return
	}
	parts, rate := m.cfg.Crowd.Demand()
	for item := range m.Cluster().Table().All(record.KindVolume) {
		v := item.Value.(*record.Volume)
		if d := float64(load.Utilization) * parts[v.Name]; v.AutoWeight && d >= leastDemand {
			if load.Demand == nil {
				load.Demand = map[string]float64{}
			}
			load.Demand[v.ID.String()] = math.Round(d*100) / 100
		}
	}
	if load.Utilization >= enoughToJudge && rate > 0 {
		seen := rate * 100 / float64(load.Utilization)
		if m.capacity == 0 {
			m.capacity = seen
		}
		m.capacity += (seen - m.capacity) * ofCapacity
	}
	load.Capacity = math.Round(m.capacity)
}

// weighEvery is how often the master looks whether weights shall change.
const weighEvery = time.Second

// Weights follow reports by multiples of the interval at which these come.
const (
	smoothIntervals = 10
	holdIntervals   = 5
)

// weigh sets the weights that follow what is measured, while this gateway is the master.
func (m *Member) weigh(ctx context.Context) {
	var volumes, nodes *balance.Follower
	interval := time.Duration(0)
	for sleep.For(ctx, weighEvery) {
		c := m.Cluster()
		if !c.Leads() {
			volumes = nil
			continue
		}
		t := c.Table()
		if slowest := slowestReport(t); volumes == nil || slowest != interval {
			interval = slowest
			cfg := balance.FollowConfig{Over: smoothIntervals * interval, Hold: holdIntervals * interval}
			volumes, _ = balance.NewFollower(cfg) // the configuration is ours
			cfg.Max = balance.MaxNodeWeight
			nodes, _ = balance.NewFollower(cfg)
		}
		m.weighVolumes(ctx, t, volumes)
		m.weighNodes(ctx, t, nodes)
	}
}

// slowestReport is the longest update interval of the nodes.
func slowestReport(t *record.Table) time.Duration {
	slowest := minInterval
	for item := range t.All(record.KindMember) {
		if n := t.Node(item.Key.Name); n != nil {
			slowest = max(slowest, time.Duration(n.UpdateInterval))
		}
	}
	return slowest
}

func (m *Member) weighVolumes(ctx context.Context, t *record.Table, f *balance.Follower) {
	measured, weights, ids := map[string]float64{}, map[string]uint64{}, map[string]causeway.VolumeID{}
	for item := range t.All(record.KindLoad) {
		for id, percent := range item.Value.(*record.Load).Demand {
			measured[id] += percent
		}
	}
	for item := range t.All(record.KindVolume) {
		if v := item.Value.(*record.Volume); v.AutoWeight {
			weights[v.ID.String()], ids[v.ID.String()] = v.Weight, v.ID
		}
	}
	for id, weight := range f.Look(measured, weights, time.Now()) {
		m.reweigh(ctx, record.Of(record.KindVolume, ids[id]), weight)
	}
}

func (m *Member) weighNodes(ctx context.Context, t *record.Table, f *balance.Follower) {
	capacities, weights := map[string]float64{}, map[string]uint64{}
	for item := range t.All(record.KindNode) {
		n := item.Value.(*record.Node)
		load := t.Get(record.Named(record.KindLoad, n.Name))
		if !n.AutoWeight || load == nil || load.Value.(*record.Load).Capacity == 0 {
			continue // a node that has not worked yet keeps its weight
		}
		capacities[n.Name], weights[n.Name] = load.Value.(*record.Load).Capacity, n.Weight
	}
	for name, weight := range f.Look(balance.Relative(capacities), weights, time.Now()) {
		m.reweigh(ctx, record.Named(record.KindNode, name), weight)
	}
}

// reweigh sets a weight, unless an operator has set a figure meanwhile.
func (m *Member) reweigh(ctx context.Context, key record.Key, weight uint64) {
	err := m.change(ctx, key, func(r record.Record) (record.Record, error) {
		switch r := r.(type) {
		case *record.Volume:
			if next := *r; next.AutoWeight {
				next.Weight = weight
				return &next, nil
			}
		case *record.Node:
			if next := *r; next.AutoWeight {
				next.Weight = weight
				return &next, nil
			}
		}
		return nil, causeway.ErrInval
	})
	if err != nil && ctx.Err() == nil {
		m.log.Debug("a weight does not follow", "volume", key.Volume, "node", key.Name, "err", err)
		return
	}
	m.log.Info("a weight follows what is measured", "key", key.String(), "weight", weight)
}
