// Package spelling remembers how directories spell their names, for volumes where several spellings mean the same: those who look for a name
// need not list its directory each time. Which spellings are the same is the caller's affair: he gives keys that are equal for them. It lists
// nothing and decides no rights.
package spelling

import (
	"strings"
	"sync"
	"time"

	"causeway"
)

// Cache remembers which names directories hold, by their keys, so that a name that does not exist need not be
// looked for among all others each time one is made. What it knows holds for one state of a directory; a name that is made or removed
// here leads to the next state, anything else that happens makes it forget. The zero Cache is ready; it is bounded.
type Cache struct {
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

// Same reports whether both are attributes of a directory in one state.
func Same(a, b *causeway.Attr) bool { return stateOf(a) == stateOf(b) }

// Bounds of what is remembered. A directory that changed a tick ago may have changed since without showing it: what was listed then
// is good for soon.
const (
	maxNames = 1 << 20
	tick     = 50 * time.Millisecond
	soon     = time.Second
)

// Find returns how a name is spelt that has a key, "" if the directory has none. known is false if it has to be listed.
func (s *Cache) Find(dir causeway.Handle, a *causeway.Attr, key string, now time.Time) (stored string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dirs[dir]
	if d == nil || d.at != stateOf(a) || !d.settled && now.Sub(d.listed) > soon {
		return "", false
	}
	return d.byKey[key], true
}

// Gather notes a name that was listed, for [Cache.Listed]; key and name are borrowed. Of several with one key the first counts.
func Gather(byKey map[string]string, key, name string) {
	if len(byKey) <= maxNames && byKey[key] == "" {
		byKey[strings.Clone(key)] = strings.Clone(name)
	}
}

// Listed remembers the names of a directory in a state: byKey is the cache's from then on.
func (s *Cache) Listed(dir causeway.Handle, a *causeway.Attr, byKey map[string]string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(dir)
	if len(byKey) > maxNames {
		return
	}
	for other := range s.dirs {
		if s.held+len(byKey) <= maxNames {
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

func (s *Cache) forget(dir causeway.Handle) {
	if d := s.dirs[dir]; d != nil {
		s.held -= len(d.byKey)
		delete(s.dirs, dir)
	}
}

// Made follows a directory to its next state, in which it has one name more.
func (s *Cache) Made(dir causeway.Handle, c *causeway.Change, key, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.follow(dir, c)
	if d == nil {
		return
	}
	if _, ok := d.byKey[key]; !ok {
		d.byKey[key] = name
		s.held++
	}
}

// Gone follows a directory to its next state, in which it has one name less.
func (s *Cache) Gone(dir causeway.Handle, c *causeway.Change, key, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.follow(dir, c)
	if d == nil {
		return
	}
	if d.byKey[key] != name { // it had several that were the same
		s.forget(dir)
		return
	}
	delete(d.byKey, key)
	s.held--
}

// follow returns a directory that was known in the state before a change, as being in the state after it.
func (s *Cache) follow(dir causeway.Handle, c *causeway.Change) *spelled {
	d := s.dirs[dir]
	if d == nil || !c.Before.Valid() || !c.After.Valid() || d.at != stateOf(&c.Before) {
		return nil
	}
	d.at, d.settled = stateOf(&c.After), false
	return d
}
