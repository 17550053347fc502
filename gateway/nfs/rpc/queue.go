package rpc

import "sync"

// queue holds the segments that wait for a socket. The nil queue is empty; others come from a pool, so that idle connections hold
// none.
type queue struct {
	segments []segment
	at       int // of the head
}

var queues = sync.Pool{New: func() any { return &queue{segments: make([]segment, 0, 8)} }}

func (q *queue) len() int {
	if q == nil {
		return 0
	}
	return len(q.segments) - q.at
}

func (q *queue) head() *segment { return &q.segments[q.at] }

func (q *queue) push(g segment) *queue {
	if q == nil {
		q = queues.Get().(*queue)
	}
	if q.at > 0 && len(q.segments) == cap(q.segments) {
		n := copy(q.segments, q.segments[q.at:])
		clear(q.segments[n:])
		q.segments, q.at = q.segments[:n], 0
	}
	q.segments = append(q.segments, g)
	return q
}

// absorb adds b to the last segment, if that is not the head, which is being sent, and its buffer has room.
func (q *queue) absorb(b []byte) bool {
	if q.len() < 2 {
		return false
	}
	last := &q.segments[len(q.segments)-1]
	if last.own == nil || last.hold != nil || last.pad > 0 || cap(last.b)-len(last.b) < len(b) {
		return false
	}
	last.b = append(last.b, b...)
	return true
}

func (q *queue) pushFront(g segment) *queue {
	if q.len() == 0 {
		return q.push(g)
	}
	if q.at == 0 {
		q.segments = append(q.segments, segment{})
		copy(q.segments[1:], q.segments)
		q.at = 1
	}
	q.at--
	q.segments[q.at] = g
	return q
}

// pop takes the head off.
func (q *queue) pop() *queue {
	q.segments[q.at] = segment{}
	q.at++
	if q.at < len(q.segments) {
		return q
	}
	q.segments, q.at = q.segments[:0], 0
	if cap(q.segments) <= 256 {
		queues.Put(q)
	}
	return nil
}

// Replies of at most joinable bytes are joined up to joined bytes: copying them costs less than a system call for each.
const (
	joinable = 8 << 10
	joined   = 64 << 10
)

// join makes one segment of the small ones at the head.
func (q *queue) join(c *conn) {
	waiting := q.segments[q.at:]
	n, bytes := 0, 0
	for n < len(waiting) && waiting[n].hold == nil && waiting[n].cost == 0 && waiting[n].pad == 0 && len(waiting[n].b) <= joinable && bytes+len(waiting[n].b) <= joined {
		bytes += len(waiting[n].b)
		n++
	}
	if n < 2 {
		return
	}
	all := segment{own: c.srv.pool.Get(bytes)}
	all.b = all.own.B[:0]
	for i := range n {
		g := &waiting[i]
		all.b = append(all.b, g.b...)
		all.slots += g.slots
		g.own.Release()
	}
	clear(waiting[:n])
	q.at += n - 1
	waiting[n-1] = all
}
