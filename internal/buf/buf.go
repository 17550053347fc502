// Package buf lends byte buffers by size class, and counts what is lent. It holds no limits: who must bound memory asks Used,
// or counts what he takes by himself.
package buf

import (
	"sync"
	"sync/atomic"
)

// Room is what a buffer for a payload of a power of two has on top, for headers: a READ or WRITE of 64 KiB, 256 KiB or 1 MiB fits
// one class with its RPC and NFS headers.
const Room = 4 << 10

// sizes are the classes, ascending. The last one is the largest buffer that is pooled.
var sizes = [...]int{1 << 10, 4 << 10, 16 << 10, 64<<10 + Room, 256<<10 + Room, 1<<20 + Room, 1<<20 + 128<<10}

// MaxPooled is the largest size in bytes that a Pool keeps for reuse.
const MaxPooled = 1<<20 + 128<<10

// Pool lends buffers. The zero Pool is ready; it must not be copied. All methods may be called by many goroutines.
type Pool struct {
	used  atomic.Int64
	lent  atomic.Int64
	class [len(sizes)]sync.Pool
}

// Buffer is a lent buffer. B is the whole of it; its holder may use all of it and must not keep it after Release.
type Buffer struct {
	B     []byte
	pool  *Pool
	class int // index into sizes, or -1: too large to be pooled
}

// Get lends a buffer of at least n bytes, of unspecified content. Sizes above MaxPooled are allocated and freed.
func (p *Pool) Get(n int) *Buffer {
	class := classOf(n)
	if class < 0 {
		p.used.Add(int64(n))
		p.lent.Add(1)
		return &Buffer{B: make([]byte, n), pool: p, class: class}
	}
	p.used.Add(int64(sizes[class]))
	p.lent.Add(1)
	if b, ok := p.class[class].Get().(*Buffer); ok {
		return b
	}
	return &Buffer{B: make([]byte, sizes[class]), pool: p, class: class}
}

// Size returns how many bytes Get(n) takes: what a limit has to count.
func Size(n int) int {
	if class := classOf(n); class >= 0 {
		return sizes[class]
	}
	return n
}

// Used returns the bytes that are lent now.
func (p *Pool) Used() int64 { return p.used.Load() }

// Lent returns the number of buffers that are lent now.
func (p *Pool) Lent() int64 { return p.lent.Load() }

// Release gives the buffer back. A nil Buffer is allowed; a second Release is a bug and panics where it is seen.
func (b *Buffer) Release() {
	if b == nil {
		return
	}
	if b.pool.lent.Add(-1) < 0 {
		panic("buf: released twice")
	}
	b.pool.used.Add(-int64(len(b.B)))
	if b.class >= 0 {
		b.pool.class[b.class].Put(b)
	}
}

func classOf(n int) int {
	for class, size := range sizes {
		if n <= size {
			return class
		}
	}
	return -1
}
