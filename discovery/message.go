package discovery

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// Sizes in bytes.
const (
	headerSize  = 12
	maxQuery    = 4096 // of what is asked; more is not read
	maxDatagram = 1232 // of what is sent in one piece: it passes every network unfragmented
	maxStream   = dns.MaxMsgSize
	minRecord   = 12 // of a record: its name as a pointer, and nothing in it
)

// asker is where a question came from.
type asker struct {
	addr   netip.Addr
	stream bool
}

// reply answers a message, in out if there is room, and reports whether the asker has proved to be where he says. It returns nil for what
// is no question at all.
func (s *Server) reply(query []byte, from asker, out []byte) (reply []byte, proved bool) {
	if len(query) < headerSize || query[2]&0x80 != 0 {
		s.count(&s.stats.malformed)
		return nil, false
	}
	count := func(i int) uint16 { return binary.BigEndian.Uint16(query[i:]) }
	if opcode := query[2] >> 3 & 0xf; opcode != dns.OpcodeQuery {
		s.count(&s.stats.refused)
		return bare(query, dns.RcodeNotImplemented, out), false
	}
	q := new(dns.Msg)
	if count(4) > 1 || count(6) != 0 || count(8) > 1 || count(10) > 2 || q.Unpack(query) != nil || len(q.Question) != int(count(4)) {
		s.count(&s.stats.malformed)
		return bare(query, dns.RcodeFormatError, out), false
	}
	x := &exchange{server: s, query: q, from: from, size: maxStream}
	if !from.stream {
		x.size = dns.MinMsgSize
	}
	x.reply.SetReply(q)
	x.reply.Compress = true
	x.reply.AuthenticatedData, x.reply.Zero = false, false
	switch ok := x.readEDNS(); {
	case !ok || len(q.Question) == 0 && x.cookie == nil:
		s.count(&s.stats.malformed)
		x.reply.Rcode, x.subnet, x.cookie, x.proved = dns.RcodeFormatError, nil, nil, false
	case x.reply.Rcode != dns.RcodeSuccess:
	case len(q.Question) == 0: // who only wants a cookie (RFC 7873 §5.4)
		s.count(&s.stats.answered)
	default:
		x.answer()
	}
	return x.pack(out), x.proved
}

// bare is a reply of a header only.
func bare(query []byte, rcode int, out []byte) []byte {
	out = append(out[:0], query[:headerSize]...)
	out[2] = out[2]&0x79 | 0x80 // the operation and the wish for recursion stay
	out[3] = byte(rcode)
	clear(out[4:headerSize])
	return out
}

// exchange is a question on its way to its answer.
type exchange struct {
	server *Server
	query  *dns.Msg
	reply  dns.Msg
	from   asker
	size   int // bytes that the asker can take
	edns   *dns.OPT
	subnet *dns.EDNS0_SUBNET // of the reply
	cookie *dns.EDNS0_COOKIE // of the reply
	idle   bool              // the asker wants to know how long its connection may say nothing
	client netip.Addr        // of EDNS Client Subnet
	proved bool              // by a cookie: the asker is where he says
}

// readEDNS reads the options of the question (RFC 6891, RFC 7828, RFC 7871, RFC 7873) and reports whether they can be read.
func (x *exchange) readEDNS() bool {
	var opt *dns.OPT
	for _, rr := range x.query.Extra {
		o, ok := rr.(*dns.OPT)
		if ok && opt != nil {
			return false
		}
		if ok {
			opt = o
		}
	}
	if opt == nil {
		return true
	}
	x.edns = &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	x.edns.SetUDPSize(maxDatagram)
	if opt.Hdr.Name != "." { // RFC 6891 §6.1.2
		return false
	}
	if opt.Do() {
		x.edns.SetDo()
	}
	if !x.from.stream {
		x.size = min(max(int(opt.UDPSize()), dns.MinMsgSize), maxDatagram)
	}
	if opt.Version() != 0 {
		x.reply.Rcode = dns.RcodeBadVers
		return true
	}
	for _, o := range opt.Option {
		switch o := o.(type) {
		case *dns.EDNS0_SUBNET:
			if x.subnet != nil || !x.readSubnet(o) {
				return false
			}
		case *dns.EDNS0_COOKIE:
			if x.cookie == nil && !x.readCookie(o) { // of several the first one counts (RFC 7873 §5.2)
				return false
			}
		case *dns.EDNS0_TCP_KEEPALIVE:
			x.idle = x.from.stream // by UDP it says nothing (RFC 7828 §3.2.1)
		}
	}
	return true
}

// readSubnet learns for whom a resolver asks. A length of 0 means that it shall not be used.
func (x *exchange) readSubnet(o *dns.EDNS0_SUBNET) bool {
	addr, ok := netip.AddrFromSlice(o.Address)
	if o.Family == 1 {
		addr = addr.Unmap()
	}
	if o.SourceScope != 0 || o.Family > 2 || ok && addr.Is4() != (o.Family == 1) {
		return false
	}
	x.subnet = &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: o.Family, SourceNetmask: o.SourceNetmask, Address: o.Address}
	if !ok || o.SourceNetmask == 0 {
		return true
	}
	prefix, err := addr.Prefix(int(o.SourceNetmask))
	x.client = prefix.Addr()
	return err == nil && x.client == addr // bits behind the network are 0 (RFC 7871 §6)
}

// answer asks the zone.
func (x *exchange) answer() {
	s, q := x.server, x.query.Question[0]
	zone := s.zone.Load()
	switch {
	case q.Qclass != dns.ClassINET || zone == nil: // version.bind is of another class
		x.reply.Rcode = dns.RcodeRefused
	case !s.cfg.Fresh():
		x.reply.Rcode = dns.RcodeServerFailure // another gateway knows better
	default:
		x.take(zone.Answer(Question{Name: q.Name, Type: q.Qtype, Client: x.user(), Near: x.from.addr, Most: x.size / minRecord, Draw: rand.Uint64()}))
	}
	switch x.reply.Rcode {
	case dns.RcodeRefused, dns.RcodeNotImplemented:
		s.count(&s.stats.refused)
	case dns.RcodeFormatError:
		s.count(&s.stats.malformed)
	case dns.RcodeServerFailure:
		s.count(&s.stats.stale)
	case dns.RcodeNameError:
		s.count(&s.stats.absent)
	default:
		s.count(&s.stats.answered)
	}
}

// user is who will use the answer, if that is known: whom a resolver names, or the asker, if he wants recursion. A resolver that
// follows a delegation does not ask for that.
func (x *exchange) user() netip.Addr {
	switch {
	case x.subnet != nil:
		return x.client
	case x.query.RecursionDesired:
		return x.from.addr
	}
	return netip.Addr{}
}

func (x *exchange) take(a Answer) {
	x.reply.Rcode, x.reply.Authoritative = a.Rcode, a.Authoritative
	x.reply.Answer, x.reply.Ns, x.reply.Extra = a.Answer, a.Authority, a.Additional
	if a.Tailored && x.subnet != nil {
		x.subnet.SourceScope = x.subnet.SourceNetmask
	}
}

// pack makes the reply fit: without what is additional, or, where an answer would not be whole, without any and marked so (RFC 2181 §9).
func (x *exchange) pack(out []byte) []byte {
	if x.cookie != nil {
		x.edns.Option = append(x.edns.Option, x.cookie)
	}
	if x.edns != nil && x.subnet != nil {
		x.edns.Option = append(x.edns.Option, x.subnet)
	}
	if x.idle {
		x.edns.Option = append(x.edns.Option, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE, Timeout: uint16(min(x.server.cfg.Idle/(100*time.Millisecond), 1<<16-1))})
	}
	for _, shrink := range []func(){func() {}, func() { x.reply.Extra = nil }, func() { x.truncate() }} {
		shrink()
		if len(x.reply.Answer)+len(x.reply.Ns)+len(x.reply.Extra) > x.size/minRecord { // a forged question must not cost more than its answer
			continue
		}
		if x.edns != nil {
			x.reply.Extra = append(x.reply.Extra[:len(x.reply.Extra):len(x.reply.Extra)], x.edns)
		}
		packed, err := x.reply.PackBuffer(out[:cap(out)])
		if err == nil && len(packed) <= x.size {
			return packed
		}
	}
	return nil // not reached: a question and its options fit
}

func (x *exchange) truncate() {
	x.reply.Truncated = true
	x.reply.Answer, x.reply.Ns, x.reply.Extra = nil, nil, nil
}
