package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"causeway"
	"causeway/cluster/engine"
	"causeway/cluster/ownership"
	"causeway/cluster/record"
	"causeway/internal/boottime"
	"causeway/internal/setting"
)

// Protocol is the version of the records and of the messages between gateways that this code speaks. Two neighbouring versions
// work together.
const Protocol = 1

// OldestProtocol is the oldest version that this code still works with.
const OldestProtocol = 1

// The records, by the names that other rooms use.
type (
	NodeRecord    = record.Node
	VolumeRecord  = record.Volume
	MemberRecord  = record.Member
	ClusterRecord = record.Cluster
)

// Placer decides which node shall own which volume, from the same input always the same. It is called by the master when
// something changed, outside all locks, and may take its time: nothing is paused meanwhile. A volume without an entry is not
// served. What the input's Owners says, its result must leave as it is, unless there is a reason to move: the result is
// computed again when it has been carried out.
type Placer func(ownership.Input) map[causeway.VolumeID]string

// Hooks is the gateway. Calls about one volume come one after another, calls about several at the same time. Calls end when
// the context ends, with an error. Pause, Resume and Release are then called again until they succeed.
type Hooks interface {
	// Pause makes requests of the volume wait, and returns when none is under way and nothing of it is held back: what was
	// acknowledged is known to others. Requests never fail because of it.
	Pause(ctx context.Context, v causeway.VolumeID) error
	// Resume lets requests go on, under an epoch. Who owns the volume stands in [Cluster.Table].
	Resume(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) error
	// Acquire makes this gateway the administrative one, paused. If it fails another gateway is tried.
	Acquire(ctx context.Context, v *VolumeRecord, e causeway.Epoch) error
	// Release ends that. The volume is paused. It must not fail for long: the gateway cannot be a member again before.
	Release(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) error
	// Fence says that the gateway may do no I/O any more, at once: it must not wait. Pause and Release follow for each volume.
	Fence()
}

// Config says which gateway this is, what it joins, and what it is made of.
type Config struct {
	Node      string
	Dir       string                  // the state directory, of this gateway alone
	Seed      NodeRecord              // the node's record, if there is none; Name and State are set by Start
	Peer      string                  // host:port where other gateways and joiners reach this one
	Door      net.Listener            // for joiners and renewals, at Peer; nil: this gateway admits nobody
	Between   string                  // host:port where other gateways make requests; empty: nowhere
	Mirror    string                  // host:port where other gateways say what they answer for; empty: nowhere
	Addresses []netip.Addr            // service addresses
	DNS       []netip.AddrPort        // where this gateway answers by DNS; none: nowhere
	Services  map[string]uint16       // port of each protocol that this gateway speaks at service addresses, by its name in DNS
	Asked     map[string]http.Handler // what other gateways of the cluster may ask of this one, by path: see Ask

	Bootstrap bool   // make a new cluster, if the state directory holds none
	Join      string // or join one: the Peer of a gateway of it
	Token     string // with this

	EnginePeer   string   // host:port for the database's servers, where this gateway runs one
	EngineClient string   // host:port for its clients
	External     []string // or use these servers (URLs) instead
	ExternalTLS  *tls.Config

	Place   Placer
	Hooks   Hooks
	Log     *slog.Logger
	Clock   func() time.Duration                            // counts while the machine sleeps; default: the system's
	recent  func() time.Duration                            // the same, nearly
	Now     func() time.Time                                // wall clock, for certificates and tokens; default time.Now
	Notify  func(revision int64, changes []record.Change)   // optional; ordered; after Table shows them; must not block
	Observe func(Observation)                               // optional; must not block
	Leave   func(Remains)                                   // optional: what the process would leave if it died now; must not block
	Shown   func(ctx context.Context, revision int64) error // optional; returns when clients see what the records say at a revision

	Versions record.Versions // of the protocol; default OldestProtocol to Protocol

	LeaseTTL      time.Duration // default 2 s
	LeaseMargin   time.Duration // the gateway stops so long before its lease may end; default 300 ms
	ConfirmWithin time.Duration // default 1 s
	AcquireWithin time.Duration // default 10 s
	HookWithin    time.Duration // for Pause, Resume and Release, before they are called again; default 5 s
	Heartbeat     time.Duration // of the database's servers; default 30 ms
	Election      time.Duration // default 300 ms
}

// Observation tells how long something took.
type Observation struct {
	Volume causeway.VolumeID
	What   string // "pause", "resume", "acquire", "release": the hook; "paused": from the start of Pause to the end of Resume
	Took   time.Duration
	Err    error
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	switch {
	case c.Place == nil:
		return fmt.Errorf("cluster: no Place")
	case c.Hooks == nil:
		return fmt.Errorf("cluster: no Hooks")
	case c.Log == nil:
		return fmt.Errorf("cluster: no Log")
	case c.Dir == "":
		return fmt.Errorf("cluster: no Dir")
	case c.Bootstrap && c.Join != "":
		return fmt.Errorf("cluster: Bootstrap and Join exclude each other")
	case c.Join != "" && len(c.External) > 0:
		return fmt.Errorf("cluster: with External there is nothing to Join")
	}
	if err := engine.CheckEndpoints(c.External, c.ExternalTLS != nil); err != nil {
		return err
	}
	if c.Versions == (record.Versions{}) {
		c.Versions = record.Versions{Min: OldestProtocol, Max: Protocol}
	}
	if c.recent = c.Clock; c.Clock == nil {
		c.Clock, c.recent = boottime.Now, boottime.Recent
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if err := errors.Join(
		setting.Positive("cluster: LeaseTTL", &c.LeaseTTL, 2*time.Second),
		setting.Positive("cluster: LeaseMargin", &c.LeaseMargin, 300*time.Millisecond),
		setting.Positive("cluster: ConfirmWithin", &c.ConfirmWithin, time.Second),
		setting.Positive("cluster: AcquireWithin", &c.AcquireWithin, 10*time.Second),
		setting.Positive("cluster: HookWithin", &c.HookWithin, 5*time.Second),
	); err != nil {
		return err
	}
	if c.LeaseTTL%time.Second != 0 || c.LeaseMargin > c.LeaseTTL/2 {
		return fmt.Errorf("cluster: LeaseTTL %v is not whole seconds, or LeaseMargin %v more than half of it", c.LeaseTTL, c.LeaseMargin)
	}
	c.Seed.Name, c.Seed.State = c.Node, record.Active
	if c.Seed.Weight == 0 {
		c.Seed.Weight = 1
	}
	if c.Seed.UpdateInterval == 0 {
		c.Seed.UpdateInterval = record.Duration(time.Minute)
	}
	return c.Seed.Validate()
}
