package aware

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"causeway"
	"causeway/client/clientpb"
	"causeway/gateway"
	"causeway/gateway/nfs/fh"
)

// Bounds of what is lent, and for how long: a grant that is found lasts an eighth of its lease at least, of which this is less.
const (
	loanLease     = 300 * time.Millisecond
	maxLocalConns = 256
	maxLoans      = 4096 // at once: each keeps an object of the gateway open
	maxLocal      = 4 << 10
)

// Lender lends programs on this machine the descriptors of files, open for reading, for as long as this gateway may read them itself.
type Lender struct {
	s *Server

	mu    sync.Mutex
	files map[causeway.Handle]map[*loan]bool
	conns map[uint32]int // by user
	loans map[uint32]int // likewise
}

// crowded reports whether there are as many as there may be, or a quarter of that of one user.
func crowded(of map[uint32]int, uid uint32, most int) bool {
	all := 0
	for _, n := range of {
		all += n
	}
	return all >= most || of[uid] >= most/4
}

// less forgets one of a user's.
func less(of map[uint32]int, uid uint32) {
	if of[uid]--; of[uid] <= 0 {
		delete(of, uid)
	}
}

// loan is a file that a program reads by itself.
type loan struct {
	id   uint64
	uid  uint32                     // whose
	wire []byte                     // the handle
	tell func(*clientpb.LocalReply) // without waiting for who does not read
	gone chan struct{}              // closed when nothing is read any more

	// guarded by the Lender
	handle causeway.Handle
	until  time.Time
	hold   gateway.Releaser // of the gateway's own object, so that its grant stays
	ended  bool             // recalled
}

// NewLender returns a Lender of a server's files. Listen answers programs.
func (s *Server) NewLender() *Lender {
	l := &Lender{s: s, files: map[causeway.Handle]map[*loan]bool{}, conns: map[uint32]int{}, loans: map[uint32]int{}}
	s.tasks.Go(l.expire)
	return l
}

// process is who is at the other end of a unix socket, as the kernel says.
type process struct {
	uid, gid uint32
	groups   []uint32
}

// loopback is the address whose export rule counts for programs on this machine.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// caller decides who a process is in a volume: what the export rule for the loopback address leaves of it.
func (l *Lender) caller(p *process, v *causeway.Volume) (*gateway.Caller, error) {
	rule := v.Rule(loopback)
	if rule == nil || rule.Secure && p.uid != 0 {
		return nil, causeway.ErrAccess
	}
	c := &gateway.Caller{Client: loopback, ReadOnly: rule.ReadOnly || v.ReadOnly}
	c.Cred = causeway.Cred{UID: p.uid, GID: p.gid, Groups: append([]uint32(nil), p.groups...)}
	if l.s.cfg.Groups != nil && rule.Squash != causeway.AllSquash {
		if known, err := l.s.cfg.Groups.Groups(p.uid, false); err == nil {
			c.Cred.Groups = append([]uint32(nil), known...)
		}
	}
	rule.Apply(&c.Cred)
	return c, nil
}

// harmless reports whether a process could do no more with a descriptor than by way of the export. The kernel knows its true user, not the squashed one:
// by the descriptor that process could open the file for writing, or change its mode, where its own rights allow that.
func harmless(p *process, c *gateway.Caller, a *causeway.Attr) bool {
	own := causeway.Cred{UID: p.uid, GID: p.gid, Groups: p.groups}
	if p.uid == 0 || p.uid == a.UID {
		return c.Cred.UID == p.uid && !c.ReadOnly
	}
	return causeway.Permit(&own, a, causeway.MayWrite) == 0 || !c.ReadOnly && causeway.Permit(&c.Cred, a, causeway.MayWrite) != 0
}

// lend finds the descriptor of a file, which is good until use returns.
func (l *Lender) lend(ctx context.Context, p *process, o *loan, use func(fd int) error) error {
	h, v, err := fh.Parse(o.wire, l.s.cfg.Catalog)
	if err != nil {
		return err
	}
	c, err := l.caller(p, v)
	if err != nil {
		return err
	}
	if err := l.enter(o, h); err != nil { // before the grant is looked at: a recall that comes now ends this loan
		return err
	}
	var r gateway.FileRange
	err = l.s.brief(ctx, func() (err error) { r, err = l.s.cfg.Transfer.ReadRange(ctx, c, h, 0, 1); return err })
	if err == nil && !(r.Free && harmless(p, c, &r.Attr)) {
		r.Hold.Release()
		err = causeway.ErrNotSupp
	}
	if err == nil {
		err = use(r.FD)
		if !l.keep(o, r.Hold) && err == nil {
			err = causeway.ErrDelay
		}
	}
	if err != nil {
		l.drop(o)
	}
	return err
}

// enter registers a loan, if it is new. It fails if it has ended, or there are too many.
func (l *Lender) enter(o *loan, h causeway.Handle) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch known := o.handle != (causeway.Handle{}); {
	case known && (o.ended || !l.files[o.handle][o]):
		return causeway.ErrDelay
	case known:
		return nil
	case crowded(l.loans, o.uid, maxLoans):
		return causeway.ErrNoLocks
	}
	l.loans[o.uid]++
	if l.files[h] == nil {
		l.files[h] = map[*loan]bool{}
	}
	l.files[h][o] = true
	o.handle, o.until = h, l.s.cfg.Now().Add(loanLease)
	return nil
}

// keep notes what a loan holds, from now on for a lease. It reports false if it was recalled, or ended, meanwhile.
func (l *Lender) keep(o *loan, hold gateway.Releaser) bool {
	l.mu.Lock()
	old, good := o.hold, !o.ended && l.files[o.handle][o]
	if good {
		o.hold, o.until = hold, l.s.cfg.Now().Add(loanLease)
	} else {
		old = hold
	}
	l.mu.Unlock()
	if old != nil {
		old.Release()
	}
	return good
}

// drop ends a loan of which nothing is read any more.
func (l *Lender) drop(o *loan) {
	l.mu.Lock()
	hold, known := o.hold, l.files[o.handle][o]
	o.hold = nil
	if known {
		less(l.loans, o.uid)
		delete(l.files[o.handle], o)
		if len(l.files[o.handle]) == 0 {
			delete(l.files, o.handle)
		}
		close(o.gone)
	}
	l.mu.Unlock()
	if hold != nil {
		hold.Release()
	}
}

// expire ends loans whose lease is over, until the server ends.
func (l *Lender) expire() {
	tick := time.NewTicker(loanLease / 4)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.s.life.Done():
			return
		}
		now := l.s.cfg.Now()
		var over []*loan
		l.mu.Lock()
		for _, list := range l.files {
			for o := range list {
				if now.After(o.until) {
					over = append(over, o)
				}
			}
		}
		l.mu.Unlock()
		for _, o := range over {
			l.drop(o)
		}
	}
}

// end recalls what is lent of a file and waits until nothing is read any more: programs have given it back, or their leases are over.
func (l *Lender) end(h causeway.Handle) {
	l.mu.Lock()
	list := make([]*loan, 0, len(l.files[h]))
	for o := range l.files[h] {
		o.ended = true
		list = append(list, o)
	}
	l.mu.Unlock()
	for _, o := range list {
		o.tell(&clientpb.LocalReply{Id: o.id, Recall: true}) // who is not told lets the lease end
	}
	over := time.NewTimer(2 * loanLease)
	defer over.Stop()
	for _, o := range list {
		select {
		case <-o.gone:
		case <-over.C: // all leases have ended by now
			return
		}
	}
}

// Loans counts what is lent now.
func (l *Lender) Loans() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, list := range l.files {
		n += len(list)
	}
	return n
}

// Recalls is a gateway's Holder that recalls what was lent of a file too, before it says that a grant has ended.
type Recalls struct {
	gateway.Holder
	lender atomic.Pointer[Lender]
}

// Tell has it recall from a Lender.
func (r *Recalls) Tell(l *Lender) { r.lender.Store(l) }

// Recall implements gateway.Holder. The gateway's own use ends first, so that nothing is lent under that grant any more.
func (r *Recalls) Recall(ctx context.Context, what *gateway.Recall) (gateway.Commit, error) {
	commit, err := r.Holder.Recall(ctx, what)
	if l := r.lender.Load(); l != nil {
		l.end(what.Handle)
	}
	return commit, err
}

// Listen makes the socket at which programs of this machine ask. Everybody may ask: who it is, the kernel says.
func (l *Lender) Listen(path string) (*net.UnixListener, error) { return listenLocal(path) }
