package client

import (
	"io"
	"os"
	"sync"
	"time"
)

// DefaultLocal is where a gateway on the same machine answers programs, if its --aware-unix says so.
const DefaultLocal = "/run/causeway/aware.sock"

// How long a file is read by way of gateways when the one on this machine lends it not, or does not answer.
const (
	askLendingAgain = time.Second
	localWithin     = time.Second
)

// borrowed is a file that the gateway on this machine has lent: its bytes are read by this process itself while the lease lasts.
type borrowed struct {
	ask    sync.Mutex // one question at a time
	handle []byte
	id     uint64

	mu    sync.RWMutex // readers share it; who ends the lease has it alone, and so has waited for them
	file  *os.File     // nil: none is lent
	until time.Time    // of the lease
	retry time.Time    // not to be asked for before
}

// readLocal reads a file that a gateway on this machine lends: all of p, or what there is. ok is false where it does not: then the bytes come by
// way of a gateway.
func (f *File) readLocal(p []byte, off int64) (n int, ok bool) {
	local := f.v.c.local
	if local == nil || f.v.read() != nil && !f.writes() {
		return 0, false
	}
	b := f.borrowed.Load()
	if b == nil {
		handle, err := f.original()
		if err != nil {
			return 0, false
		}
		b = &borrowed{handle: handle, id: local.next.Add(1)}
		if !f.borrowed.CompareAndSwap(nil, b) {
			b = f.borrowed.Load()
		}
	}
	for range 2 {
		n, err, good := b.read(p, off)
		if good {
			return n, err == nil || err == io.EOF // else a gateway says why
		}
		if !local.lease(b) {
			break
		}
	}
	return 0, false
}

// read reads under the lease: it holds before, and afterwards.
func (b *borrowed) read(p []byte, off int64) (n int, err error, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.file == nil || !time.Now().Before(b.until) {
		return 0, nil, false
	}
	n, err = b.file.ReadAt(p, off)
	return n, err, time.Now().Before(b.until)
}

// end waits for reads and ends the lease.
func (b *borrowed) end(drop bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = time.Time{}
	if drop && b.file != nil {
		b.file.Close()
		b.file = nil
	}
}

// Borrowed reports whether the file is read by this process itself now, by a descriptor that a gateway on this machine has lent.
func (f *File) Borrowed() bool {
	b := f.borrowed.Load()
	if b == nil {
		return false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.file != nil && time.Now().Before(b.until)
}

// giveBack ends what the file has borrowed.
func (f *File) giveBack() {
	if b := f.borrowed.Load(); b != nil {
		b.end(true)
		f.v.c.local.back(b)
	}
}
