package smb

import (
	"errors"
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
	ended   bool           // nothing is posted any more
	posting sync.WaitGroup // the goroutine that sends what was posted
	vectors net.Buffers    // of whoever sends
	batch   []outgoing
}

// outgoing is a framed reply and the buffer under it.
type outgoing struct {
	b    []byte
	hold *buf.Buffer
}

// maxQueued is how many bytes of replies may wait for a client before those who make more wait too; maxPosted how many there may be
// before a client that is told even more, by those who cannot wait, loses its connection; corkedAtMost is what is held back while
// messages arrive.
const (
	maxQueued    = 4 << 20
	maxPosted    = 16 << 20
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

// post queues what somebody else's request has caused: a break, the end of a wait. It never waits for the client, who is cut off if he
// leaves too much unread.
func (o *output) post(b []byte, hold *buf.Buffer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if full := o.bytes > maxPosted; o.ended || o.broken || full {
		hold.Release()
		if full && !o.broken {
			o.broken = true
			o.conn.srv.cfg.Logger.Info("client does not read", "client", o.conn.remote)
			o.conn.fail(errUnread)
		}
		return
	}
	o.queue = append(o.queue, outgoing{b, hold})
	o.bytes += len(b)
	if !o.sending {
		o.sending = true
		o.posting.Go(func() {
			o.mu.Lock()
			o.sending = false
			o.send()
			o.mu.Unlock()
		})
	}
}

var errUnread = errors.New("smb: the client leaves too much unread")

// end sends what there is and takes nothing more that is posted.
func (o *output) end() {
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	o.posting.Wait()
	o.flush()
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
