package aware

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"causeway/client/clientpb"
)

// forgetAfter is how long a client is remembered that neither calls nor watches.
const forgetAfter = time.Minute

// who is a client: what it calls itself counts for its address only.
type who struct {
	addr netip.Addr
	id   [16]byte
}

// session is what is known of a client.
type session struct {
	since, last time.Time
	volumes     map[string]*use
	watches     map[chan *clientpb.Event]bool
}

// use is a volume that a client uses.
type use struct {
	since time.Time
	calls uint64
	bytes uint64
	wrote bool
}

// Use is what a client does with a volume: a line of status, and what the redirect policy decides from.
type Use struct {
	Client  string // address and what the client calls itself, "10.0.0.7/3fa9c1"
	Volume  string
	Since   time.Time // of the first call
	Calls   uint64    // since then
	Bytes   uint64    // read and written
	Watches bool      // it can be told to go elsewhere
	Writes  bool      // it has changed something: a mirror would not do for it
}

// name is how operators know a client.
func (w who) name() string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	b.WriteString(w.addr.String())
	b.WriteByte('/')
	for _, c := range w.id[:4] {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// use notes a call.
func (s *Server) use(w who, volume string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.useLocked(w, volume); u != nil {
		u.calls++
	}
}

func (s *Server) useLocked(w who, volume string) *use {
	now := s.cfg.Now()
	c := s.sessionLocked(w, now)
	if c == nil {
		return nil
	}
	u := c.volumes[volume]
	if u == nil {
		u = &use{since: now}
		c.volumes[volume] = u
	}
	return u
}

// sessionLocked returns what is known of a client; nil if there are too many.
func (s *Server) sessionLocked(w who, now time.Time) *session {
	c := s.clients[w]
	if c == nil {
		if len(s.clients) >= s.cfg.MaxClients {
			s.forgetLocked(now)
		}
		if len(s.clients) >= s.cfg.MaxClients || s.sessions[w.addr] >= s.share() {
			return nil
		}
		s.sessions[w.addr]++
		c = &session{since: now, volumes: map[string]*use{}, watches: map[chan *clientpb.Event]bool{}}
		s.clients[w] = c
	}
	c.last = now
	return c
}

func (s *Server) forgetLocked(now time.Time) {
	for w, c := range s.clients {
		if len(c.watches) == 0 && now.Sub(c.last) > forgetAfter {
			delete(s.clients, w)
			if s.sessions[w.addr]--; s.sessions[w.addr] == 0 {
				delete(s.sessions, w.addr)
			}
		}
	}
}

// share is how many of all clients, and of all connections, one address may have: what a program calls itself is its own choice.
func (s *Server) share() int { return max(s.cfg.MaxClients/4, 1) }

// count notes bytes.
func (s *Server) count(ctx context.Context, claimed *clientpb.Caller, volume string, n int) {
	from, ok := remote(ctx)
	if !ok || n == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.useLocked(who{from.Addr(), clientID(claimed)}, volume); u != nil {
		u.bytes += uint64(n)
	}
}

// wrote notes that a client changes a volume.
func (s *Server) wrote(ctx context.Context, claimed *clientpb.Caller, volume string) {
	from, ok := remote(ctx)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.useLocked(who{from.Addr(), clientID(claimed)}, volume); u != nil {
		u.wrote = true
	}
}

// Clients lists what the clients use, by name.
func (s *Server) Clients() []Use {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked(s.cfg.Now())
	var out []Use
	for w, c := range s.clients {
		for volume, u := range c.volumes {
			out = append(out, Use{w.name(), volume, u.since, u.calls, u.bytes, len(c.watches) > 0, u.wrote})
		}
	}
	slices.SortFunc(out, func(a, b Use) int {
		if c := strings.Compare(a.Client, b.Client); c != 0 {
			return c
		}
		return strings.Compare(a.Volume, b.Volume)
	})
	return out
}

// Redirect tells a client to use another gateway for a volume: the one at that address, or, if it is empty, the path that it was sent to
// the longest time ago. mirror, if not empty, names a volume that offers the same. It reports whether there is such a client that listens.
func (s *Server) Redirect(client, volume, address, mirror string) bool {
	e := &clientpb.Event{Redirect: &clientpb.Redirect{Volume: volume, Address: address, Mirror: mirror}}
	s.mu.Lock()
	defer s.mu.Unlock()
	told := false
	for w, c := range s.clients {
		if w.name() != client || mirror != "" && !s.sees(w.addr, mirror) {
			continue
		}
		for watch := range c.watches {
			select {
			case watch <- e:
				told = true
			default: // it does not read: it is told when it is asked to go again
			}
		}
		if told {
			delete(c.volumes, volume)
		}
	}
	return told
}

// waysOff are the ways by which no client shall be moved.
func (s *Server) waysOff() uint32 {
	if s.cfg.WaysOff == nil {
		return 0
	}
	return uint32(s.cfg.WaysOff())
}

// exported reports whether a client of an address may use any volume.
func (s *Server) exported(client netip.Addr) bool {
	for _, v := range s.cfg.Catalog.Volumes() {
		if v.Rule(client) != nil {
			return true
		}
	}
	return false
}

// sees reports whether a volume is exported to a client: if not, it is told of no such name.
func (s *Server) sees(client netip.Addr, volume string) bool {
	if s.cfg.Sees != nil {
		return s.cfg.Sees(client, volume)
	}
	v := s.cfg.Catalog.ByName(volume)
	return v != nil && v.Rule(client) != nil
}

// known is where the gateways are and which mirrors there are, as of a moment ago: to find out costs more than to tell, and all clients ask all
// the time. now: as of this moment.
func (s *Server) known(now bool) ([]Gateway, []Mirror) {
	s.list.mu.Lock()
	defer s.list.mu.Unlock()
	if at := s.cfg.Now(); now || s.list.at.IsZero() || at.Sub(s.list.at).Abs() > s.cfg.Every/2 {
		s.list.gateways, s.list.at = s.cfg.Gateways(), at
		if s.cfg.Mirrors != nil {
			s.list.mirrors = s.cfg.Mirrors()
		}
	}
	return s.list.gateways, s.list.mirrors
}

// gateways makes the message of where the gateways are.
func (s *Server) gateways(client netip.Addr, known []Gateway) (out []*clientpb.Gateway) {
	for _, g := range known {
		p := &clientpb.Gateway{Node: g.Node, Utilization: uint32(g.Utilization), AgeMs: uint32(min(g.Age.Milliseconds(), 1<<31)), Draining: g.Draining}
		for _, name := range g.Refuses {
			if s.sees(client, name) {
				p.Refuses = append(p.Refuses, name)
			}
		}
		for _, a := range g.Addresses {
			p.Addresses = append(p.Addresses, a.String())
		}
		out = append(out, p)
	}
	return out
}

// maxWatches is how many streams of events a client may have here.
const maxWatches = 4

// Watch tells a client where the gateways are, and when it shall go elsewhere, until either ends.
func (s *Server) Watch(r *clientpb.WatchRequest, stream clientpb.Files_WatchServer) error {
	from, ok := remote(stream.Context())
	if !ok || !s.exported(from.Addr()) {
		return nil
	}
	events, w := make(chan *clientpb.Event, 8), who{from.Addr(), clientID(r.Caller)}
	s.mu.Lock()
	c := s.sessionLocked(w, s.cfg.Now())
	if c == nil || len(c.watches) >= maxWatches {
		s.mu.Unlock()
		return nil
	}
	c.watches[events] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(c.watches, events)
		s.mu.Unlock()
	}()
	told := mirrors{s: s, client: from.Addr()}
	tell := func(now bool) error {
		gateways, mirrors := s.known(now)
		return stream.Send(&clientpb.Event{Gateways: s.gateways(from.Addr(), gateways), WaysOff: s.waysOff(), Mirrors: told.next(mirrors)})
	}
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for {
		if err := tell(false); err != nil {
			return err
		}
		select {
		case e := <-events:
			if e.Redirect.GetMirror() != "" {
				if err := tell(true); err != nil {
					return err
				}
			}
			if err := stream.Send(e); err != nil {
				return err
			}
		case <-tick.C:
		case <-stream.Context().Done():
			return nil
		case <-s.life.Done():
			return nil
		}
	}
}
