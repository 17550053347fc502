// Package route decides for each call where it is answered: here, where the call's volume is administered, or by the gateway
// that administers it; and it makes calls wait while a volume moves. Calls never fail because of a move.
//
// It reads of a call only which volume it is about. Who owns what, and when that changes, is the cluster's to say; how a call
// reaches another gateway is the relay's.
package route

import (
	"context"
	"errors"
	"sync"
	"time"

	"causeway"
	"causeway/gateway/nfs/rpc"
	"causeway/internal/gate"
)

// Config says what a Table works with.
type Config struct {
	// Valid reports whether this gateway may do I/O and report success at this moment. It is asked before and after each
	// call that is answered here.
	Valid func() bool
	// Away answers a call at another gateway. It returns [rpc.Park], before any side effect, for calls with NoWait, and
	// [rpc.Drop] when the other gateway cannot be reached or ctx has ended. nil: such calls get no answer.
	Away func(ctx context.Context, c *rpc.Call, v causeway.VolumeID, node string) rpc.Verdict
	// Patience is how long a call waits for a volume. Then it gets no answer, and the client sends it again. Default 20 s.
	Patience time.Duration
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	if c.Valid == nil {
		return errors.New("route: Valid is missing")
	}
	if c.Patience < 0 {
		return errors.New("route: Patience is negative")
	}
	if c.Patience == 0 {
		c.Patience = 20 * time.Second
	}
	return nil
}

// Table knows where the volumes are answered. Its methods may be called by many goroutines.
type Table struct {
	cfg     Config
	mu      sync.Mutex // serialises changes
	volumes sync.Map   // causeway.VolumeID → *volume
}

// volume is what the table knows of a volume. It stays for the life of the process.
type volume struct {
	gate gate.Gate // through which every call goes that was let in

	mu    sync.Mutex
	now   *standing
	ended func() // ends calls that are answered elsewhere
}

// standing is immutable.
type standing struct {
	open    bool
	here    bool            // answered by this gateway
	node    string          // that answers otherwise
	changed chan struct{}   // closed when this is no longer so
	away    context.Context // of calls that are answered elsewhere
}

// New returns a Table in which all volumes are closed: their calls wait.
func New(cfg Config) (*Table, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Table{cfg: cfg}, nil
}

func (t *Table) volume(id causeway.VolumeID) *volume {
	if v, ok := t.volumes.Load(id); ok {
		return v.(*volume)
	}
	v, _ := t.volumes.LoadOrStore(id, &volume{now: &standing{changed: make(chan struct{}), away: context.Background()}, ended: func() {}})
	return v.(*volume)
}

// become replaces the standing and wakes those who wait.
func (v *volume) become(s *standing) {
	s.changed = make(chan struct{})
	v.mu.Lock()
	old, ended := v.now, v.ended
	s.away, v.ended = context.WithCancel(context.Background())
	v.now = s
	v.mu.Unlock()
	close(old.changed)
	ended()
}

func (v *volume) standing() *standing {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// Close makes calls of a volume wait. Calls that another gateway has are taken back: they are made again when the volume is open.
func (t *Table) Close(id causeway.VolumeID) { t.volume(id).become(&standing{}) }

// Drain waits until no call that was let in before is under way.
func (t *Table) Drain(ctx context.Context, id causeway.VolumeID) error {
	return t.volume(id).gate.Wait(ctx)
}

// Here opens a volume: this gateway answers.
func (t *Table) Here(id causeway.VolumeID) { t.volume(id).become(&standing{open: true, here: true}) }

// There opens a volume: node answers.
func (t *Table) There(id causeway.VolumeID, node string) {
	t.volume(id).become(&standing{open: true, node: node})
}

// CloseAll closes all volumes that this gateway answers. It does not wait.
func (t *Table) CloseAll() {
	t.volumes.Range(func(_, v any) bool {
		if v.(*volume).standing().here {
			v.(*volume).become(&standing{})
		}
		return true
	})
}
