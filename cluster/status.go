package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"causeway"
	"causeway/cluster/engine"
	"causeway/cluster/record"
)

// Status is what an operator sees of the cluster, from one gateway's copy.
type Status struct {
	Cluster  string         `json:"cluster"`
	Node     string         `json:"node"` // whose view this is
	Valid    bool           `json:"valid"`
	Revision int64          `json:"revision"`
	Master   string         `json:"master"`
	Database DatabaseStatus `json:"database"`
	Nodes    []NodeStatus   `json:"nodes"`
	Volumes  []VolumeStatus `json:"volumes"`
}

// DatabaseStatus says what the quorum stands on.
type DatabaseStatus struct {
	External bool           `json:"external"`
	Servers  []ServerStatus `json:"servers"`
	Advice   string         `json:"advice"` // how many may be lost, in words
	Error    string         `json:"error,omitempty"`
}

// ServerStatus is one server of the database.
type ServerStatus struct {
	Name    string `json:"name"`
	Client  string `json:"client"`
	Votes   bool   `json:"votes"`
	Leader  bool   `json:"leader"`
	Answers bool   `json:"answers"`
	Version string `json:"version,omitempty"`
	Size    int64  `json:"size"` // bytes
}

// NodeStatus is one node, running or not.
type NodeStatus struct {
	Name    string           `json:"name"`
	State   record.NodeState `json:"state"`
	Running bool             `json:"running"`
	Since   time.Time        `json:"since,omitzero"`
	Peer    string           `json:"peer,omitempty"`
	Fenced  string           `json:"fenced,omitempty"` // why, if it was dropped and may not have stopped yet
	Owns    int              `json:"owns"`
}

// VolumeStatus is one volume.
type VolumeStatus struct {
	Name     string            `json:"name"`
	ID       causeway.VolumeID `json:"id"`
	Owner    string            `json:"owner,omitempty"`
	Serving  bool              `json:"serving"`
	Since    time.Time         `json:"since,omitzero"` // that it is so
	Epoch    causeway.Epoch    `json:"epoch"`
	Assigned string            `json:"assigned,omitempty"`
	Moving   bool              `json:"moving"`
	Refused  map[string]string `json:"refused,omitempty"` // by node: why
}

// Status asks the database's servers, each for a second at most, and reads the rest from the copy.
func (c *Cluster) Status(ctx context.Context) Status {
	t := c.Table()
	s := Status{Node: c.cfg.Node, Valid: c.Valid(), Revision: t.Revision()}
	if cl := t.Cluster(); cl != nil {
		s.Cluster = cl.ID
	}
	if lock := t.Get(record.Sole(record.KindLock)); lock != nil {
		s.Master = lock.Value.(*record.Lock).Node
	}
	s.Database = c.Database(ctx)
	owns := make(map[string]int)
	for item := range t.All(record.KindOwner) {
		owns[item.Value.(*record.Owner).Node]++
	}
	for _, item := range t.Items(record.KindNode) {
		n := NodeStatus{Name: item.Key.Name, State: item.Value.(*record.Node).State, Owns: owns[item.Key.Name]}
		if m, _ := t.Member(n.Name); m != nil {
			n.Running, n.Since, n.Peer = true, m.Since, m.Peer
		}
		if f := t.Get(record.Named(record.KindFence, n.Name)); f != nil {
			n.Fenced = f.Value.(*record.Fence).Reason
		}
		s.Nodes = append(s.Nodes, n)
	}
	s.Volumes = volumeStatus(t)
	return s
}

func volumeStatus(t *record.Table) []VolumeStatus {
	var list []VolumeStatus
	at := make(map[causeway.VolumeID]int)
	for _, item := range t.Items(record.KindVolume) {
		v := item.Value.(*record.Volume)
		one := VolumeStatus{Name: v.Name, ID: v.ID, Epoch: t.Epoch(v.ID), Assigned: t.Assigned(v.ID)}
		if o, _ := t.Owner(v.ID); o != nil {
			one.Owner, one.Serving, one.Since = o.Node, o.Serving, o.Since
		}
		at[v.ID] = len(list)
		list = append(list, one)
	}
	if plan := t.Get(record.Sole(record.KindPlan)); plan != nil {
		for _, m := range plan.Value.(*record.Plan).Moves {
			if i, ok := at[m.Volume]; ok {
				list[i].Moving = true
			}
		}
	}
	for item := range t.All(record.KindRefusal) {
		if i, ok := at[item.Key.Volume]; ok {
			if list[i].Refused == nil {
				list[i].Refused = make(map[string]string)
			}
			list[i].Refused[item.Key.Name] = item.Value.(*record.Refusal).Reason
		}
	}
	slices.SortFunc(list, func(a, b VolumeStatus) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Database asks the database's servers, each for a second at most.
func (c *Cluster) Database(ctx context.Context) DatabaseStatus {
	d := DatabaseStatus{External: len(c.cfg.External) > 0}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	list, err := c.client.MemberList(ctx)
	if err != nil {
		d.Error, d.Advice = err.Error(), "the database has no quorum, or cannot be reached from here"
		return d
	}
	for _, m := range list.Members {
		one := ServerStatus{Name: m.Name, Votes: !m.IsLearner}
		if len(m.ClientURLs) > 0 {
			one.Client = m.ClientURLs[0]
			short, cancel := context.WithTimeout(ctx, time.Second)
			if r, err := c.askServer(short, one.Client); err == nil {
				one.Answers, one.Leader, one.Version, one.Size = true, r.Leader == m.ID, r.Version, r.DbSize
			}
			cancel()
		}
		d.Servers = append(d.Servers, one)
	}
	d.Advice = advice(d.Servers, c.Table().Len(record.KindMember))
	return d
}

// askServer asks one server of the database, over a connection of its own: the client that all others share does not allow it while
// its servers are being replaced.
func (c *Cluster) askServer(ctx context.Context, endpoint string) (*clientv3.StatusResponse, error) {
	tls := c.cfg.ExternalTLS
	if len(c.cfg.External) == 0 {
		tls = c.identity.Client()
	}
	client, err := engine.Dial([]string{endpoint}, tls, c.log)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return client.Status(ctx, endpoint)
}

// advice says how many servers may be lost from now on, and what an operator could do about it.
func advice(servers []ServerStatus, gateways int) string {
	var voters, silent []string
	for _, one := range servers {
		if !one.Votes {
			continue
		}
		if voters = append(voters, one.Name); !one.Answers {
			silent = append(silent, one.Name)
		}
	}
	answer := len(voters) - len(silent)
	spare := answer - (len(voters)/2 + 1)
	switch {
	case len(voters) == 1 && gateways < 3:
		return fmt.Sprintf("one server, at %s: while it does not run, no gateway serves; a third gateway makes three servers, of which one may be lost", voters[0])
	case len(voters) == 1:
		return fmt.Sprintf("one server, at %s: while it does not run, no gateway serves; two more are about to start", voters[0])
	case spare < 0:
		return fmt.Sprintf("%d of %d servers answer: no quorum, until %s runs", answer, len(voters), strings.Join(silent, " or "))
	case spare == 0:
		return fmt.Sprintf("%d of %d servers answer: none may be lost%s", answer, len(voters), remedy(silent, gateways))
	}
	return fmt.Sprintf("%d of %d servers answer: %d may be lost", answer, len(voters), spare)
}

// remedy says what gives the database a server to spare again.
func remedy(silent []string, gateways int) string {
	switch {
	case len(silent) > 0:
		return fmt.Sprintf("; start %s again, or remove it (causeway node rm) so that another gateway runs its server", strings.Join(silent, ", "))
	case gateways < 3:
		return "; a third gateway would add one"
	}
	return ""
}
