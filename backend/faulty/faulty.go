// Package faulty makes storage misbehave, for tests of what stands on it. It has two parts that are used alone or together:
//
// Store wraps any backend.Store and lets calls fail or wait by rules.
//
// Volatile is a store in memory that forgets, at Crash, everything that was not made stable: a disk with its cache, and a
// kernel that dies. What exactly is kept is said at Volatile.
//
// Faults of the network do not belong here.
package faulty

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"causeway"
	"causeway/backend"
	"causeway/internal/sleep"
)

// Op names a method for a Rule.
type Op uint8

// The methods. Zero in a Rule means any of them.
const (
	OpLookup Op = iota + 1
	OpStat
	OpSetStat
	OpList
	OpReadLink
	OpCreate
	OpRemove
	OpRename
	OpLink
	OpStatFS
	OpPersist
	OpOpen
	OpExtents
	OpObjectStat
	OpReadAt
	OpWriteAt
	OpPunch
	OpSync
)

// Rule says which calls fail or wait. The first rule that takes a call decides it alone.
type Rule struct {
	Op          Op                // zero: any
	Object      causeway.ObjectID // the call's (first) object or directory; zero: any
	Skip        int               // so many matching calls pass first: Skip n-1 and Times 1 is the nth call
	Times       int               // so many calls are taken at most; zero: no limit
	Probability float64           // of taking a call; zero: certain
	Delay       time.Duration     // wait before anything else
	Code        causeway.Code     // the error; OK: the call only waits
	Cause       error             // an errno below the code, as a file system would give; nil: the bare code
	After       bool              // the call is carried out, but its answer is the error
}

// Config configures a Store.
type Config struct {
	Rules []Rule
	Seed  uint64                                           // of the probabilities
	Sleep func(ctx context.Context, d time.Duration) error // waits or returns the context's error; real time if nil
}

// Validate sets defaults.
func (c *Config) Validate() error {
	if c.Sleep == nil {
		c.Sleep = func(ctx context.Context, d time.Duration) error {
			if !sleep.For(ctx, d) {
				return ctx.Err()
			}
			return nil
		}
	}
	return nil
}

// armed is a rule with its counts.
type armed struct {
	Rule
	seen, taken int
}

// Store lets calls of another store fail or wait. Its objects never offer a descriptor: bytes would pass by the rules.
type Store struct {
	inner backend.Store
	sleep func(ctx context.Context, d time.Duration) error

	mu    sync.Mutex
	rnd   *rand.Rand
	rules []*armed
	fired map[Op]int
}

var _ backend.Store = (*Store)(nil)

// New wraps a store.
func New(inner backend.Store, cfg Config) *Store {
	_ = cfg.Validate() // sets defaults only
	s := &Store{inner: inner, sleep: cfg.Sleep, rnd: rand.New(rand.NewPCG(cfg.Seed, 0)), fired: make(map[Op]int)}
	s.SetRules(cfg.Rules...)
	return s
}

// SetRules replaces the rules; counts start anew.
func (s *Store) SetRules(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
	for _, r := range rules {
		s.rules = append(s.rules, &armed{Rule: r})
	}
}

// Fired returns how many calls of op were taken by rules.
func (s *Store) Fired(op Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fired[op]
}

// take finds the rule for a call; the zero Rule does nothing.
func (s *Store) take(op Op, id causeway.ObjectID) Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		if r.Op != 0 && r.Op != op || !r.Object.IsZero() && r.Object != id || r.Times > 0 && r.taken == r.Times {
			continue
		}
		if r.seen++; r.seen <= r.Skip || r.Probability > 0 && s.rnd.Float64() >= r.Probability {
			continue
		}
		r.taken++
		s.fired[op]++
		return r.Rule
	}
	return Rule{}
}

// call carries a call out as the rules have it.
func (s *Store) call(ctx context.Context, op Op, id causeway.ObjectID, do func() error) error {
	r, err := s.meet(ctx, op, id)
	if err != nil {
		return err
	}
	return r.answer(do())
}

// meet finds the rule for a call and lets the call wait or fail before it is carried out.
func (s *Store) meet(ctx context.Context, op Op, id causeway.ObjectID) (Rule, error) {
	r := s.take(op, id)
	if r.Delay > 0 {
		if err := s.sleep(ctx, r.Delay); err != nil {
			return r, err
		}
	}
	if r.Code != causeway.OK && !r.After {
		return r, r.fault()
	}
	return r, nil
}

// fault is the error of the rule.
func (r *Rule) fault() error {
	if r.Cause == nil {
		return r.Code
	}
	return &causeway.Error{Op: "faulty", Code: r.Code, Err: r.Cause}
}

// answer is what the caller is told of a call that was carried out.
func (r *Rule) answer(err error) error {
	if err == nil && r.Code != causeway.OK {
		return r.fault()
	}
	return err
}
