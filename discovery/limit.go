package discovery

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// limiter bounds how much is sent to a network that may not have asked: forged questions would make this server send to others. Its
// memory is fixed; networks that share a cell by chance share its allowance. It is safe for concurrent use.
type limiter struct {
	rate   float64 // units in a second
	burst  float64
	seed   maphash.Seed
	shards [limiterShards]limiterShard
}

const (
	limiterUnit   = 128 // bytes of a reply: long ones, which are worth forging questions for, count as several
	limiterShards = 64
	limiterCells  = 1024 // of a shard
	slip          = 2    // of the replies over the limit, every second one is sent, truncated: who has really asked comes back by TCP
)

type limiterShard struct {
	mu    sync.Mutex
	cells [limiterCells]cell
}

type cell struct {
	spent float64 // units that count still
	at    int64   // when it was computed, in nanoseconds
	over  uint32
}

// verdict is what may be sent.
type verdict uint8

const (
	send verdict = iota
	sendTruncated
	sendNothing
)

func newLimiter(rate int) *limiter {
	return &limiter{rate: float64(rate), burst: 2 * float64(rate), seed: maphash.MakeSeed()}
}

// admit counts a reply of some bytes to an address, and says whether it may be sent. Limits hold for networks: /24, /56.
func (l *limiter) admit(addr netip.Addr, size int, now time.Time) verdict {
	bits := 56
	if addr.Is4() {
		bits = 24
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return sendNothing
	}
	h := maphash.Comparable(l.seed, prefix)
	s := &l.shards[h%limiterShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.cells[h/limiterShards%limiterCells]
	past := max(now.UnixNano()-c.at, 0)
	c.spent = max(c.spent-time.Duration(past).Seconds()*l.rate, 0)
	c.at = now.UnixNano()
	if cost := float64((size + limiterUnit - 1) / limiterUnit); c.spent+cost <= l.burst {
		c.spent += cost
		return send
	}
	if c.over++; c.over%slip == 0 {
		return sendTruncated
	}
	return sendNothing
}
