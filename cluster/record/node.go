package record

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Node is what an operator sets for a gateway. What the gateway says of itself stands in [Member], what it measures in
// [Load]: three writers, three records, so that they do not get in one another's way.
type Node struct {
	Header
	Name           string    `json:"name"`
	Weight         uint64    `json:"weight"`
	AutoWeight     bool      `json:"auto_weight,omitempty"` // the master sets Weight by the capacity that gateways report
	UpdateInterval Duration  `json:"update_interval"`       // how often utilization is reported
	Threshold      uint8     `json:"threshold,omitempty"`   // percent of utilization above which clients are sent away; 0: none
	Groups         []string  `json:"groups,omitempty"`      // highest priority first
	Domains        []string  `json:"domains,omitempty"`     // every node is also in AllDomain
	State          NodeState `json:"state"`

	// Addresses are the service addresses that belong to the node: others answer for them while it does not run.
	Addresses []netip.Addr `json:"addresses,omitempty"`

	// Moved are those of them that an operator gave to another node, which answers for them while it runs.
	Moved map[netip.Addr]string `json:"moved,omitempty"`
}

// NodeState says whether a node may own volumes.
type NodeState string

// The states.
const (
	Active   NodeState = "active"
	Draining NodeState = "draining" // owns nothing new, gives away what it has
)

// AllDomain is the domain that every node shares.
const AllDomain = "all"

// MaxNameLength is the longest name of a node, group or domain, in bytes.
const MaxNameLength = 63

// Validate names the field that is wrong.
func (n *Node) Validate() error {
	if !validName(n.Name) {
		return fmt.Errorf("node: name %.80q", n.Name)
	}
	if n.Threshold > 100 {
		return fmt.Errorf("node %s: threshold %d is above 100", n.Name, n.Threshold)
	}
	if n.UpdateInterval < 0 {
		return fmt.Errorf("node %s: update_interval is negative", n.Name)
	}
	if n.State != Active && n.State != Draining {
		return fmt.Errorf("node %s: state %.80q", n.Name, n.State)
	}
	for _, name := range slices.Concat(n.Groups, n.Domains) {
		if !validName(name) {
			return fmt.Errorf("node %s: group or domain %.80q", n.Name, name)
		}
	}
	for a, to := range n.Moved {
		if !a.IsValid() || !validName(to) {
			return fmt.Errorf("node %s: moved address %v to %.80q", n.Name, a, to)
		}
	}
	return nil
}

// validName allows what is safe in keys, host names and file names.
func validName(s string) bool {
	if len(s) == 0 || len(s) > MaxNameLength || s[0] == '.' || s[0] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

// Member is a running gateway: it says this of itself, under its lease.
type Member struct {
	Header
	Node        string           `json:"node"`
	Instance    string           `json:"instance"`    // of the state directory: who may take the place of a member of the same name
	Incarnation uint64           `json:"incarnation"` // another one for each time that the gateway joined; never 0
	Lease       int64            `json:"lease"`
	Peer        string           `json:"peer,omitempty"`   // where other gateways reach it, host:port
	Between     string           `json:"relay,omitempty"`  // where it answers other gateways, host:port
	Mirror      string           `json:"mirror,omitempty"` // where others tell it which addresses and connections they have, host:port
	DNS         []netip.AddrPort `json:"dns,omitempty"`    // where it answers by DNS

	// Services are the ports of the protocols that it speaks at service addresses: "nfs", "smb", "causeway". Older versions say nothing.
	Services map[string]uint16 `json:"services,omitempty"`

	EnginePeer   string       `json:"engine_peer,omitempty"` // where it would run a server of the database, host:port; empty: nowhere
	EngineClient string       `json:"engine_client,omitempty"`
	Addresses    []netip.Addr `json:"addresses,omitempty"` // service addresses
	Versions     Versions     `json:"versions"`
	Since        time.Time    `json:"since"`
	Returned     bool         `json:"returned,omitempty"` // it was a member before: it is held down for a while
}

// Versions is a range of protocol versions that a gateway speaks, both included.
type Versions struct {
	Min uint32 `json:"min"`
	Max uint32 `json:"max"`
}

// Validate names the field that is wrong.
func (m *Member) Validate() error {
	if !validName(m.Node) {
		return fmt.Errorf("member: node %.80q", m.Node)
	}
	if m.Incarnation == 0 {
		return fmt.Errorf("member %s: no incarnation", m.Node)
	}
	if m.Versions.Min > m.Versions.Max {
		return fmt.Errorf("member %s: versions %d to %d", m.Node, m.Versions.Min, m.Versions.Max)
	}
	return nil
}

// Load is what a gateway measured of itself, written once per update interval.
type Load struct {
	Header
	Node        string             `json:"node"`
	Utilization uint8              `json:"utilization"`        // percent
	Parts       map[string]uint8   `json:"parts,omitempty"`    // percent each, of what Utilization was made
	Clients     uint32             `json:"clients,omitempty"`  // aware clients that work
	Demand      map[string]float64 `json:"demand,omitempty"`   // percent of this gateway that volumes caused whose weight follows that, by id
	Capacity    float64            `json:"capacity,omitempty"` // work in a second that would use it fully, as far as was seen; only comparisons count
	Ideal       int64              `json:"ideal"`              // capacity: its share of the volumes' weight, in units of weight × total node weight
	Remaining   int64              `json:"remaining"`          // Ideal less what it owns, in the same units; negative when it has too much
}

// Validate names the field that is wrong.
func (l *Load) Validate() error {
	if !validName(l.Node) {
		return fmt.Errorf("load: node %.80q", l.Node)
	}
	return nil
}

// Duration is a time.Duration that is stored as text ("1m0s").
type Duration time.Duration

// MarshalText returns the duration in Go's notation.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads Go's notation.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}
