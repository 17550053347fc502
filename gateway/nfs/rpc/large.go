package rpc

import (
	"time"

	"causeway/internal/buf"
)

// A call that moves a MiB keeps the goroutine that reads sockets for about a quarter of a millisecond. Where other connections
// have small calls, that is long: such a call gets a goroutine of its own. Where there are none, the hand-over costs a third
// more than the work itself: wake-ups, a second thread, cold caches. So a large call runs inline when the connection's last
// call was large too and this goroutine has not met a small one for a while.

// largeQuiet is how long no small call must have been met.
const largeQuiet = 5 * time.Millisecond

// largeInTurn is how many large calls run inline before the goroutine asks again whose input has come.
const largeInTurn = 4

// largeReply is the room that a large reply may take.
const largeReply = 1<<20 + buf.Room

// allowLarge decides whether the call to come may be large, and takes the memory for its reply.
func (w *worker) allowLarge(c *conn, now time.Duration) {
	w.call.Large, w.call.LargeNow = false, false
	if !c.bulk || now-w.lastSmall < largeQuiet || w.largeRun >= largeInTurn {
		return
	}
	cost := int64(buf.Size(largeReply))
	if !c.replies.take(cost, nil) {
		return
	}
	if !c.takeBytes(cost, nil) {
		c.replies.give(cost)
		return
	}
	w.largeCost, w.call.LargeNow = cost, true
}

// noteLarge remembers what the call was, and gives back memory that its reply does not use.
func (w *worker) noteLarge(c *conn, now time.Duration, v Verdict) {
	c.bulk = w.call.Large
	if c.bulk {
		w.largeRun++
	} else {
		w.lastSmall = now
	}
	if v != Done || w.outgrown == nil {
		w.settleLarge(c)
		return
	}
	w.outgrown.Release()
	w.outgrown = nil
}

// settleLarge gives back what allowLarge took.
func (w *worker) settleLarge(c *conn) {
	c.giveReply(w.largeCost)
	w.largeCost = 0
	w.outgrown.Release()
	w.outgrown = nil
}

// growReply is how an inline reply grows. The buffer before is kept until the call ends: the watchdog may be copying the replies
// that stand in it.
func (w *worker) growReply(b []byte, n int) []byte {
	grown := w.srv.pool.Get(len(b) + n)
	copy(grown.B, b)
	if w.outgrown == nil {
		w.outgrown = w.out
	} else {
		w.out.Release()
	}
	w.out = grown
	return grown.B[:len(b)]
}
