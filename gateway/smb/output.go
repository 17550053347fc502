package smb

import (
	"net"
	"sync"
	"time"

	"causeway/internal/buf"
)

// output is the queue of replies of a connection. Whoever finds nobody sending sends for all. While the reader still has messages
// in its buffer it corks the queue, so that their replies leave together.
type output struct {
	conn *conn

	mu      sync.Mutex
	room    sync.Cond // waited for by senders when too much is queued
	queue   []outgoing
	bytes   int
	corked  bool
	sending bool
	broken  bool
	vectors net.Buffers // of whoever sends
	batch   []outgoing
}

// outgoing is a framed reply and the buffer under it.
type outgoing struct {
	b    []byte
	hold *buf.Buffer
}

// maxQueued is how many bytes of replies may wait for a client before those who make more wait too; corkedAtMost is what is held
// back while messages arrive.
const (
	maxQueued    = 4 << 20
	corkedAtMost = 256 << 10
)

func (o *output) init(c *conn) {
	o.conn = c
	o.room.L = &o.mu
}

func (o *output) cork() {
	o.mu.Lock()
	o.corked = true
	o.mu.Unlock()
}

func (o *output) uncork() {
	o.mu.Lock()
	o.corked = false
	o.send()
	o.mu.Unlock()
}

// flush sends what there is, whoever corked it.
func (o *output) flush() { o.uncork() }

// put queues a reply. reader: it is the reader who calls, and will uncork.
func (o *output) put(b []byte, hold *buf.Buffer, reader bool) {
	o.mu.Lock()
	for o.bytes > maxQueued && !o.broken && o.sending {
		o.room.Wait()
	}
	o.queue = append(o.queue, outgoing{b, hold})
	o.bytes += len(b)
	if !reader || !o.corked || o.bytes > corkedAtMost {
		o.send()
	}
	o.mu.Unlock()
}

// send empties the queue unless somebody does so already. It is called with the lock held and leaves it while it writes.
func (o *output) send() {
	if o.sending {
		return
	}
	o.sending = true
	for len(o.queue) > 0 {
		o.batch, o.queue = o.queue, o.batch[:0]
		n := o.bytes
		broken := o.broken
		o.mu.Unlock()
		if !broken {
			broken = o.write() != nil
		}
		for i := range o.batch {
			o.batch[i].hold.Release()
			o.batch[i] = outgoing{}
		}
		o.mu.Lock()
		o.bytes -= n
		o.broken = o.broken || broken
		o.room.Broadcast()
	}
	o.sending = false
}

func (o *output) write() error {
	c := o.conn
	c.nc.SetWriteDeadline(time.Now().Add(c.srv.cfg.WriteTimeout))
	o.vectors = o.vectors[:0]
	total := 0
	for _, r := range o.batch {
		o.vectors = append(o.vectors, r.b)
		total += len(r.b)
	}
	vectors := o.vectors
	_, err := vectors.WriteTo(c.nc)
	c.srv.counts.out.Add(int64(total))
	if err != nil {
		c.fail(err)
	}
	return err
}
