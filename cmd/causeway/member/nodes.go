package member

import (
	"context"
	"fmt"
	"time"

	"causeway/cluster/balance"
	"causeway/cluster/record"
)

// NodeOrder changes what it does not leave out.
type NodeOrder struct {
	Name       string            `json:"name"`
	Weight     *uint64           `json:"weight,omitempty"`
	AutoWeight *bool             `json:"auto_weight,omitempty"` // it follows the measured capacity
	Groups     *[]string         `json:"groups,omitempty"`
	Domains    *[]string         `json:"domains,omitempty"`
	State      *record.NodeState `json:"state,omitempty"`

	UpdateInterval *time.Duration `json:"update_interval,omitempty"`
	Threshold      *uint8         `json:"threshold,omitempty"`
}

func (m *Member) setNode(ctx context.Context, o NodeOrder) (any, error) {
	err := m.change(ctx, record.Named(record.KindNode, o.Name), func(r record.Record) (record.Record, error) {
		n := *r.(*record.Node)
		if o.Weight != nil && (*o.Weight == 0 || *o.Weight > balance.MaxNodeWeight) {
			return nil, fmt.Errorf("weight %d is not within 1 to %d", *o.Weight, balance.MaxNodeWeight)
		}
		put(&n.Weight, o.Weight)
		put(&n.AutoWeight, o.AutoWeight)
		put(&n.Groups, o.Groups)
		put(&n.Domains, o.Domains)
		put(&n.State, o.State)
		put(&n.Threshold, o.Threshold)
		if o.UpdateInterval != nil {
			if *o.UpdateInterval < minInterval || *o.UpdateInterval > maxInterval {
				return nil, fmt.Errorf("update interval %v is not within %v to %v", *o.UpdateInterval, minInterval, maxInterval)
			}
			n.UpdateInterval = record.Duration(*o.UpdateInterval)
		}
		return &n, nil
	})
	if err != nil {
		return nil, err
	}
	return struct{}{}, m.Cluster().Everywhere(ctx)
}

// Bounds of the interval at which nodes report their load.
const (
	minInterval = time.Second
	maxInterval = time.Hour
)

// put sets a field if there is something to set.
func put[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// Named names what an order is about.
type Named struct {
	Name string `json:"name"`
}

func (m *Member) removeNode(ctx context.Context, o Named) (any, error) {
	return struct{}{}, m.Cluster().RemoveNode(ctx, o.Name)
}
