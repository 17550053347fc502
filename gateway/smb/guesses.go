package smb

import (
	"hash/maphash"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// guesses slows down who tries passwords. Wrong ones are counted by who sent them: the pair of an address and an account, the address, the
// account. Each may be wrong so often at once, after which tries have to wait for their turn at a slow rate. A password is never refused
// for what others did to its account: from an address that the account has logged on from, only the pair counts, and from elsewhere the account's own turn
// comes soon enough. The tables have a fixed size; who shares a cell by chance shares its turn.
type guesses struct {
	seed  maphash.Seed
	mu    sync.Mutex
	began time.Time
	pairs [8192]turn
	known [8192]uint64 // hashes of pairs that have logged on
	addrs [4096]turn
	names [4096]turn

	logged   turn  // of the log
	unlogged int64 // since the last line
}

// turn is when a count of wrong passwords is forgotten (the "theoretical arrival time" of a leaky bucket), since the table was made.
type turn struct{ until time.Duration }

// pace is how fast wrong passwords may come: some at once, then one in a while. A try that would have to wait for longer than most is refused,
// or with soft looked at then.
type pace struct {
	burst       int
	every, most time.Duration
	soft        bool
}

// paces are those of pairs, addresses and accounts. Waits end before impatient clients give up, which is after 20 s.
var paces = [3]pace{
	{burst: 8, every: 10 * time.Second, most: 10 * time.Second},
	{burst: 32, every: 2 * time.Second, most: 10 * time.Second},
	{burst: 64, every: 200 * time.Millisecond, most: 5 * time.Second, soft: true},
}

// logPace is that of the log.
var logPace = pace{burst: 32, every: 5 * time.Second}

// try is a password that is being looked at.
type try struct {
	pair   uint64
	turns  [3]*turn // of the paces
	booked [3]bool  // turns that were taken already, to be given back if the password is right
}

func (g *guesses) init(now time.Time) { g.seed, g.began = maphash.MakeSeed(), now }

// begin returns how long a try has to wait before the password is looked at, and false if it is to be refused unseen.
func (g *guesses) begin(now time.Time, client netip.Addr, user string) (t try, wait time.Duration, ok bool) {
	addr, name := maphash.Comparable(g.seed, network(client)), maphash.String(g.seed, strings.ToLower(user))
	t.pair = maphash.Comparable(g.seed, [2]uint64{addr, name})
	t.turns = [3]*turn{&g.pairs[t.pair%uint64(len(g.pairs))], &g.addrs[addr%uint64(len(g.addrs))], &g.names[name%uint64(len(g.names))]}
	g.mu.Lock()
	defer g.mu.Unlock()
	count := len(paces)
	if g.known[t.pair%uint64(len(g.known))] == t.pair {
		count = 1
	}
	since := now.Sub(g.began)
	for i, c := range t.turns[:count] { // who is refused takes nobody's turn
		if p := &paces[i]; !p.soft && c.wait(since, p) > p.most {
			return t, 0, false
		}
	}
	for i, c := range t.turns[:count] {
		p := &paces[i]
		if w := c.wait(since, p); w > 0 {
			wait = max(wait, min(w, p.most))
			t.booked[i] = true
			c.book(since, p)
		}
	}
	return t, wait, true
}

// end counts how a try ended.
func (g *guesses) end(now time.Time, t *try, right bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if right {
		g.known[t.pair%uint64(len(g.known))] = t.pair
	}
	for i, c := range t.turns {
		switch {
		case right && t.booked[i]:
			c.until -= paces[i].every
		case !right && !t.booked[i]:
			c.book(now.Sub(g.began), &paces[i])
		}
	}
}

// logs reports whether a failure is to be logged now, and how many were not since the last one that was.
func (g *guesses) logs(now time.Time) (unlogged int64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	since := now.Sub(g.began)
	if g.logged.wait(since, &logPace) > 0 {
		g.unlogged++
		return 0, false
	}
	g.logged.book(since, &logPace)
	unlogged, g.unlogged = g.unlogged, 0
	return unlogged, true
}

// wait is how long the next one has to wait; not positive: not at all.
func (t *turn) wait(now time.Duration, p *pace) time.Duration {
	return t.until + p.every - now - time.Duration(p.burst)*p.every
}

// book counts one. What is over a pace that refuses nobody is not counted further than it is waited for.
func (t *turn) book(now time.Duration, p *pace) {
	t.until = max(t.until, now) + p.every
	t.until = min(t.until, now+time.Duration(p.burst)*p.every+p.most+p.every)
}

// network is what one site or person has of addresses: of IPv6 a /64.
func network(a netip.Addr) netip.Addr {
	if a.Is6() && !a.Is4In6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a.Unmap()
}
