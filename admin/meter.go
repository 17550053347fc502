package admin

import (
	"sync/atomic"
	"unsafe"
)

// Meter counts the calls of one volume and their bytes, in shards, as Metrics does. The zero Meter is ready.
type Meter struct {
	shards [shards]struct {
		calls, in, out atomic.Uint64
		_              [40]byte
	}
}

// Observe counts a call with the bytes of its arguments and of its result.
func (m *Meter) Observe(in, out int) {
	var onStack byte
	s := &m.shards[uintptr(unsafe.Pointer(&onStack))>>12%shards]
	s.calls.Add(1)
	s.in.Add(uint64(in))
	s.out.Add(uint64(out))
}

// Totals returns the sums.
func (m *Meter) Totals() (calls, in, out uint64) {
	for i := range m.shards {
		s := &m.shards[i]
		calls += s.calls.Load()
		in += s.in.Load()
		out += s.out.Load()
	}
	return calls, in, out
}
