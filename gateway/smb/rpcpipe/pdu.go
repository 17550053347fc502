package rpcpipe

import "encoding/binary"

var le = binary.LittleEndian

const headerSize = 16

// The kinds of PDUs that are known ([C706] 12.6.4).
const (
	pduRequest      = 0
	pduResponse     = 2
	pduFault        = 3
	pduBind         = 11
	pduBindAck      = 12
	pduBindNak      = 13
	pduAlter        = 14
	pduAlterAnswer  = 15
	pduCancel       = 18
	pduOrphaned     = 19
	flagFirst       = 1
	flagLast        = 2
	flagObject      = 0x80
	littleEndian    = 0x10
	reasonAuth      = 8 // of a bind_nak: authentication type not recognized
	rejectProvider  = 2
	reasonInterface = 1
	reasonTransfer  = 2
)

// Codes of faults ([C706] appendix E, [MS-RPCE] 3.3.3.3).
const (
	faultOperation = 0x1C010002
	faultInterface = 0x1C010003
	faultContext   = 0x1C00001A
	faultStub      = 0x000006F7
)

type header struct {
	kind, flags byte
	length      int
	auth        int
	call        uint32
}

// parseHeader reads the common header; false for what is not version 5, not little-endian, or of an impossible length.
func parseHeader(b []byte) (header, bool) {
	h := header{kind: b[2], flags: b[3], length: int(le.Uint16(b[8:])), auth: int(le.Uint16(b[10:])), call: le.Uint32(b[12:])}
	return h, b[0] == 5 && b[1] <= 1 && b[4]&0xF0 == littleEndian && h.length >= headerSize+h.auth
}

// pdu starts a message; finish sets its length.
func pdu(kind, flags byte, call uint32) []byte {
	b := append(make([]byte, 0, 128), 5, 0, kind, flags, littleEndian, 0, 0, 0, 0, 0, 0, 0)
	return le.AppendUint32(b, call)
}

func finish(b []byte) []byte {
	le.PutUint16(b[8:], uint16(len(b)))
	return b
}

// call is a request whose fragments arrive.
type call struct {
	id      uint32
	context uint16
	op      uint16
	stub    []byte
}

// take handles one fragment; false if the client broke the protocol.
func (p *Pipe) take(h header, body []byte) bool {
	switch h.kind {
	case pduBind, pduAlter:
		return p.bind(h, body)
	case pduRequest:
		return p.request(h, body)
	case pduCancel, pduOrphaned:
		return true // answers are there before they can be cancelled
	}
	return false
}

func (p *Pipe) request(h header, body []byte) bool {
	fixed := 8
	if h.flags&flagObject != 0 {
		fixed += 16
	}
	if h.auth != 0 || len(body) < fixed {
		return false
	}
	if h.flags&flagFirst != 0 {
		if p.call != nil {
			return false
		}
		p.call = &call{id: h.call, context: le.Uint16(body[4:]), op: le.Uint16(body[6:])}
	}
	c := p.call
	if c == nil || c.id != h.call || len(c.stub)+len(body)-fixed > maxRequest {
		return false
	}
	c.stub = append(c.stub, body[fixed:]...)
	if h.flags&flagLast == 0 {
		return true
	}
	p.call = nil
	p.answer(c)
	return true
}

// answer runs a call and queues its answer, in fragments that the client takes.
func (p *Pipe) answer(c *call) {
	if !p.contexts[c.context] {
		p.fault(c, faultContext)
		return
	}
	op := p.iface.ops[c.op]
	if op == nil {
		p.fault(c, faultOperation)
		return
	}
	in, out := &reader{b: c.stub}, &writer{}
	op(p.server, in, out)
	if in.bad {
		p.fault(c, faultStub)
		return
	}
	rest, flags := out.b, byte(flagFirst)
	for {
		n := min(len(rest), (p.maxSend-headerSize-8)&^7)
		if n == len(rest) {
			flags |= flagLast
		}
		b := pdu(pduResponse, flags, c.id)
		b = le.AppendUint32(b, uint32(len(rest)))
		b = append(le.AppendUint16(b, c.context), 0, 0)
		p.send(finish(append(b, rest[:n]...)))
		if rest, flags = rest[n:], 0; len(rest) == 0 {
			return
		}
	}
}

func (p *Pipe) fault(c *call, code uint32) {
	b := pdu(pduFault, flagFirst|flagLast, c.id)
	b = le.AppendUint32(b, 0)
	b = append(le.AppendUint16(b, c.context), 0, 0)
	b = le.AppendUint32(b, code)
	p.send(finish(append(b, 0, 0, 0, 0)))
}
