package relay

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"causeway"
	"causeway/gateway/nfs/rpc"
	"causeway/gateway/nfs/xdr"
)

// Every frame begins with 16 bytes, big endian like all that follows: 4 the length of what comes behind these 16, 1 the format
// number, 1 the kind, 2 zero, 8 the number of the request on this connection.
const (
	headSize = 16
	format   = 1
)

type kind uint8

const (
	kindCall     kind = 1 // a client's request
	kindReply    kind = 2 // an answer
	kindCancel   kind = 3 // nobody waits for the answer any more; no body
	kindCallback kind = 4 // a call to be made to a client, laid out like one of his
)

// The body of a call, before groups (4 bytes each), machine and arguments.
const (
	callSize = 8 + 8 + 5*4 + 2*4 + 4 + 1 + 1 + 2 + 2*addrSize
	addrSize = 1 + 16 + 2

	// maxGroups is more than AUTH_SYS has room for (RFC 5531, appendix A), maxMachine what it allows.
	maxGroups  = 64
	maxMachine = 255
)

// The body of a reply: 1 the verdict, 3 zero, the result.
const replySize = 4

// answer is what the owner made of a call: an rpc.Verdict, or that it did not look at it.
type answer uint8

const (
	notMine answer = 0x80 // the owner is another one, or is one in another epoch
	busy    answer = 0x81 // no handler for the program, or the sender is no member
)

var errFrame = errors.New("relay: malformed frame")

// head is the beginning of a frame.
type head struct {
	length uint32
	kind   kind
	id     uint64
}

func putHead(p []byte, h head) {
	binary.BigEndian.PutUint32(p, h.length)
	p[4], p[5], p[6], p[7] = format, byte(h.kind), 0, 0
	binary.BigEndian.PutUint64(p[8:], h.id)
}

// parseHead refuses frames of another format, and those that are longer than limit, before anything is allocated for them.
func parseHead(p []byte, limit int) (head, error) {
	h := head{length: binary.BigEndian.Uint32(p), kind: kind(p[5]), id: binary.BigEndian.Uint64(p[8:])}
	least := uint32(0)
	switch h.kind {
	case kindCall, kindCallback:
		least = callSize
	case kindReply:
		least = replySize
	case kindCancel:
		limit = 0
	default:
		return head{}, errFrame
	}
	if p[4] != format || p[6]|p[7] != 0 || h.length < least || uint64(h.length) > uint64(limit) {
		return head{}, errFrame
	}
	return h, nil
}

// request is a call between gateways.
type request struct {
	kind     kind
	epoch    causeway.Epoch // zero: for every gateway, whatever it owns
	patience time.Duration  // how long the sender will wait, in milliseconds on the wire
}

// callLength returns the length of the body of a call.
func callLength(c *rpc.Call) int {
	return callSize + 4*min(len(c.Cred.Groups), maxGroups) + min(len(c.Machine), maxMachine) + len(c.Args.Rest())
}

// appendCall writes the body of a call: with all that decides about it, exactly as the client sent it.
func appendCall(p []byte, r request, c *rpc.Call) []byte {
	groups, machine := c.Cred.Groups[:min(len(c.Cred.Groups), maxGroups)], c.Machine[:min(len(c.Machine), maxMachine)]
	be := binary.BigEndian
	p = be.AppendUint64(p, r.epoch.Incarnation)
	p = be.AppendUint64(p, r.epoch.Revision)
	for _, v := range [...]uint32{c.XID, c.Prog, c.Vers, c.Proc, uint32(c.Flavor), c.Cred.UID, c.Cred.GID} {
		p = be.AppendUint32(p, v)
	}
	p = be.AppendUint32(p, uint32(min(r.patience.Milliseconds(), 1<<31)))
	datagram := byte(0)
	if c.Datagram {
		datagram = 1
	}
	p = append(p, datagram, byte(len(groups)))
	p = be.AppendUint16(p, uint16(len(machine)))
	p = appendAddr(p, c.Remote)
	p = appendAddr(p, c.Local)
	for _, g := range groups {
		p = be.AppendUint32(p, g)
	}
	p = append(p, machine...)
	return append(p, c.Args.Rest()...)
}

// parseCall reads the body of a call. What it puts into c borrows p; groups is where the credential's groups go.
func parseCall(p []byte, r *request, c *rpc.Call, groups *[maxGroups]uint32) error {
	if len(p) < callSize {
		return errFrame
	}
	be := binary.BigEndian
	next := func() uint32 { v := be.Uint32(p); p = p[4:]; return v }
	r.epoch = causeway.Epoch{Incarnation: be.Uint64(p), Revision: be.Uint64(p[8:])}
	p = p[16:]
	c.XID, c.Prog, c.Vers, c.Proc, c.Flavor = next(), next(), next(), next(), rpc.Flavor(next())
	c.Cred.UID, c.Cred.GID = next(), next()
	r.patience = time.Duration(next()) * time.Millisecond
	datagram, n, machine := p[0], int(p[1]), int(be.Uint16(p[2:]))
	p = p[4:]
	var ok, too bool
	c.Remote, ok = parseAddr(p)
	c.Local, too = parseAddr(p[addrSize:])
	p = p[2*addrSize:]
	if !ok || !too || datagram > 1 || n > maxGroups || machine > maxMachine || len(p) < 4*n+machine {
		return errFrame
	}
	c.Datagram = datagram == 1
	for i := range n {
		groups[i] = next()
	}
	c.Cred.Groups = groups[:n:maxGroups]
	c.Machine = string(p[:machine])
	c.Args = xdr.NewDecoder(p[machine:])
	return nil
}

// appendAddr writes 1 the family (0, 4 or 6), 16 the address, 2 the port. Zones of link-local addresses mean nothing to others.
func appendAddr(p []byte, a netip.AddrPort) []byte {
	var family byte
	var b [16]byte
	switch addr := a.Addr(); {
	case addr.Is4():
		family = 4
		v4 := addr.As4()
		copy(b[:], v4[:])
	case addr.Is6():
		family, b = 6, addr.As16()
	}
	p = append(append(p, family), b[:]...)
	return binary.BigEndian.AppendUint16(p, a.Port())
}

func parseAddr(p []byte) (netip.AddrPort, bool) {
	port := binary.BigEndian.Uint16(p[17:])
	switch p[0] {
	case 0:
		return netip.AddrPort{}, true
	case 4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(p[1:5])), port), true
	case 6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(p[1:17])), port), true
	}
	return netip.AddrPort{}, false
}
