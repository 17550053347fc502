// Package replies remembers how changes of names and attributes ended, where the volume is administered, so that a call which is
// repeated because its answer was lost is answered as it was the first time: at any gateway, and by a later owner of the volume.
//
// It stands before what makes the changes. A record says what was done, not how a protocol puts it: fronts encode it anew. Which calls
// are repetitions is the fronts' to say (gateway.Caller.Op); the second copy of each record is kept elsewhere (Copies).
package replies

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/internal/setting"
)

// Copies keeps what must not be lost with this gateway at another one.
type Copies interface {
	// Add hands a record over. It does not wait.
	Add(v causeway.VolumeID, op causeway.OpID, record []byte)
	// Wait returns when all that was added before is known to two gateways, or there is no other gateway.
	Wait(ctx context.Context, v causeway.VolumeID) error
	// Post has what was added before sent as soon as can be, without waiting. Until waits for that, not for what was added since.
	Post(v causeway.VolumeID) (mark uint64)
	Until(ctx context.Context, v causeway.VolumeID, mark uint64) error
}

// Config says what a Memory works with. Zero values are replaced by defaults.
type Config struct {
	Access     gateway.Access // makes the changes
	Copies     Copies         // nil: records are here alone
	MaxEntries int            // default 65,536; the oldest of clients that have many are forgotten first
	MaxAge     time.Duration  // default 5 minutes, longer than any client repeats a call
	Now        func() time.Time
	Log        *slog.Logger // default: none
}

// Validate sets defaults and names the field at fault.
func (c *Config) Validate() error {
	switch {
	case c.Access == nil:
		return errors.New("replies: Access is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return errors.Join(setting.Positive("replies: MaxEntries", &c.MaxEntries, 64<<10), setting.Positive("replies: MaxAge", &c.MaxAge, 5*time.Minute))
}

// Memory implements gateway.Access. It may be used by many goroutines.
type Memory struct {
	engine
	cfg Config

	mu      sync.Mutex
	entries map[key]*entry
	order   list.List             // finished entries, the oldest first
	clients map[source]*list.List // those of each client, likewise
}

// engine is what makes the changes. Embedded under its own name, Access would hide the method of that name.
type engine = gateway.Access

var _ gateway.Access = (*Memory)(nil)

type key struct {
	volume causeway.VolumeID
	op     causeway.OpID
}

// source is where a call came from: a client here, or one that is known to another gateway, which does not say who it is.
type source struct {
	client  netip.Addr
	gateway string
}

// entry is a call that runs, or has ended.
type entry struct {
	key
	ended   chan struct{} // closed when result is set, or the entry was given up
	given   bool          // up: it runs again when it comes again
	result  Result
	pending [2]causeway.ObjectID // what may not be stable yet
	at      time.Time
	client  source        // who called; none: another owner of the volume was asked
	inOrder *list.Element // nil while it runs
	inOwn   *list.Element // among those of its client
}

// New returns an empty Memory.
func New(cfg Config) (*Memory, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Memory{engine: cfg.Access, cfg: cfg, entries: make(map[key]*entry), clients: make(map[source]*list.List)}, nil
}

// once makes a change, or returns how it ended before.
func (m *Memory) once(ctx context.Context, c *gateway.Caller, v causeway.VolumeID, change func() (Result, error)) (Result, error) {
	if c.Op == (causeway.OpID{}) {
		return change()
	}
	k := key{v, c.Op}
	for {
		e, first := m.begin(k)
		if first {
			e.client = source{c.Client, c.Gateway}
			return m.run(ctx, c, e, change)
		}
		if c.NoWait {
			select {
			case <-e.ended:
			default:
				return Result{}, causeway.ErrWouldBlock
			}
		}
		select {
		case <-e.ended:
		case <-ctx.Done():
			return Result{}, ctx.Err()
		}
		if !e.given {
			return m.again(ctx, c, e)
		}
	}
}

// begin returns the entry of a call; first: the caller makes the change and ends the entry.
func (m *Memory) begin(k key) (e *entry, first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expireLocked()
	if e := m.entries[k]; e != nil {
		return e, false
	}
	e = &entry{key: k, ended: make(chan struct{})}
	m.entries[k] = e
	return e, true
}

// run makes the change and remembers how it ended, at two gateways before anybody is told.
func (m *Memory) run(ctx context.Context, c *gateway.Caller, e *entry, change func() (Result, error)) (r Result, err error) {
	ended := false
	defer func() {
		if !ended { // a panic, or an end that says nothing
			m.giveUp(e)
		}
	}()
	later := c.Later
	if later == nil && !c.NoWait && m.cfg.Copies != nil { // so that the sync and the copy are made at the same time
		c.Later = &gateway.Pending{}
		defer func() { c.Later = nil }()
	}
	r, err = change()
	m.trace(ctx, "a change has ended", e, err)
	if transient(err) {
		return r, err
	}
	r.Code = causeway.CodeOf(err)
	var pending [2]causeway.ObjectID
	if c.Later != nil && c.Later.Volume != 0 {
		pending = c.Later.Objects
	}
	m.finish(e, r, pending, true)
	ended = true
	if m.cfg.Copies == nil {
		return r, err
	}
	switch {
	case later != nil:
		later.Volume = e.volume // Persist waits for the copy, and for what else is pending
		return r, err
	case c.Later == nil || c.Later.Volume == 0:
	default:
		if lost := m.Persist(ctx, e.volume, pending[:]...); lost != nil {
			return Result{Code: causeway.CodeOf(lost)}, lost
		}
		return r, err
	}
	if waitErr := m.cfg.Copies.Wait(ctx, e.volume); waitErr != nil && err == nil {
		return r, waitErr
	}
	return r, err
}

func (m *Memory) trace(ctx context.Context, what string, e *entry, err error) {
	if m.cfg.Log.Enabled(ctx, slog.LevelDebug) {
		m.cfg.Log.LogAttrs(ctx, slog.LevelDebug, what, slog.Any("volume", e.volume), slog.Any("call", e.op), slog.Any("code", causeway.CodeOf(err)))
	}
}

// transient reports an end after which the call may be made again: it has changed nothing, or nobody knows.
func transient(err error) bool {
	switch causeway.CodeOf(err) {
	case causeway.ErrWouldBlock, causeway.ErrStaleEpoch, causeway.ErrDelay, causeway.ErrGrace, causeway.ErrMoved, causeway.ErrClosed:
		return true
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// finish ends an entry. fresh: no other gateway knows of it yet.
func (m *Memory) finish(e *entry, r Result, pending [2]causeway.ObjectID, fresh bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.result, e.pending, e.at = r, pending, m.cfg.Now()
	e.inOrder = m.order.PushBack(e)
	own := m.clients[e.client]
	if own == nil {
		own = list.New()
		m.clients[e.client] = own
	}
	e.inOwn = own.PushBack(e)
	for m.order.Len() > m.cfg.MaxEntries {
		m.forgetLocked(m.surplusLocked(own))
	}
	if fresh && m.cfg.Copies != nil { // a copy that begins now has either the entry or what is added
		m.cfg.Copies.Add(e.volume, e.op, r.encode())
	}
	close(e.ended)
}

func (m *Memory) giveUp(e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, e.key)
	e.given = true
	close(e.ended)
}

func (m *Memory) expireLocked() {
	oldest := m.cfg.Now().Add(-m.cfg.MaxAge)
	for e := m.order.Front(); e != nil && e.Value.(*entry).at.Before(oldest); e = m.order.Front() {
		m.forgetLocked(e.Value.(*entry))
	}
}

// maxLook bounds how many entries are looked at to find one of a client that has many.
const maxLook = 64

// surplusLocked is an entry that can be spared: the oldest one of who has more than his part, so that a client who makes ever more changes pushes out what
// he has made himself, and others are not told that theirs are yet to be made. own are the entries of who has just made one.
func (m *Memory) surplusLocked(own *list.List) *entry {
	fair := m.cfg.MaxEntries / len(m.clients)
	if own.Len() > fair {
		return own.Front().Value.(*entry)
	}
	at := m.order.Front()
	for range maxLook {
		if e := at.Value.(*entry); m.clients[e.client].Len() > fair {
			return e
		}
		if at = at.Next(); at == nil {
			break
		}
	}
	return m.order.Front().Value.(*entry)
}

func (m *Memory) forgetLocked(e *entry) {
	m.order.Remove(e.inOrder)
	own := m.clients[e.client]
	if own.Remove(e.inOwn); own.Len() == 0 {
		delete(m.clients, e.client)
	}
	delete(m.entries, e.key)
}

// again answers a repetition: no sooner than the first answer could have been given.
func (m *Memory) again(ctx context.Context, c *gateway.Caller, e *entry) (Result, error) {
	m.mu.Lock()
	r, pending := e.result, e.pending
	m.mu.Unlock()
	m.trace(ctx, "a change is repeated", e, r.Code)
	switch {
	case c.Later != nil && (m.cfg.Copies != nil || pending != [2]causeway.ObjectID{}):
		*c.Later = gateway.Pending{Volume: e.volume, Objects: pending}
	case pending == [2]causeway.ObjectID{}:
		if err := m.copied(ctx, c, e.volume); err != nil {
			return Result{}, err
		}
	case c.NoWait:
		return Result{}, causeway.ErrWouldBlock
	default:
		if err := m.Persist(ctx, e.volume, pending[:]...); err != nil {
			return Result{}, err
		}
	}
	if r.Code != causeway.OK {
		return r, r.Code
	}
	return r, nil
}

// copied waits until what is remembered is known to two gateways. That can take some time.
func (m *Memory) copied(ctx context.Context, c *gateway.Caller, v causeway.VolumeID) error {
	switch {
	case m.cfg.Copies == nil:
		return nil
	case c.NoWait:
		return causeway.ErrWouldBlock
	}
	return m.cfg.Copies.Wait(ctx, v)
}

// Persist implements gateway.Persister: changes are stable, and their records are known to two gateways. If that fails, the changes
// are remembered as lost: who was not told of them must not be told later that all is well.
func (m *Memory) Persist(ctx context.Context, v causeway.VolumeID, ids ...causeway.ObjectID) error {
	if m.cfg.Copies == nil {
		return m.lost(v, ids, m.engine.Persist(ctx, v, ids...))
	}
	mark := m.cfg.Copies.Post(v) // the copy is made while the storage is waited for
	err := m.lost(v, ids, m.engine.Persist(ctx, v, ids...))
	if waitErr := m.cfg.Copies.Until(ctx, v, mark); err == nil {
		err = waitErr
	}
	return err
}

// lost remembers changes of these objects as failed, if err says so.
func (m *Memory) lost(v causeway.VolumeID, ids []causeway.ObjectID, err error) error {
	if err == nil || transient(err) {
		return err
	}
	failed := make(map[causeway.ObjectID]bool, len(ids))
	for _, id := range ids {
		failed[id] = !id.IsZero()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for at := m.order.Front(); at != nil; at = at.Next() {
		if e := at.Value.(*entry); e.volume == v && (failed[e.pending[0]] || failed[e.pending[1]]) {
			e.result, e.pending = Result{Code: causeway.ErrIO}, [2]causeway.ObjectID{}
			if m.cfg.Copies != nil {
				m.cfg.Copies.Add(v, e.op, e.result.encode())
			}
		}
	}
	return err
}
