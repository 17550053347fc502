package drc

import "net/netip"

// entryCost is what an entry takes beside its reply, in bytes, so that many small replies count.
const entryCost = 320

func (e *entry) cost() int { return entryCost + len(e.reply) }

func (c *Cache) clientLocked(a netip.Addr) *client {
	cl := c.clients[a]
	if cl == nil {
		cl = &client{}
		c.clients[a] = cl
	}
	return cl
}

// finishLocked makes an entry one that may be evicted, and makes room. As long as there is some a client may have more than its
// share: a busy one makes thousands of changes in the second that its reconnecting takes. When there is none, who has more than his
// share makes room among his own, so that one client cannot drive out the others' replies.
func (c *Cache) finishLocked(e *entry) {
	e.running = false
	own := e.owner
	e.inAll, e.inOwn = c.done.PushBack(e), own.done.PushBack(e)
	c.bytes += e.cost()
	own.bytes += e.cost()
	for c.done.Len() > 0 && (len(c.entries) > c.cfg.MaxEntries || c.bytes > c.cfg.MaxBytes) {
		oldest := c.done.Front()
		if own.done.Len() > 0 && (own.entries > c.cfg.MaxClientEntries || own.bytes > c.cfg.MaxClientBytes) {
			oldest = own.done.Front()
		}
		c.dropLocked(oldest.Value.(*entry))
	}
}

// expireLocked drops what is too old. Entries stand in the order in which they were finished, so it looks at no more than it
// drops and one.
func (c *Cache) expireLocked() {
	for limit := c.cfg.Now().Add(-c.cfg.MaxAge); c.done.Len() > 0; {
		e := c.done.Front().Value.(*entry)
		if !e.finished.Before(limit) {
			return
		}
		c.dropLocked(e)
	}
}

func (c *Cache) dropLocked(e *entry) {
	delete(c.entries, e.key)
	e.owner.entries--
	if !e.running {
		c.done.Remove(e.inAll)
		e.owner.done.Remove(e.inOwn)
		c.bytes -= e.cost()
		e.owner.bytes -= e.cost()
	}
	c.forgetLocked(e.key.Client, e.owner)
}

func (c *Cache) forgetLocked(a netip.Addr, cl *client) {
	if cl.entries == 0 {
		delete(c.clients, a)
	}
}
