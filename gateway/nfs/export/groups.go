package export

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"causeway"
	"causeway/internal/setting"
)

// GroupsConfig configures Groups. Zero values are replaced by defaults.
type GroupsConfig struct {
	// Find asks the server's user database for all groups of a user. It must honour ctx.
	Find       func(ctx context.Context, uid uint32) ([]uint32, error)
	TTL        time.Duration // how long an answer counts, a failure for a tenth of it; default 5 minutes
	Timeout    time.Duration // of one Find; default 5 s
	MaxUsers   int           // users remembered; default 16,384
	MaxGroups  int           // groups kept per user, the rest is ignored; default 1,024
	MaxFinding int           // Finds at once; default 8
	Now        func() time.Time
}

// Validate sets defaults and names the field at fault.
func (c *GroupsConfig) Validate() error {
	if c.Find == nil {
		return errors.New("export: Find is needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return errors.Join(
		setting.Positive("export: MaxUsers", &c.MaxUsers, 16<<10), setting.Positive("export: MaxGroups", &c.MaxGroups, 1<<10),
		setting.Positive("export: MaxFinding", &c.MaxFinding, 8),
		setting.Positive("export: TTL", &c.TTL, 5*time.Minute), setting.Positive("export: Timeout", &c.Timeout, 5*time.Second),
	)
}

// Groups is a bounded cache in front of the user database: calls for one user that arrive together ask once, and a slow
// database holds up nobody whose answer is known.
type Groups struct {
	cfg   GroupsConfig
	slots chan struct{}

	mu    sync.Mutex
	users map[uint32]*user
}

var _ GroupLookup = (*Groups)(nil)

// user is an answer, or one that is awaited.
type user struct {
	ready  chan struct{} // closed when the rest is set
	groups []uint32
	err    error
	until  time.Time
}

// NewGroups returns an empty cache.
func NewGroups(cfg GroupsConfig) (*Groups, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Groups{cfg: cfg, slots: make(chan struct{}, cfg.MaxFinding), users: make(map[uint32]*user)}, nil
}

// Groups implements GroupLookup. A caller who may wait waits for the database at most for Timeout, and as long for a free
// slot.
func (g *Groups) Groups(uid uint32, noWait bool) ([]uint32, error) {
	g.mu.Lock()
	u := g.users[uid]
	if u != nil && u.done() && g.cfg.Now().After(u.until) {
		u = nil
	}
	if u == nil && noWait {
		g.mu.Unlock()
		return nil, causeway.ErrWouldBlock
	}
	if u == nil {
		u = &user{ready: make(chan struct{})}
		g.makeRoomLocked()
		g.users[uid] = u
		g.mu.Unlock()
		g.find(uid, u)
		return u.groups, u.err
	}
	g.mu.Unlock()
	if noWait && !u.done() {
		return nil, causeway.ErrWouldBlock
	}
	<-u.ready
	return u.groups, u.err
}

func (u *user) done() bool {
	select {
	case <-u.ready:
		return true
	default:
		return false
	}
}

func (g *Groups) find(uid uint32, u *user) {
	defer close(u.ready)
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Timeout)
	defer cancel()
	u.err = causeway.ErrDelay                 // until the database has answered
	u.until = g.cfg.Now().Add(g.cfg.TTL / 10) // a failure counts for less long
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-ctx.Done():
		return
	}
	groups, err := g.cfg.Find(ctx, uid)
	if u.err = err; err == nil {
		u.groups = slices.Clone(groups[:min(len(groups), g.cfg.MaxGroups)])
		u.until = g.cfg.Now().Add(g.cfg.TTL)
	}
}

// makeRoomLocked drops what is too old, and if that is nothing, any answered user: asking again costs little, and an order
// would cost every call.
func (g *Groups) makeRoomLocked() {
	if len(g.users) < g.cfg.MaxUsers {
		return
	}
	now := g.cfg.Now()
	for uid, u := range g.users {
		if u.done() && now.After(u.until) {
			delete(g.users, uid)
		}
	}
	for uid, u := range g.users {
		if len(g.users) < g.cfg.MaxUsers {
			return
		}
		if u.done() {
			delete(g.users, uid)
		}
	}
}

// Forget drops all answers: the user database has changed.
func (g *Groups) Forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for uid, u := range g.users {
		if u.done() {
			delete(g.users, uid)
		}
	}
}
