package smb

import (
	"strings"
	"sync"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/smb/names"
	"causeway/gateway/smb/ntstatus"
)

// spellings remembers which names directories hold, by what makes spellings the same, so that a name that does not exist need not be
// looked for among all others each time one is made. What it knows holds for one state of a directory; a name that is made
// here leads to the next state, anything else that happens makes it forget.
type spellings struct {
	mu   sync.Mutex
	dirs map[causeway.Handle]*spelled
	held int // names in all of them
}

// spelled are the names of a directory.
type spelled struct {
	at      state
	listed  time.Time
	settled bool // what changed it next is sure to have another state
	byKey   map[string]string
}

// state tells the states of a directory apart, but for changes within one tick of the storage's clock.
type state struct {
	change       uint64
	mtime, ctime causeway.Time
}

func stateOf(a *causeway.Attr) state { return state{a.Change, a.Mtime, a.Ctime} }

// Bounds of what is remembered. A directory that changed a tick ago may have changed since without showing it: what was listed then
// is good for soon.
const (
	maxSpelled = 1 << 20
	tick       = 50 * time.Millisecond
	soon       = time.Second
)

// find returns how a name is spelt that has a key, "" if the directory has none. known is false if it has to be listed.
func (s *spellings) find(dir causeway.Handle, a *causeway.Attr, key string, now time.Time) (stored string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dirs[dir]
	if d == nil || d.at != stateOf(a) || !d.settled && now.Sub(d.listed) > soon {
		return "", false
	}
	return d.byKey[key], true
}

// listed remembers the names of a directory in a state.
func (s *spellings) listed(dir causeway.Handle, a *causeway.Attr, byKey map[string]string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(dir)
	if len(byKey) > maxSpelled {
		return
	}
	for other := range s.dirs {
		if s.held+len(byKey) <= maxSpelled {
			break
		}
		s.forget(other)
	}
	if s.dirs == nil {
		s.dirs = map[causeway.Handle]*spelled{}
	}
	s.dirs[dir] = &spelled{at: stateOf(a), listed: now, settled: now.Sub(a.Ctime.Std()) > tick, byKey: byKey}
	s.held += len(byKey)
}

func (s *spellings) forget(dir causeway.Handle) {
	if d := s.dirs[dir]; d != nil {
		s.held -= len(d.byKey)
		delete(s.dirs, dir)
	}
}

// made follows a directory to its next state, in which it has one name more.
func (s *spellings) made(dir causeway.Handle, c *causeway.Change, key, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dirs[dir]
	if d == nil || !c.Before.Valid() || !c.After.Valid() || d.at != stateOf(&c.Before) {
		return
	}
	d.at, d.settled = stateOf(&c.After), false
	if _, ok := d.byKey[key]; !ok {
		d.byKey[key] = name
		s.held++
	}
}

// spelling finds how a directory spells a name that it does not have as such. "": not at all.
func (m *message) spelling(dir causeway.Handle, a *causeway.Attr, folding names.Folding, name string) (stored string, err error) {
	s, key, now := &m.conn.srv.spellings, folding.Key(name), m.conn.srv.cfg.Now()
	if !names.LooksShort(name) && !causeway.NeedsACL(&m.caller.Cred, a) && causeway.Permit(&m.caller.Cred, a, causeway.MayRead) != 0 {
		if stored, known := s.find(dir, a, key, now); known {
			return stored, nil
		}
	}
	if err := m.turnToList(); err != nil {
		return "", err
	}
	defer func() { <-m.conn.srv.listings }()
	byKey, short := map[string]string{}, ""
	looksShort := names.LooksShort(name)
	listed, eof, err := m.conn.srv.cfg.Access.ReadDir(m.conn.ctx, &m.caller, dir, 0, gateway.WantNames, func(e *causeway.DirEntry) bool {
		k := folding.Key(e.Name)
		if k == key && stored == "" {
			stored = strings.Clone(e.Name)
		}
		if looksShort && short == "" && strings.EqualFold(names.Short(e.Name), name) {
			short = strings.Clone(e.Name)
		}
		if len(byKey) <= maxSpelled && byKey[k] == "" {
			byKey[strings.Clone(k)] = strings.Clone(e.Name)
		}
		return true
	})
	if err != nil {
		return "", err
	}
	if stored == "" && short != "" {
		return short, nil
	}
	if eof && stateOf(&listed) == stateOf(a) {
		s.listed(dir, a, byKey, now)
	}
	return stored, nil
}

// maxListings is how many directories are listed at a time for that: each takes memory for all names of one.
const maxListings = 4

// turnToList waits until one more may be listed.
func (m *message) turnToList() error {
	s := m.conn.srv
	select {
	case s.listings <- struct{}{}:
		return nil
	default:
	}
	if m.reader {
		return causeway.ErrWouldBlock
	}
	select {
	case s.listings <- struct{}{}:
		return nil
	case <-m.conn.ctx.Done():
		return ntstatus.Cancelled
	}
}
