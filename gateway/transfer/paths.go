package transfer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/transfer/path"
	"causeway/internal/boottime"
	"causeway/internal/setting"
	"causeway/internal/sleep"
)

// PathsConfig says which paths there are. All is required but Rule, Lost, Changed, ProbeWithin, Hangs, Now and Log.
type PathsConfig struct {
	Here gateway.Transfer                               // moves bytes by this gateway's own path
	Via  func(node string) gateway.Transfer             // by way of another gateway: one attempt
	Open func(causeway.VolumeID) bool                   // this gateway has a path of its own
	Else func(causeway.VolumeID) []string               // the other gateways that may have one, the best first
	Rule path.Policy                                    // nil: path.Default
	Test func(context.Context, causeway.VolumeID) error // probes this gateway's own path

	// Lost is told that what was written by this gateway's own path, and not synced, may be lost. It is called before others learn that the
	// path is dead.
	Lost func(causeway.VolumeID)
	// Changed is told when the path died, with the error, when that is another one, and with nil when it is back. An error that is
	// context.DeadlineExceeded says that the storage does not answer: calls may hang that are still done. One call at a time for a volume.
	Changed func(causeway.VolumeID, error)

	ProbeWithin time.Duration // longer is a failure; default 2 s
	Hangs       time.Duration // a call and then a probe that take half as long each have the path suspected; 2 s at least, default 30 s
	Now         func() time.Duration
	Log         *slog.Logger
}

// Validate sets defaults and names the field at fault.
func (c *PathsConfig) Validate() error {
	if c.Here == nil || c.Via == nil || c.Open == nil || c.Else == nil || c.Test == nil {
		return errors.New("transfer: Here, Via, Open, Else and Test are needed")
	}
	if c.Rule == nil {
		c.Rule = path.Default{}
	}
	if c.Lost == nil {
		c.Lost = func(causeway.VolumeID) {}
	}
	if c.Changed == nil {
		c.Changed = func(causeway.VolumeID, error) {}
	}
	if c.Now == nil {
		c.Now = boottime.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Hangs != 0 && c.Hangs < 2*time.Second {
		return fmt.Errorf("transfer: Hangs (%v) must be 2s or more", c.Hangs)
	}
	return errors.Join(setting.Positive("transfer: ProbeWithin", &c.ProbeWithin, 2*time.Second), setting.Positive("transfer: Hangs", &c.Hangs, 30*time.Second))
}

// Paths implements gateway.Transfer by whichever path leads to the storage: this gateway's own, or another gateway. What fails by one is
// tried by another as the policy says; a path that failed is probed, and used again when it is back. As long as nothing fails it costs a
// look at two counters.
type Paths struct {
	cfg   PathsConfig
	own   counted
	ctx   context.Context
	stop  context.CancelFunc
	tasks sync.WaitGroup
	stats pathCounts

	troubled atomic.Int32 // volumes with a path that is not alive
	unsure   atomic.Int32 // objects with writes that are not settled
	inflight atomic.Pointer[map[causeway.VolumeID]*inflight]

	mu        sync.Mutex
	paths     map[causeway.VolumeID]*probed
	unsettled map[causeway.Handle]pin
	good      map[causeway.VolumeID]time.Duration // when a probe found nothing
	hangs     map[causeway.VolumeID]bool          // a patient probe is under way
}

// probed is a path of this gateway that failed, until it is alive again.
type probed struct {
	health path.Health
	news   chan struct{} // closed when the next probe has ended

	// Watch's alone.
	test chan error // of a probe that has not ended
	said string     // the error that was logged last
}

// pin holds an object's writes to the path by which an earlier one may still come.
type pin struct {
	path path.Path
	*path.Unsettled
}

var _ gateway.Transfer = (*Paths)(nil)

// NewPaths returns Paths that are all alive. Close ends it.
func NewPaths(cfg PathsConfig) (*Paths, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	x := &Paths{cfg: cfg, paths: make(map[causeway.VolumeID]*probed), unsettled: make(map[causeway.Handle]pin), good: make(map[causeway.VolumeID]time.Duration), hangs: make(map[causeway.VolumeID]bool)}
	x.own = counted{cfg.Here, x}
	x.inflight.Store(&map[causeway.VolumeID]*inflight{})
	x.ctx, x.stop = context.WithCancel(context.Background())
	x.tasks.Go(x.guard)
	return x, nil
}

// Close ends the probes.
func (x *Paths) Close() {
	x.mu.Lock()
	x.stop()
	x.mu.Unlock()
	x.tasks.Wait()
}

// Reaches reports whether this gateway moves a volume's bytes by a path of its own. It does not block.
func (x *Paths) Reaches(v causeway.VolumeID) bool {
	return x.cfg.Open(v) && (x.troubled.Load() == 0 || x.state(v) != path.Dead)
}

func (x *Paths) state(v causeway.VolumeID) path.State {
	x.mu.Lock()
	defer x.mu.Unlock()
	if p := x.paths[v]; p != nil {
		s, _ := p.health.State()
		return s
	}
	return path.Alive
}

// Suspect begins to probe a path by which something failed, and returns when it is known whether it is dead: nil if not.
func (x *Paths) Suspect(ctx context.Context, v causeway.VolumeID, fault error) error {
	news := x.suspect(v, fault)
	if news == nil {
		return causeway.ErrClosed
	}
	select {
	case <-news:
	case <-ctx.Done():
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if p := x.paths[v]; p != nil {
		if s, err := p.health.State(); s == path.Dead {
			return err
		}
	}
	return nil
}

// believed is how long an error is the storage's answer after a probe found nothing.
const believed = 10 * time.Second

// Doubt is for what is not done by paths: it returns what a client is told of an error of this gateway's own path. ErrDelay as long as the path
// is dead or that is being found out, else the error. It does not block.
func (x *Paths) Doubt(v causeway.VolumeID, err error) error {
	if verdict := x.cfg.Rule.Analyse(&path.Failure{Op: path.Read, Err: err}); !verdict.Suspect {
		return err
	} else if verdict.Action == path.Ask && x.state(v) != path.Dead { // files vanish all the time
		return err
	}
	x.mu.Lock()
	at, probed := x.good[v]
	answer := probed && x.paths[v] == nil && x.cfg.Now()-at < believed
	x.mu.Unlock()
	if answer || x.suspect(v, err) == nil {
		return err
	}
	return causeway.ErrDelay
}

// suspect returns what is closed when more is known; nil after Close.
func (x *Paths) suspect(v causeway.VolumeID, fault error) <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ctx.Err() != nil {
		return nil
	}
	p := x.paths[v]
	if p == nil {
		p = &probed{news: make(chan struct{})}
		p.health.Suspect(x.cfg.Now(), fault)
		x.paths[v] = p
		x.troubled.Add(1)
		x.tasks.Go(func() { x.watch(v, p) })
	}
	return p.news
}

// watch probes a path until it is alive.
func (x *Paths) watch(v causeway.VolumeID, p *probed) {
	for {
		x.mu.Lock()
		wait, needed := p.health.Due(x.cfg.Now())
		x.mu.Unlock()
		if !needed || !sleep.For(x.ctx, wait) {
			return
		}
		err := x.probe(v, p)
		if x.ctx.Err() != nil {
			return
		}
		x.judge(v, p, err)
	}
}

// judge notes how a probe ended, and tells those who wait.
func (x *Paths) judge(v causeway.VolumeID, p *probed, fault error) {
	x.mu.Lock()
	last, _ := p.health.State()
	x.mu.Unlock()
	if fault != nil && last != path.Dead {
		x.cfg.Lost(v)
	}
	x.mu.Lock()
	changed := p.health.Probed(x.cfg.Now(), fault)
	now, _ := p.health.State()
	if now == path.Alive {
		delete(x.paths, v)
		if delete(x.good, v); !changed { // it was not dead: whatever fails is the storage's answer
			x.good[v] = x.cfg.Now()
		}
		x.troubled.Add(-1)
	}
	close(p.news)
	p.news = make(chan struct{})
	x.mu.Unlock()
	other := fault != nil && fault.Error() != p.said
	if p.said = ""; fault != nil {
		p.said = fault.Error()
	}
	switch {
	case changed && now == path.Dead:
		x.stats.died.Add(1)
		x.cfg.Log.Warn("the storage of a volume is out of reach: other gateways move its bytes", "volume", v, "err", fault)
		x.cfg.Changed(v, fault)
	case changed:
		x.stats.back.Add(1)
		x.cfg.Log.Info("the storage of a volume is in reach again", "volume", v)
		x.cfg.Changed(v, nil)
	case other:
		x.cfg.Log.Info("the storage of a volume stays out of reach", "volume", v, "err", fault)
		x.cfg.Changed(v, fault)
	}
}

// probe asks the storage. One that hangs is left alone, as nothing ends what a kernel waits for, and no other begun beside it.
func (x *Paths) probe(v causeway.VolumeID, p *probed) error {
	ctx, cancel := context.WithTimeout(x.ctx, x.cfg.ProbeWithin)
	defer cancel()
	if p.test == nil {
		x.stats.probes.Add(1)
		ended := make(chan error, 1)
		p.test = ended
		ctx, over := context.WithTimeout(context.WithoutCancel(ctx), x.cfg.ProbeWithin)
		go func() { defer over(); ended <- x.cfg.Test(ctx, v) }()
	}
	select {
	case err := <-p.test:
		p.test = nil
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
