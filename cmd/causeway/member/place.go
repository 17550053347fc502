package member

import (
	"fmt"

	"causeway"
	"causeway/cluster/balance"
	"causeway/cluster/ownership"
	"causeway/cluster/record"
)

// place computes who shall own what.
func place(in ownership.Input) map[causeway.VolumeID]string {
	plan, err := plan(in)
	if err != nil {
		return in.Owners // records were checked when they were written; one that cannot be placed moves nothing
	}
	owners := make(map[causeway.VolumeID]string, len(plan.Placements))
	ids := make(map[string]causeway.VolumeID, len(in.Volumes))
	for _, v := range in.Volumes {
		ids[v.Name] = v.ID
	}
	for _, p := range plan.Placements {
		owners[ids[p.Volume]] = p.Owner
	}
	return owners
}

// plan is place with the reasons.
func plan(in ownership.Input) (*balance.Plan, error) {
	nodes := make([]balance.Node, len(in.Nodes))
	for i, n := range in.Nodes {
		nodes[i] = balance.Node{Name: n.Name, Weight: int(min(n.Weight, balance.MaxNodeWeight)), Groups: n.Groups,
			Domains: append([]string{record.AllDomain}, n.Domains...), Active: true, Settled: !in.HeldDown[n.Name]}
	}
	volumes := make([]balance.Volume, len(in.Volumes))
	for i, v := range in.Volumes {
		volumes[i] = balance.Volume{Name: v.Name, Weight: int(min(v.Weight, balance.MaxVolumeWeight)), Group: v.Group, Domain: v.Domain,
			Preferred: v.Preferred, CanMigrate: v.CanMigrate, Owner: in.Owners[v.ID]}
		if refused := in.Refused[v.ID]; len(refused) > 0 {
			volumes[i].Domain = without(in, nodes, v, refused)
		}
	}
	settings := balance.Settings{Thorough: in.Thorough}
	if in.Settings != nil {
		settings.Budget = in.Settings.Budget
	}
	return balance.Warm(nodes, volumes, settings)
}

// without makes a domain for one volume alone, of the nodes that can own it. Its name is none that a record can have.
func without(in ownership.Input, nodes []balance.Node, v *record.Volume, refused map[string]bool) string {
	domain := fmt.Sprintf("refused/%v", v.ID)
	for i, n := range in.Nodes {
		if record.SharesDomain(n, v) && !refused[n.Name] {
			nodes[i].Domains = append(nodes[i].Domains, domain)
		}
	}
	return domain
}
