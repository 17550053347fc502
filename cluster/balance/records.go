package balance

import (
	"fmt"

	"causeway"
)

// Bounds of the records. They keep every sum and product of the scaled arithmetic below 2^63.
const (
	MaxNodes        = 4096
	MaxVolumes      = 1 << 17
	MaxNodeWeight   = 1000
	MaxVolumeWeight = 10_000
)

// Node is what placement needs of a node's record.
type Node struct {
	Name    string
	Weight  int      // its share of the load relative to the others', 0 to MaxNodeWeight; if all active nodes have 0, all are equal
	Groups  []string // in order of priority
	Domains []string // names are compared, none has a meaning of its own
	Active  bool     // a member of the cluster that may own volumes now; not one that is being drained
	Settled bool     // active for longer than the hold-down: gets volumes that are well where they are
}

// Volume is what placement needs of a volume's record.
type Volume struct {
	Name       string
	Weight     int // load relative to other volumes, 0 to MaxVolumeWeight
	Group      string
	Domain     string
	Preferred  string // node; "" for none
	CanMigrate bool   // may also go to nodes of its domain without its group
	Owner      string // at present; "" for none
}

func invalid(format string, args ...any) error {
	return &causeway.Error{Op: "balance", Code: causeway.ErrInval, Err: fmt.Errorf(format, args...)}
}

// check refuses records that placement cannot be computed from, and names the one at fault.
func check(nodes []Node, volumes []Volume) error {
	if len(nodes) > MaxNodes || len(volumes) > MaxVolumes {
		return invalid("%d nodes and %d volumes: at most %d and %d", len(nodes), len(volumes), MaxNodes, MaxVolumes)
	}
	seen := make(map[string]bool, len(volumes))
	for i := range nodes {
		n := &nodes[i]
		if n.Name == "" || seen[n.Name] {
			return invalid("node %q: name is empty or used twice", n.Name)
		}
		if n.Weight < 0 || n.Weight > MaxNodeWeight {
			return invalid("node %q: weight %d is not within 0 to %d", n.Name, n.Weight, MaxNodeWeight)
		}
		seen[n.Name] = true
	}
	clear(seen)
	for i := range volumes {
		v := &volumes[i]
		if v.Name == "" || seen[v.Name] {
			return invalid("volume %q: name is empty or used twice", v.Name)
		}
		if v.Weight < 0 || v.Weight > MaxVolumeWeight {
			return invalid("volume %q: weight %d is not within 0 to %d", v.Name, v.Weight, MaxVolumeWeight)
		}
		seen[v.Name] = true
	}
	return nil
}
