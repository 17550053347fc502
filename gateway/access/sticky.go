package access

import (
	"sync"

	"causeway"
)

// stickies are locks of sticky directories, by a hash of their handles. Who may take a name away there depends on whose object
// it stands for, so between that question and the change no other change may put another's object under it. Where the right
// depends on the directory alone no lock is taken.
type stickies [64]sync.Mutex

func (s *stickies) stripe(dir causeway.Handle) int { return int(dir.Hash() % uint64(len(s))) }

// hold locks those of one or two directories under change that are sticky.
func (s *stickies) hold(dirs ...*change) (release func()) {
	var held []int
	for _, d := range dirs {
		if d.before.Type == causeway.TypeDirectory && (d.before.Mode&causeway.ModeSticky != 0 || d.v.shared()) {
			held = append(held, d.stripe)
		}
	}
	if len(held) == 2 && held[0] >= held[1] { // the same order for everybody
		held[0], held[1] = held[1], held[0]
		if held[0] == held[1] {
			held = held[:1]
		}
	}
	for _, i := range held {
		s[i].Lock()
	}
	return func() {
		for _, i := range held {
			s[i].Unlock()
		}
	}
}
