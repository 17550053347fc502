// Package route knows where each volume is answered: here, where it is administered, or by the gateway that administers it, or nowhere
// for now because it moves; and who has to be waited for before it may move. Who owns what, and when that changes, is the cluster's to
// say; how a call is answered accordingly is the peer's.
package route

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"causeway"
	"causeway/gateway"
	"causeway/internal/gate"
)

// Config says what a Table works with.
type Config struct {
	// Valid reports whether this gateway may do I/O and report success at this moment. It is asked before and after each
	// call that is answered here.
	Valid func() bool
	// Nearly is asked instead for reads: it may be late by some milliseconds after the machine was suspended. nil: Valid.
	Nearly func() bool
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	if c.Valid == nil {
		return errors.New("route: Valid is missing")
	}
	if c.Nearly == nil {
		c.Nearly = c.Valid
	}
	return nil
}

// Table knows where the volumes are answered. Its methods may be called by many goroutines.
type Table struct {
	cfg     Config
	volumes sync.Map // causeway.VolumeID → *volume
	changed atomic.Pointer[chan struct{}]
	life    atomic.Uint64
}

// volume is what the table knows of a volume. It stays for the life of the process.
type volume struct {
	gate gate.Gate // through which every call goes that was let in

	now atomic.Pointer[standing]
}

// standing is immutable.
type standing struct {
	Standing
	changed chan struct{} // closed when this is no longer so
}

// Standing says where a volume is answered.
type Standing = gateway.Standing

// New returns a Table in which all volumes are closed: their calls wait.
func New(cfg Config) (*Table, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	t := &Table{cfg: cfg}
	first := make(chan struct{})
	t.changed.Store(&first)
	return t, nil
}

func (t *Table) volume(id causeway.VolumeID) *volume {
	if v, ok := t.volumes.Load(id); ok {
		return v.(*volume)
	}
	fresh := &volume{}
	fresh.now.Store(&standing{changed: make(chan struct{})})
	v, _ := t.volumes.LoadOrStore(id, fresh)
	return v.(*volume)
}

// become replaces a standing and wakes those who wait.
func (t *Table) become(v *volume, s Standing) {
	old := v.now.Swap(&standing{s, make(chan struct{})})
	close(old.changed)
	next := make(chan struct{})
	close(*t.changed.Swap(&next))
}

// Now returns where a volume is answered. It costs next to nothing.
func (t *Table) Now(id causeway.VolumeID) Standing { return t.volume(id).now.Load().Standing }

// All reports whether something is so of all volumes that it has heard of.
func (t *Table) All(is func(causeway.VolumeID, Standing) bool) bool {
	all := true
	t.volumes.Range(func(id, x any) bool {
		all = is(id.(causeway.VolumeID), x.(*volume).now.Load().Standing)
		return all
	})
	return all
}

// Enter counts a call in, so that Drain waits for it until it leaves, and returns where the volume is answered.
func (t *Table) Enter(id causeway.VolumeID) (Standing, gate.Pass) {
	v := t.volume(id)
	pass := v.gate.Enter() // before the standing is looked at, so that who closes waits for this call
	return v.now.Load().Standing, pass
}

// Valid reports whether this gateway may do I/O and report success now.
func (t *Table) Valid() bool { return t.cfg.Valid() }

// ValidNearly is Valid for reads.
func (t *Table) ValidNearly() bool { return t.cfg.Nearly() }

// Pass counts something in that was begun while the volume was open and uses its storage: who closes the volume waits for it.
func (t *Table) Pass(id causeway.VolumeID) gate.Pass { return t.volume(id).gate.Enter() }

// Changed returns a channel that is closed when the standing of any volume changes next.
func (t *Table) Changed() <-chan struct{} { return *t.changed.Load() }

// Close makes calls of a volume wait.
func (t *Table) Close(id causeway.VolumeID) { t.become(t.volume(id), Standing{}) }

// Drain waits until no call that was let in before is under way here.
func (t *Table) Drain(ctx context.Context, id causeway.VolumeID) error {
	return t.volume(id).gate.Wait(ctx)
}

// Open lets calls of a volume in: to node, or here.
func (t *Table) Open(id causeway.VolumeID, here bool, node string, e causeway.Epoch) {
	t.become(t.volume(id), Standing{Open: true, Here: here, Node: node, Epoch: e})
}

// Life counts how often this gateway has been cut off. What began in an earlier life and has only waited since must not go on: its client
// has had another gateway do it, and more after it.
func (t *Table) Life() uint64 { return t.life.Load() }

// CloseAll closes all volumes that this gateway answers, and begins another life. It does not wait.
func (t *Table) CloseAll() {
	t.life.Add(1)
	t.volumes.Range(func(_, x any) bool {
		if v := x.(*volume); v.now.Load().Here {
			t.become(v, Standing{})
		}
		return true
	})
}
