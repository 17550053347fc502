package access

import (
	"sync"

	"causeway"
)

// stickies are locks of directories, by a hash of their handles. Changes of names share them, but for those whose decision another change
// must not come between: who may take a name away in a sticky directory depends on whose object it stands for, so between that question and
// the change no other change may put another's object under it; and where two names turn out to be one object, a rename does nothing, which
// is right only as long as both are there.
type stickies [64]sync.RWMutex

func (s *stickies) stripe(dir causeway.Handle) int { return int(dir.Hash() % uint64(len(s))) }

// heldStripes are one or two locks that are held.
type heldStripes struct {
	s     *stickies
	n     int
	at    [2]int
	alone [2]bool
}

// hold locks those of one or two directories under change, alone where they are sticky, or if that is asked for.
func (s *stickies) hold(alone bool, dirs ...*change) heldStripes {
	h := heldStripes{s: s, n: len(dirs)}
	for i, d := range dirs {
		sticky := d.before.Type == causeway.TypeDirectory && (d.before.Mode&causeway.ModeSticky != 0 || d.v.shared())
		h.at[i], h.alone[i] = d.stripe, alone || sticky
	}
	if h.n == 2 && h.at[0] == h.at[1] {
		h.n, h.alone[0] = 1, h.alone[0] || h.alone[1]
	} else if h.n == 2 && h.at[0] > h.at[1] { // the same order for everybody
		h.at[0], h.at[1] = h.at[1], h.at[0]
		h.alone[0], h.alone[1] = h.alone[1], h.alone[0]
	}
	for i := range h.n {
		if h.alone[i] {
			s[h.at[i]].Lock()
		} else {
			s[h.at[i]].RLock()
		}
	}
	return h
}

func (h *heldStripes) release() {
	for i := range h.n {
		if h.alone[i] {
			h.s[h.at[i]].Unlock()
		} else {
			h.s[h.at[i]].RUnlock()
		}
	}
}
