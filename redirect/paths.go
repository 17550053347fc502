package redirect

import (
	"slices"
	"time"
)

// PathState says whether a path may be taken.
type PathState uint8

// The states.
const (
	Valid  PathState = iota
	Failed           // I/O on it failed; it is probed
)

// String is valid or failed.
func (s PathState) String() string {
	if s == Valid {
		return "valid"
	}
	return "failed"
}

// Path is a way of a client to a resource: the line of the table.
type Path struct {
	Resource   string // a volume
	Gateway    string
	Added      time.Time
	Redirected time.Time // when the client was sent to it last; zero: never
	State      PathState
	Since      time.Time // of the state
	Probed     time.Time // the last time
	seq        uint64    // tells apart what came at one moment
}

// Paths is a client's table of paths: its single system image. It is not safe for concurrent use.
type Paths struct {
	Probe time.Duration // between two probes of a failed path; 0: 500 ms

	paths   []*Path
	current map[string]*Path
	seq     uint64
}

// Add enters a path, unless it is there.
func (t *Paths) Add(resource, gateway string, now time.Time) {
	if t.find(resource, gateway) != nil {
		return
	}
	t.seq++
	t.paths = append(t.paths, &Path{Resource: resource, Gateway: gateway, Added: now, Since: now, seq: t.seq})
}

// Remove deletes a path: the gateway is no more, or does not serve the resource.
func (t *Paths) Remove(resource, gateway string) {
	t.paths = slices.DeleteFunc(t.paths, func(p *Path) bool { return p.Resource == resource && p.Gateway == gateway })
	if p := t.current[resource]; p != nil && p.Gateway == gateway {
		delete(t.current, resource)
	}
}

func (t *Paths) find(resource, gateway string) *Path {
	for _, p := range t.paths {
		if p.Resource == resource && p.Gateway == gateway {
			return p
		}
	}
	return nil
}

// Current returns the path that is taken now: the one chosen last if it is valid, else the oldest valid one.
func (t *Paths) Current(resource string) (Path, bool) {
	if p := t.current[resource]; p != nil && p.State == Valid {
		return *p, true
	}
	p := t.best(resource, func(a, b *Path) bool { return a.seq < b.seq })
	if p == nil {
		return Path{}, false
	}
	t.take(p)
	return *p, true
}

func (t *Paths) take(p *Path) {
	if t.current == nil {
		t.current = map[string]*Path{}
	}
	t.current[p.Resource] = p
}

// best returns the valid path of a resource that comes before all others.
func (t *Paths) best(resource string, before func(a, b *Path) bool) (best *Path) {
	for _, p := range t.paths {
		if p.Resource == resource && p.State == Valid && (best == nil || before(p, best)) {
			best = p
		}
	}
	return best
}

// Redirect takes the path to a gateway. It reports false, and changes nothing, if that path is not valid.
func (t *Paths) Redirect(resource, gateway string, now time.Time) bool {
	p := t.find(resource, gateway)
	if p == nil || p.State != Valid {
		return false
	}
	t.leave(resource)
	p.Redirected = now
	t.take(p)
	return true
}

// leave notes that the current path was used: it is not the next one to be taken.
func (t *Paths) leave(resource string) {
	if p := t.current[resource]; p != nil && p.Redirected.IsZero() {
		p.Redirected = p.Added
	}
}

// RedirectAnywhere takes the valid path, other than the current one, to which the client was sent the longest time ago.
func (t *Paths) RedirectAnywhere(resource string, now time.Time) (Path, bool) {
	here := t.current[resource]
	p := t.best(resource, func(a, b *Path) bool {
		if (a == here) != (b == here) {
			return b == here
		}
		return a.Redirected.Before(b.Redirected) || a.Redirected.Equal(b.Redirected) && a.seq < b.seq
	})
	if p == nil || p == here {
		return Path{}, false
	}
	t.leave(resource)
	p.Redirected = now
	t.take(p)
	return *p, true
}

// Fail marks all paths to a gateway. What is taken next is the oldest valid path of each resource.
func (t *Paths) Fail(gateway string, now time.Time) {
	for _, p := range t.paths {
		if p.Gateway == gateway && p.State == Valid {
			p.State, p.Since, p.Probed = Failed, now, now
		}
	}
}

// Probes returns the gateways with failed paths that are due to be probed, each once, and notes that they are.
func (t *Paths) Probes(now time.Time) (gateways []string) {
	every := t.Probe
	if every <= 0 {
		every = 500 * time.Millisecond
	}
	for _, p := range t.paths {
		if p.State == Failed && now.Sub(p.Probed) >= every {
			p.Probed = now
			if !slices.Contains(gateways, p.Gateway) {
				gateways = append(gateways, p.Gateway)
			}
		}
	}
	return gateways
}

// Alive takes the paths to a gateway back in.
func (t *Paths) Alive(gateway string, now time.Time) {
	for _, p := range t.paths {
		if p.Gateway == gateway && p.State == Failed {
			p.State, p.Since = Valid, now
		}
	}
}

// All lists the paths of a resource in the order in which they came.
func (t *Paths) All(resource string) (out []Path) {
	for _, p := range t.paths {
		if p.Resource == resource {
			out = append(out, *p)
		}
	}
	return out
}
