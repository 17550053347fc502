package smb

import "sync"

// window is the set of message ids that a client may use ([MS-SMB2] 3.3.1.1): those from low on below high, as far as they were not
// used. Its width never passes max, so that a client which skips ids runs out of credits.
type window struct {
	mu        sync.Mutex
	low, high uint64
	max       uint64
	used      []uint64 // ring of bits, one per id of the window
}

func newWindow(max int) *window {
	words := (max + 63) / 64
	return &window{high: 1, max: uint64(max), used: make([]uint64, words)}
}

// open is how many ids may still be used.
func (w *window) open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int(w.high - w.low)
}

func (w *window) bit(id uint64) (word *uint64, mask uint64) {
	id %= uint64(len(w.used)) * 64
	return &w.used[id/64], 1 << (id % 64)
}

// take uses n ids from id on. false: one of them is not the client's to use.
func (w *window) take(id uint64, n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	end := id + uint64(n)
	if id < w.low || end < id || end > w.high {
		return false
	}
	for i := id; i < end; i++ {
		if word, mask := w.bit(i); *word&mask != 0 {
			return false
		}
	}
	for i := id; i < end; i++ {
		word, mask := w.bit(i)
		*word |= mask
	}
	for w.low < w.high {
		word, mask := w.bit(w.low)
		if *word&mask == 0 {
			break
		}
		*word &^= mask
		w.low++
	}
	return true
}

// grant widens the window by up to n ids and returns by how many.
func (w *window) grant(n int) uint16 {
	w.mu.Lock()
	defer w.mu.Unlock()
	n = int(min(uint64(n), w.max-(w.high-w.low), 1<<16-1))
	w.high += uint64(n)
	return uint16(n)
}
