package member

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"causeway"
	"causeway/cluster"
	"causeway/cluster/record"
)

// maxOrder bounds what an operator's command sends, in bytes.
const maxOrder = 1 << 20

// Orders returns what the operator can ask and order, by pattern (net/http.ServeMux): JSON in and out.
func (m *Member) Orders() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /cluster":                order(m, func(ctx context.Context, _ struct{}) (any, error) { return m.Status(ctx), nil }),
		"POST /cluster/token":         order(m, m.createToken),
		"POST /cluster/rebalance":     order(m, m.rebalance),
		"POST /cluster/volume/create": order(m, m.createVolume),
		"POST /cluster/volume/set":    order(m, m.setVolume),
		"POST /cluster/volume/rm":     order(m, m.removeVolume),
		"POST /cluster/node/set":      order(m, m.setNode),
		"POST /cluster/node/rm":       order(m, m.removeNode),
		"GET /cluster/backup":         order(m, m.backup),
		"POST /cluster/rotate-ca":     order(m, m.rotateAuthority),
		"POST /cluster/discovery":     order(m, m.discover),
		"POST /cluster/site/set":      order(m, m.setSite),
		"POST /cluster/site/rm":       order(m, m.removeSite),
		"POST /cluster/set":           order(m, m.setCluster),
		"POST /cluster/address/move":  order(m, m.moveAddress),
		"GET /cluster/clients":        order(m, func(ctx context.Context, _ struct{}) (any, error) { return m.clients(ctx), nil }),
		"POST /cluster/redirect":      order(m, m.redirect),
		"POST /cluster/schedule":      order(m, m.setSchedule),
		"GET /cluster/users":          order(m, m.users),
		"POST /cluster/user/put":      order(m, m.putUser),
		"POST /cluster/user/rm":       order(m, m.removeUser),
	}
}

// order makes a handler of a function.
func order[In any](m *Member, do func(context.Context, In) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in In
		if m.Cluster() == nil {
			http.Error(w, "the gateway has not joined its cluster yet", http.StatusServiceUnavailable)
			return
		}
		if r.Method == http.MethodPost {
			if err := json.NewDecoder(io.LimitReader(r.Body, maxOrder)).Decode(&in); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		out, err := do(r.Context(), in)
		if err != nil {
			http.Error(w, explain(err).Error(), http.StatusConflict)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		if err := e.Encode(out); err != nil {
			m.log.Debug("answer not sent", "err", err)
		}
	})
}

func explain(err error) error {
	if causeway.CodeOf(err) == causeway.ErrNoEnt {
		return errors.New(strings.TrimSuffix(err.Error(), ": "+causeway.ErrNoEnt.Error()) + ": there is none of that name")
	}
	return err
}

// Status is what an operator sees of the cluster.
type Status struct {
	cluster.Status
	Nodes     []Node    `json:"nodes"`
	Volumes   []Volume  `json:"volumes"`
	Addresses []Address `json:"addresses"`
	Settings  Settings  `json:"settings"`
	Events    []Event   `json:"events"` // what this gateway saw happen lately, the latest last
}

// Node is a node with what was set for it.
type Node struct {
	cluster.NodeStatus
	Weight         uint64           `json:"weight"`
	AutoWeight     bool             `json:"auto_weight"` // it follows the measured capacity
	Groups         []string         `json:"groups"`
	Domains        []string         `json:"domains"`
	UpdateInterval float64          `json:"update_interval"`       // seconds between two reports of its load
	Threshold      uint8            `json:"threshold"`             // percent; above it clients are sent elsewhere; 0: never
	HeldDown       bool             `json:"held_down"`             // it came back too short a time ago to get volumes that are well elsewhere
	Utilization    *uint8           `json:"utilization,omitempty"` // percent, as it reported last; absent: not yet
	Parts          map[string]uint8 `json:"parts,omitempty"`       // percent each, of what utilization is made
	Ideal          float64          `json:"ideal"`                 // its share of the volumes' weight
	Remaining      float64          `json:"remaining"`             // that less the weight of what it shall own
}

// Volume is a volume with what was set for it.
type Volume struct {
	cluster.VolumeStatus
	Backend      string              `json:"backend"`
	Weight       uint64              `json:"weight"`
	AutoWeight   bool                `json:"auto_weight"` // it follows the measured demand
	Group        string              `json:"group"`
	Preferred    string              `json:"preferred"`
	CanMigrate   bool                `json:"can_migrate"`
	Domain       string              `json:"domain"`
	DomainPolicy record.DomainPolicy `json:"domain_policy"`
	Async        bool                `json:"async"`
	Exclusive    bool                `json:"exclusive"`
	ReadOnly     bool                `json:"read_only"`
	MirrorOf     string              `json:"mirror_of"` // the volume that offers the same
	Allow        []record.Export     `json:"allow"`
	SMB          record.Share        `json:"smb"`
}

// Status asks the database's servers and reads the rest from this gateway's copy.
func (m *Member) Status(ctx context.Context) Status {
	t := m.Cluster().Table()
	s := Status{Status: m.Cluster().Status(ctx)}
	s.Nodes = m.nodes(s.Status.Nodes)
	s.Settings = m.settings()
	s.Events = m.events.last()
	for _, v := range s.Status.Volumes {
		if r := t.Volume(v.ID); r != nil {
			s.Volumes = append(s.Volumes, Volume{v, r.Backend, r.Weight, r.AutoWeight, r.Group, r.Preferred, r.CanMigrate, r.Domain, r.DomainPolicy,
				r.Async, r.Exclusive, r.ReadOnly, nameOf(t, r.MirrorOf), r.Exports, share(r)})
		}
	}
	for _, a := range assigned(t) {
		s.Addresses = append(s.Addresses, a)
	}
	slices.SortFunc(s.Addresses, func(a, b Address) int { return a.Address.Compare(b.Address) })
	return s
}

// TokenOrder asks for a join token.
type TokenOrder struct {
	Life time.Duration `json:"life"`
}

// Token lets gateways join.
type Token struct {
	Token   string    `json:"token"`
	Peer    string    `json:"peer"` // where to join
	Expires time.Time `json:"expires"`
}

func (m *Member) createToken(ctx context.Context, o TokenOrder) (any, error) {
	if o.Life <= 0 || o.Life > 7*24*time.Hour {
		return nil, errors.New("a token is good for a week at most, and for some time")
	}
	expires := time.Now().Add(o.Life)
	token, err := m.Cluster().CreateToken(ctx, o.Life)
	return Token{token, m.cfg.Cluster.Peer, expires.UTC().Truncate(time.Second)}, err
}

// RebalanceOrder asks for a rebalance, or what it would move.
type RebalanceOrder struct {
	DryRun   bool `json:"dry_run"`
	Thorough bool `json:"thorough"` // optimise, though that moves more
}

// Move is a volume's change of owner.
type Move struct {
	Volume string `json:"volume"`
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason"`
}

// rebalance computes what would move, and orders it if there is something: the master does the same.
func (m *Member) rebalance(ctx context.Context, o RebalanceOrder) (any, error) {
	c := m.Cluster()
	p, err := plan(c.Input(o.Thorough))
	if err != nil {
		return nil, err
	}
	moves := []Move{}
	for _, v := range p.Moves {
		moves = append(moves, Move{v.Volume, v.From, v.To, string(v.Reason)})
	}
	if !o.DryRun {
		err = c.Rebalance(ctx, o.Thorough)
	}
	return moves, err
}
