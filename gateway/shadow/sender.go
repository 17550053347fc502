package shadow

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"causeway"
	"causeway/internal/sleep"
)

// Config says what a Sender works with.
type Config struct {
	Network Network
	// Choose returns the other gateways that live and may keep the copy of a volume, the best one first.
	Choose func(causeway.VolumeID) []string
	// All returns everything that is to be known of a volume: a copy begins with it. What is added while it runs may be in it or not.
	All func(context.Context, causeway.VolumeID) ([]Record, error)
	// Note remembers, where the death of gateways does not reach, that no copy before this version counts from now on: what is answered
	// next is in none of them. nil: nobody does.
	Note func(context.Context, causeway.VolumeID, Version) error
	// Within is how long a gateway has to take a batch; one that does not is left out for Shun, or longer where
	// there are many. Defaults 300 ms and 1 s.
	Within, Shun time.Duration
	// Alone is for how long no gateway that lives has to have taken a copy before this one goes on without: longer than it remains a
	// member when it cannot reach the database. Else one that is cut off from all answers what nobody will know. Default 2.5 s.
	Alone time.Duration
	Log   *slog.Logger
}

// Validate names the field at fault.
func (c *Config) Validate() error {
	switch {
	case c.Network == nil:
		return errors.New("shadow: Network is missing")
	case c.Choose == nil:
		return errors.New("shadow: Choose is missing")
	case c.All == nil:
		return errors.New("shadow: All is missing")
	case c.Within < 0 || c.Shun < 0 || c.Alone < 0:
		return errors.New("shadow: Within, Shun or Alone is negative")
	}
	if c.Within == 0 {
		c.Within = 300 * time.Millisecond
	}
	if c.Shun == 0 {
		c.Shun = time.Second
	}
	if c.Alone == 0 {
		c.Alone = 2500 * time.Millisecond
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Sender keeps the copies of the volumes that this gateway owns at other gateways. Records that are added while a batch is under way
// travel together in the next one, by one of those who wait for them. It may be used by many goroutines.
type Sender struct {
	cfg Config

	mu      sync.Mutex
	volumes map[causeway.VolumeID]*volume
}

// volume is one that this gateway owns.
type volume struct {
	id    causeway.VolumeID
	epoch causeway.Epoch

	mu      sync.Mutex
	node    string // that keeps the copy; "": none yet
	alone   bool   // nobody keeps one, and what was kept does not count
	unnoted bool   // whose the copy is could not be noted
	term    uint64
	seq     uint64
	queue   []Record // not sent yet
	added   uint64   // records ever
	safe    uint64   // of them at two gateways
	sending chan struct{}
	again   bool                 // something is to be posted when that has ended
	failed  map[string]int       // times in a row
	shunned map[string]time.Time // until when
	silent  time.Time            // since when nobody has taken a copy; zero: the last one was taken
}

// chances is how often in a row a gateway may fail before it is left out: a connection that breaks is no gateway that dies.
const chances = 2

// New returns a Sender without volumes: what is added for others is dropped, and nobody waits for it.
func New(cfg Config) (*Sender, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Sender{cfg: cfg, volumes: make(map[causeway.VolumeID]*volume)}, nil
}

// Begin makes this gateway the owner of a volume. The copy begins with the first record that is waited for.
func (s *Sender) Begin(id causeway.VolumeID, e causeway.Epoch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volumes[id] = &volume{id: id, epoch: e, failed: make(map[string]int), shunned: make(map[string]time.Time)}
}

// End forgets a volume that another gateway owns.
func (s *Sender) End(id causeway.VolumeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.volumes, id)
}

// Gone tells that a gateway has ended, also if it is there again: what it kept it may not keep any more. The next Refresh begins anew.
func (s *Sender) Gone(node string) {
	for _, v := range s.all() {
		v.mu.Lock()
		if v.node == node {
			v.node = ""
		}
		v.mu.Unlock()
	}
}

func (s *Sender) all() []*volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.volumes))
}

func (s *Sender) volume(id causeway.VolumeID) *volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.volumes[id]
}

// Add hands records over. It does not wait.
func (s *Sender) Add(id causeway.VolumeID, list ...Record) {
	if v := s.volume(id); v != nil {
		v.mu.Lock()
		v.queue = append(v.queue, list...)
		v.added += uint64(len(list))
		v.mu.Unlock()
	}
}

// Wait returns when all that was added before is known to two gateways, or no other one takes it.
func (s *Sender) Wait(ctx context.Context, id causeway.VolumeID) error {
	return s.Until(ctx, id, math.MaxUint64)
}

// Post sends what was added before, now or after the batch that is under way, without waiting. Where it would have to wait, Until sends.
func (s *Sender) Post(id causeway.VolumeID) (mark uint64) {
	v := s.volume(id)
	if v == nil {
		return 0
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	s.postLocked(v)
	return v.added
}

// Until is Wait for what was added before Post returned mark.
func (s *Sender) Until(ctx context.Context, id causeway.VolumeID, mark uint64) error {
	v := s.volume(id)
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for want := min(mark, v.added); v.safe < want; { // a mark of an earlier ownership may be higher
		if busy := v.sending; busy != nil {
			v.mu.Unlock()
			select {
			case <-busy:
			case <-ctx.Done():
			}
			v.mu.Lock()
		} else if err := s.sendLocked(ctx, v); err != nil {
			return err
		}
		if ctx.Err() != nil && v.safe < want {
			return ctx.Err()
		}
	}
	return nil
}

// Refresh begins new copies where another gateway than the present one shall keep them, without waiting for the next change. It is
// called every now and then, and when gateways have come or gone.
func (s *Sender) Refresh(ctx context.Context) error {
	all := s.all()
	errs, turns := make([]error, len(all)), make(chan struct{}, refreshAtOnce)
	var tasks sync.WaitGroup
	for i, v := range all {
		v.mu.Lock()
		stands := v.sending != nil || !v.unnoted && v.node == s.chooseLocked(v)
		v.mu.Unlock()
		if stands {
			continue
		}
		turns <- struct{}{}
		tasks.Go(func() {
			defer func() { <-turns }()
			v.mu.Lock()
			defer v.mu.Unlock()
			if v.sending == nil {
				errs[i] = s.sendLocked(ctx, v)
			}
		})
	}
	tasks.Wait()
	return errors.Join(errs...)
}

// refreshAtOnce is how many copies Refresh begins at a time: each waits for another gateway, and for the configuration database.
const refreshAtOnce = 8

// chooseLocked returns the gateway that shall keep the copy, "" for none.
func (s *Sender) chooseLocked(v *volume) string {
	nodes, now := s.cfg.Choose(v.id), time.Now()
	for _, node := range nodes {
		if until, ok := v.shunned[node]; !ok || now.After(until) {
			return node
		}
	}
	if len(nodes) == 0 || !v.silent.IsZero() && now.Sub(v.silent) >= s.cfg.Alone {
		return ""
	}
	return slices.MinFunc(nodes, func(a, b string) int { return v.shunned[a].Compare(v.shunned[b]) })
}

// sendLocked sends what is queued, and unlocks while it does. A gateway that fails is no error: the next one is tried then.
func (s *Sender) sendLocked(ctx context.Context, v *volume) error {
	done := make(chan struct{})
	v.sending = done
	defer func() {
		v.sending = nil
		close(done)
		if v.again {
			v.again = false
			s.postLocked(v)
		}
	}()
	node := s.chooseLocked(v)
	if node == "" && v.alone && !v.unnoted { // what is here is all that there can be
		v.safe, v.queue = v.added, nil
		return nil
	}
	upTo, batch, note := v.added, s.batchLocked(v, node), v.unnoted
	v.mu.Unlock()
	begun := time.Now()
	unnoted, err := s.deliver(ctx, node, batch, note)
	v.mu.Lock()
	v.unnoted = unnoted
	failed := s.sentLocked(v, node, upTo, begun, err)
	if pause := s.cfg.Within/10 - time.Since(begun); v.safe < upTo && failed == nil && pause > 0 { // it failed at once: so may the next one
		v.mu.Unlock()
		sleep.For(ctx, pause)
		v.mu.Lock()
	}
	return failed
}

// batchLocked takes what is queued. For another gateway than the present one, and for none, a new term begins.
func (s *Sender) batchLocked(v *volume, node string) *Batch {
	b := &Batch{Volume: v.id, Records: v.queue}
	v.queue = nil
	if node != v.node || node == "" && !v.alone {
		v.node, v.alone, v.seq, b.Whole = node, node == "", 0, true
		v.term++
	}
	v.seq++
	b.Seq, b.Version = v.seq, Version{v.epoch, v.term}
	return b
}

// deliver sends a batch to a gateway, if there is one, and notes the beginning of a term. Who cannot goes on and tries again: while the
// configuration database does not answer nobody else becomes the owner either. unnoted: that is still to be done.
func (s *Sender) deliver(ctx context.Context, node string, b *Batch, note bool) (unnoted bool, err error) {
	if node != "" {
		if err := s.send(ctx, node, b); err != nil {
			return note, err
		}
	}
	if s.cfg.Note == nil || !note && !b.Whole {
		return false, nil
	}
	s.cfg.Log.Debug("a second copy has begun", "node", node, "volume", b.Volume, "term", b.Version.Term)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Within)
	defer cancel()
	if err := s.cfg.Note(ctx, b.Volume, b.Version); err != nil {
		s.cfg.Log.Debug("from when on a second copy counts is not noted", "node", node, "volume", b.Volume, "err", err)
		return true, nil
	}
	return false, nil
}

// postLocked sends what is queued to the gateway that has what came before, if that needs no waiting.
func (s *Sender) postLocked(v *volume) {
	post, ok := s.cfg.Network.(Poster)
	if !ok || v.node == "" || v.safe == v.added {
		return
	}
	if v.sending != nil {
		v.again = true
		return
	}
	node, upTo, begun, done := v.node, v.added, time.Now(), make(chan struct{})
	if s.chooseLocked(v) != node {
		return
	}
	b := &Batch{Volume: v.id, Version: Version{v.epoch, v.term}, Seq: v.seq + 1, Records: v.queue}
	if !post.Post(node, b, s.cfg.Within, func(err error) { s.posted(v, node, upTo, begun, done, err) }) {
		return
	}
	v.seq, v.queue, v.sending = b.Seq, nil, done
}

// posted is told of the end of what was posted. Who waits for it sends by himself what has failed.
func (s *Sender) posted(v *volume, node string, upTo uint64, begun time.Time, done chan struct{}, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	_ = s.sentLocked(v, node, upTo, begun, err)
	v.sending = nil
	close(done)
	if v.again {
		v.again = false
		s.postLocked(v)
	}
}

// sentLocked notes how a batch has ended that was sent at a time.
func (s *Sender) sentLocked(v *volume, node string, upTo uint64, begun time.Time, err error) error {
	switch {
	case err == nil && node == "":
		v.safe = upTo
		return nil
	case err == nil:
		v.safe, v.silent = upTo, time.Time{}
		delete(v.failed, node)
		return nil
	case causeway.CodeOf(err) == causeway.ErrStaleEpoch:
		v.node = ""
		return err // somebody else owns the volume: no answer may leave
	case causeway.CodeOf(err) != causeway.ErrNotSync:
		if v.silent.IsZero() {
			v.silent = begun
		}
		if v.failed[node]++; v.failed[node] >= chances {
			v.shunned[node] = time.Now().Add(s.shun(v.id))
			delete(v.failed, node)
		}
		if begun.Sub(v.silent) < s.cfg.Within || v.shunned[node].Before(begun) { // the news of a silence, not each attempt to end it
			s.cfg.Log.Warn("a second copy is not kept", "node", node, "volume", v.id, "err", err)
		}
	}
	v.node = "" // what is kept there is not known: the next batch is whole
	return nil
}

// shun is how long a gateway is left out: not less than it takes to find out that all others do not answer either. Else who is cut off from
// all of them would begin anew with the first, and never go on alone.
func (s *Sender) shun(id causeway.VolumeID) time.Duration {
	return max(s.cfg.Shun, time.Duration(chances*len(s.cfg.Choose(id)))*s.cfg.Within)
}

// send is not given up with the call that happened to do it: others wait for it too.
func (s *Sender) send(ctx context.Context, node string, b *Batch) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Within)
	defer cancel()
	if b.Whole {
		all, err := s.cfg.All(ctx, b.Volume)
		if err != nil {
			return err
		}
		b.Records = all
	}
	return s.cfg.Network.Keep(ctx, node, b)
}
