// Package redirect decides which clients of a busy gateway go to another one, and keeps a client's table of the paths that it may take.
// All of it is pure: records and the time come in, decisions go out.
//
// A gateway has a Planner, which looks at the records of all gateways and at what the gateway's own clients use; a client has Paths. Not
// here: how busy a gateway is (utilization), how a client is told (gateway/aware, discovery), who administers a volume (cluster/balance).
package redirect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Ways are the means by which clients are moved, or move themselves. Each can be switched on its own.
type Ways uint8

// The ways.
const (
	WayPath     Ways = 1 << iota // the gateway says where to go
	WayNoPath                    // the gateway says that the client shall go; it takes its least recently redirected path
	WayTable                     // the client reads the node records and goes to the least utilized
	WayPoll                      // the client asks the gateways themselves
	WayOwn                       // the client goes when its response times leave what is normal
	WayMirror                    // the gateway names another volume that offers the same
	WayFailOver                  // the client takes its oldest path when one fails
	AllWays     = WayPath | WayNoPath | WayTable | WayPoll | WayOwn | WayMirror | WayFailOver
)

var wayNames = [...]string{"path", "no-path", "table", "poll", "own", "mirror", "fail-over"}

// String lists the ways by name, as ParseWays reads them.
func (w Ways) String() string {
	var names []string
	for i, name := range wayNames {
		if w>>i&1 != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// ParseWays reads names of ways: path, no-path, table, poll, own, mirror, fail-over.
func ParseWays(names []string) (w Ways, err error) {
	for _, name := range names {
		i := slices.Index(wayNames[:], name)
		if i < 0 {
			return 0, fmt.Errorf("there is no way %.40q: %s", name, strings.Join(wayNames[:], ", "))
		}
		w |= 1 << i
	}
	return w, nil
}

// All is the domain that every gateway, volume and client shares.
const All = "all"

// Node is a gateway as its records say.
type Node struct {
	Name        string
	Utilization float64       // percent, smoothed or not
	Age         time.Duration // of that figure
	Interval    time.Duration // at which it is reported
	Threshold   float64       // percent above which clients are sent away; 0: never
	Capacity    float64       // against that of other gateways; 0 counts as 1
	Domains     []string      // besides All
	Site        string        // "": none
	Sites       []string      // further ones
	Draining    bool          // all clients shall go
	Closed      bool          // no client finds it
	Held        int           // service addresses that it answers at
	Clients     int           // aware clients that work there; 0: none, or not known
}

// Volume is what clients use.
type Volume struct {
	Name    string
	Domain  string   // "" counts as All
	Mirrors []string // volumes that offer the same
}

// Means says how a client can be moved.
type Means uint8

// The means, the best first.
const (
	Aware    Means = iota + 1 // it obeys redirects
	Protocol                  // its protocol moves live clients: NFSv4.1's MOVED, SMB's witness
	DNS                       // a name that it resolves the next time leads elsewhere
)

// Use is a volume that a client uses through a gateway.
type Use struct {
	Client, Volume string
	Load           float64 // percent of the gateway's utilization that it causes
	Since          time.Time
	Moved          time.Time // when it was sent away from a gateway last; zero: never
	Means          Means
	Domain         string // of the client; "" counts as All
	Site           string
	Writes         bool // it changes the volume: a mirror would not do
}

// Move sends a client elsewhere with a volume.
type Move struct {
	Client, Volume string
	From, To       string  // To is empty if the client chooses
	Mirror         string  // the volume to use there, if it is another one
	Load           float64 // percent of From
	Means          Means
}

// shares reports whether a gateway may serve a volume or a client of a domain.
func (n *Node) shares(domain string) bool {
	if domain == "" || domain == All {
		return true
	}
	return slices.Contains(n.Domains, domain)
}

// at reports whether it is at a site.
func (n *Node) at(site string) bool { return n.Site == site || slices.Contains(n.Sites, site) }

// open reports whether clients may be sent to it.
func (n *Node) open() bool { return !n.Draining && !n.Closed }

func (n *Node) capacity() float64 {
	if n.Capacity <= 0 {
		return 1
	}
	return n.Capacity
}

// Sender moves live clients of one protocol: by the redirect of aware clients, NFSv4.1's MOVED with fs_locations, SMB's witness or a DFS referral.
// It is safe for concurrent use.
type Sender interface {
	// Means says by what its clients are moved. Those of DNS are not: Send has nothing to tell them.
	Means() Means
	// Send tells a client to use other gateways: the first of targets that works, or, if there are none, whichever it knows. It reports
	// whether there is such a client, and it was told.
	Send(m Move, targets []netip.AddrPort) (told bool)
}
