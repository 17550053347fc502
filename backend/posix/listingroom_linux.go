package posix

// room is how many bytes those may have that are kept.
func (ls *listings) room() int { return ls.max - ls.max/4 }

// reserve takes room for a part of a draft.
func (ls *listings) reserve(l *listing, bytes int) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.drafts+bytes > ls.max/4 {
		return false
	}
	ls.drafts += bytes
	l.bytes += bytes
	return true
}

// giveUp returns the room of a draft that will not be kept.
func (ls *listings) giveUp(l *listing) {
	ls.mu.Lock()
	ls.drafts -= l.bytes
	l.bytes, l.pages = 0, nil
	ls.mu.Unlock()
}

// charge takes room for records of a listing. It reports false when the listing is not kept, or not any more.
func (ls *listings) charge(l *listing, bytes int) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.slot < 0 {
		return false
	}
	l.bytes += bytes
	ls.kept += bytes
	ls.shrink()
	return l.slot >= 0
}

// shrink removes listings that were not used lately until the others fit.
func (ls *listings) shrink() {
	for ls.kept > ls.room() {
		ls.hand++
		if ls.hand >= len(ls.ring) {
			ls.hand = 0
		}
		if !ls.ring[ls.hand].used.Swap(false) {
			ls.remove(ls.ring[ls.hand])
		}
	}
}

// remove forgets a listing, if it is kept still. Who reads it may go on.
func (ls *listings) remove(l *listing) {
	if l.slot < 0 {
		return
	}
	last := len(ls.ring) - 1
	ls.ring[l.slot] = ls.ring[last]
	ls.ring[l.slot].slot = l.slot
	ls.ring[last] = nil
	ls.ring = ls.ring[:last]
	l.slot = -1
	ls.kept -= l.bytes
	if ls.byIno[l.ino] == l {
		delete(ls.byIno, l.ino)
	}
}
