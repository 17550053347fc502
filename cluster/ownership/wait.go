package ownership

import (
	"math"
	"slices"
	"time"

	"causeway"
)

// purpose names what a transaction is for. Of each there is one at a time.
type purpose struct {
	what   string
	volume causeway.VolumeID
	node   string
}

// wait is a transaction under way, or one whose result is not yet in the copy or must not be tried again yet.
type wait struct {
	purpose  purpose
	answered bool
	revision int64         // the copy must reach this; MaxInt64: look at until only
	until    time.Duration // or time must
}

type waits struct {
	byID map[uint64]*wait
	now  map[purpose]*wait
	next uint64
}

// init forgets all transactions; answers to them are ignored.
func (w *waits) init() { w.byID, w.now = make(map[uint64]*wait), make(map[purpose]*wait) }

func (w *waits) none() bool { return len(w.now) == 0 }

func (w *waits) blocked(p purpose) bool { return w.now[p] != nil }

func (w *waits) begin(p purpose) uint64 {
	w.next++
	wait := &wait{purpose: p}
	w.byID[w.next], w.now[p] = wait, wait
	return w.next
}

// answer takes the answer to a transaction. After success the copy decides when to look again: it must contain the result.
// After a refusal the copy was old; it decides, or time does when the cause is in none of our keys.
func (w *waits) answer(now time.Duration, copied int64, e TxnDone, retry time.Duration) purpose {
	wait := w.byID[e.ID]
	if wait == nil {
		return purpose{}
	}
	delete(w.byID, e.ID)
	wait.answered = true
	switch e.Outcome {
	case Done:
		wait.revision, wait.until = e.Revision, math.MaxInt64
	case Refused:
		wait.revision, wait.until = math.MaxInt64, now+retry
		if copied < e.Revision {
			wait.revision = e.Revision
		}
	default:
		wait.revision, wait.until = math.MaxInt64, now+2*retry
	}
	return wait.purpose
}

// expired ends the waits that are over and returns their volumes.
func (w *waits) expired(now time.Duration, copied int64) []causeway.VolumeID {
	var volumes []causeway.VolumeID
	for p, wait := range w.now {
		if wait.answered && (copied >= wait.revision || now >= wait.until) {
			delete(w.now, p)
			if p.volume != 0 {
				volumes = append(volumes, p.volume)
			}
		}
	}
	slices.Sort(volumes)
	return volumes
}
