package rpcpipe

// syntax is a p_syntax_id_t: a UUID as it stands on the wire, and a version (major in the low half).
type syntax struct {
	uuid    [16]byte
	version uint32
}

// ndr is the transfer syntax NDR, 8a885d04-1ceb-11c9-9fe8-08002b104860 version 2.
var ndr = syntax{[16]byte{0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60}, 2}

// iface is what a pipe serves: an interface by its syntax, and its operations by number. An operation reads all of its arguments before it
// writes; if they are bad, what it wrote is not sent.
type iface struct {
	name   string
	syntax syntax
	ops    map[uint16]func(s *Server, in *reader, out *writer)
}

var interfaces = []*iface{srvsvc, wkssvc, lsarpc}

const minFragment = 1432 // [C706] 12.6.3.1: what everyone must take

func parseSyntax(b []byte) syntax { return syntax{[16]byte(b), le.Uint32(b[16:])} }

// bind answers bind and alter_context ([C706] 12.6.4.3): which of the proposed contexts are served.
func (p *Pipe) bind(h header, body []byte) bool {
	if h.flags&(flagFirst|flagLast) != flagFirst|flagLast || len(body) < 12 {
		return false
	}
	if h.auth != 0 {
		// Who calls was authenticated by the SMB session; a second authentication inside of it is not offered.
		b := le.AppendUint16(pdu(pduBindNak, flagFirst|flagLast, h.call), reasonAuth)
		p.send(finish(append(b, 1, 5, 0)))
		return true
	}
	if h.kind == pduBind {
		if receive := int(le.Uint16(body[2:])); receive >= minFragment {
			p.maxSend = min(receive, maxFragment)
		} else {
			p.maxSend = minFragment
		}
	}
	group, count := le.Uint32(body[4:]), int(body[8])
	results, ok := p.negotiate(body[12:], count)
	if !ok {
		return false
	}
	kind, address := byte(pduBindAck), `\PIPE\`+p.iface.name+"\x00"
	if h.kind == pduAlter {
		kind, address = pduAlterAnswer, ""
	}
	if group == 0 {
		group = 0x53F0
	}
	b := pdu(kind, flagFirst|flagLast, h.call)
	b = le.AppendUint16(le.AppendUint16(b, uint16(p.maxSend)), maxFragment)
	b = le.AppendUint32(b, group)
	b = append(le.AppendUint16(b, uint16(len(address))), address...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = append(b, byte(count), 0, 0, 0)
	p.send(finish(append(b, results...)))
	return true
}

// negotiate reads the list of contexts and returns the list of results.
func (p *Pipe) negotiate(b []byte, count int) (results []byte, ok bool) {
	for range count {
		if len(b) < 24 {
			return nil, false
		}
		id, transfers := le.Uint16(b), int(b[2])
		abstract := parseSyntax(b[4:])
		if b = b[24:]; len(b) < 20*transfers {
			return nil, false
		}
		offered := false
		for i := range transfers {
			offered = offered || parseSyntax(b[20*i:]) == ndr
		}
		b = b[20*transfers:]
		switch {
		case abstract.uuid != p.iface.syntax.uuid || abstract.version&0xFFFF != p.iface.syntax.version:
			results = appendResult(results, rejectProvider, reasonInterface, syntax{})
		case !offered:
			results = appendResult(results, rejectProvider, reasonTransfer, syntax{})
		default:
			p.contexts[id] = true
			results = appendResult(results, 0, 0, ndr)
		}
	}
	return results, true
}

func appendResult(b []byte, result, reason uint16, s syntax) []byte {
	b = le.AppendUint16(le.AppendUint16(b, result), reason)
	return le.AppendUint32(append(b, s.uuid[:]...), s.version)
}
