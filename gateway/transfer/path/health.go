package path

import "time"

// State is what is known of a path.
type State uint8

// The states.
const (
	Alive   State = iota // nothing speaks against it
	Suspect              // I/O failed: a probe is due at once, and other I/O still uses it
	Dead                 // a probe failed: nothing uses it but probes
)

// String names the state, as metrics do.
func (s State) String() string { return [...]string{"alive", "suspect", "dead"}[s] }

// Bounds of the pause between probes of a dead path, and how many of them in a row must succeed: storage that comes and goes is
// away.
const (
	firstProbe = 100 * time.Millisecond
	mostProbe  = 2 * time.Second
	enough     = 2
)

// Health remembers how a path is. It is a value without a clock of its own: times are given, of one clock.
type Health struct {
	state State
	due   time.Duration // of the next probe
	pause time.Duration
	good  int // probes in a row that succeeded
	fault error
}

// State returns what is known, and the error that speaks against it.
func (h *Health) State() (State, error) { return h.state, h.fault }

// Suspect notes that I/O failed as if the path were dead. It reports whether that is news: somebody has to probe.
func (h *Health) Suspect(now time.Duration, fault error) bool {
	if h.state != Alive {
		return false
	}
	h.state, h.due, h.fault = Suspect, now, fault
	return true
}

// Probed notes how a probe ended. It reports whether the path died or came back by it.
func (h *Health) Probed(now time.Duration, err error) (changed bool) {
	switch {
	case err == nil && h.state == Suspect:
		h.state, h.fault, h.pause = Alive, nil, 0
		return false
	case err == nil && h.state == Dead:
		if h.good++; h.good >= enough {
			*h = Health{}
			return true
		}
		h.due = now + firstProbe
	case err != nil:
		changed = h.state != Dead
		h.state, h.fault, h.good = Dead, err, 0
		h.pause = min(max(2*h.pause, firstProbe), mostProbe)
		h.due = now + h.pause
	}
	return changed
}

// Due returns how long it is until the next probe; false: none is needed.
func (h *Health) Due(now time.Duration) (time.Duration, bool) {
	if h.state == Alive {
		return 0, false
	}
	return max(0, h.due-now), true
}
