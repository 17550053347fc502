package access

import (
	"time"

	"causeway/gateway/access/grants"
)

// maxRecalls is how many recalls of a volume one gateway is asked at a time. When all that it holds is recalled at once, that may be hundreds of
// thousands: a goroutine for each would take gigabytes, and every call that may be open to that gateway. One that answers none holds up its
// own only.
const maxRecalls = 256

// recalls are those for one gateway.
type recalls struct {
	running int
	queue   []grants.Effect
}

// tellLocked has a holder recalled from. This gateway's own part is asked at once: nothing ends what it holds but its answer.
func (t *holdings) tellLocked(x grants.Effect) {
	if x.Holder == grants.Local {
		t.e.running.Go(func() { t.recall(x) })
		return
	}
	r := t.recalls[x.Holder]
	if r == nil {
		r = &recalls{}
		t.recalls[x.Holder] = r
	}
	if r.running == maxRecalls {
		r.queue = append(r.queue, x)
		return
	}
	r.running++
	holder := x.Holder
	t.e.running.Go(func() {
		for more := true; more; x, more = t.nextRecall(r, holder) {
			t.recall(x)
		}
	})
}

// nextRecall takes one that waits and has not become void meanwhile; false: there is none.
func (t *holdings) nextRecall(r *recalls, holder string) (x grants.Effect, more bool) {
	t.step(func(now time.Duration, table *grants.Table) {
		for len(r.queue) > 0 && !more {
			x, r.queue = r.queue[0], r.queue[1:]
			more = table.Recalling(now, x.Handle, x.Holder, x.Seq)
		}
		if !more {
			r.running--
		}
		if r.running == 0 {
			delete(t.recalls, holder)
		}
	})
	return x, more
}
