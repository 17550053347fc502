package nlm

import (
	"math"
	"unicode"
	"unicode/utf8"

	"causeway"
	"causeway/gateway/nfs/xdr"
)

// Program numbers.
const (
	Program    = 100021
	NSMProgram = 100024
)

// Procedures of NLM (XNFS version 3W, chapter 10; version 4: chapter 14). 6 to 15 are calls without a result: a _MSG is
// answered by a call of the matching _RES.
const (
	procNull       = 0
	procTest       = 1
	procLock       = 2
	procCancel     = 3
	procUnlock     = 4
	procGranted    = 5
	procTestMsg    = 6
	procLockMsg    = 7
	procCancelMsg  = 8
	procUnlockMsg  = 9
	procGrantedMsg = 10
	procTestRes    = 11
	procLockRes    = 12
	procCancelRes  = 13
	procUnlockRes  = 14
	procGrantedRes = 15
	procShare      = 20
	procUnshare    = 21
	procNMLock     = 22
	procFreeAll    = 23
)

// Limits of what is taken from the wire, in bytes. The standard allows 1024 each; a host's name and an owner are kept, so they
// are held to what hosts use.
const (
	maxName   = 255
	maxNetobj = 1024 // cookies, which are only sent back, and handles, which are looked at by others
	maxOH     = 256
)

// lockArgs is nlm4_lock and, with 32-bit numbers, nlm_lock. Slices and strings are views of the record.
type lockArgs struct {
	caller         string
	handle, oh     []byte
	svid           uint32
	offset, length uint64
}

// args holds the arguments of all procedures about locks; each uses what it has.
type args struct {
	cookie    []byte
	block     bool
	exclusive bool
	reclaim   bool
	state     uint32
	lock      lockArgs
}

// wide reports whether a version has 64-bit offsets.
func wide(vers uint32) bool { return vers >= 4 }

// decodeName reads a host's name: printable, so that it can stand in records and logs.
func decodeName(d *xdr.Decoder) string {
	s := d.String(maxName)
	if s == "" || !utf8.ValidString(s) {
		d.Fail()
		return ""
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || r == ' ' {
			d.Fail()
			return ""
		}
	}
	return s
}

func (l *lockArgs) decode(d *xdr.Decoder, wide bool) {
	l.caller = decodeName(d)
	l.handle = d.Opaque(maxNetobj)
	l.oh = d.Opaque(maxOH)
	l.svid = d.Uint32()
	l.offset, l.length = decodeOffset(d, wide), decodeOffset(d, wide)
}

func (l *lockArgs) encode(e *xdr.Encoder, wide bool) {
	e.String(l.caller)
	e.Opaque(l.handle)
	e.Opaque(l.oh)
	e.Uint32(l.svid)
	encodeOffset(e, l.offset, wide)
	encodeOffset(e, l.length, wide)
}

func decodeOffset(d *xdr.Decoder, wide bool) uint64 {
	if wide {
		return d.Uint64()
	}
	return uint64(d.Uint32())
}

func encodeOffset(e *xdr.Encoder, v uint64, wide bool) {
	if wide {
		e.Uint64(v)
		return
	}
	e.Uint32(uint32(min(v, math.MaxUint32)))
}

// decode reads the arguments of TEST, LOCK, CANCEL, UNLOCK, GRANTED and NM_LOCK, in their plain and their _MSG form.
func (a *args) decode(d *xdr.Decoder, proc uint32, wide bool) bool {
	a.cookie = d.Opaque(maxNetobj)
	switch proc {
	case procLock, procNMLock, procCancel:
		a.block = d.Bool()
		fallthrough
	case procTest, procGranted:
		a.exclusive = d.Bool()
	}
	a.lock.decode(d, wide)
	if proc == procLock || proc == procNMLock {
		a.reclaim = d.Bool()
		a.state = d.Uint32()
	}
	return d.OK()
}

// encode writes the arguments of GRANTED and GRANTED_MSG (nlm4_testargs).
func (a *args) encode(e *xdr.Encoder, wide bool) {
	e.Opaque(a.cookie)
	e.Bool(a.exclusive)
	a.lock.encode(e, wide)
}

// span is what a lock covers. A length of 0 reaches to the end, and so does one that no file can have, which some clients send
// instead. ErrFBig for what lies behind the largest file.
func (l *lockArgs) span() (causeway.Span, causeway.Code) {
	switch {
	case l.offset > math.MaxInt64:
		return causeway.Span{}, causeway.ErrFBig
	case l.length == 0 || l.length >= math.MaxInt64:
		return causeway.Span{Offset: l.offset, Length: causeway.ToEOF}, causeway.OK
	case l.length-1 > math.MaxInt64-l.offset:
		return causeway.Span{}, causeway.ErrFBig
	}
	return causeway.Span{Offset: l.offset, Length: l.length}, causeway.OK
}

// holder is nlm4_holder: whose lock conflicts. The owner handle stays empty: it is of use to its own client only.
type holder struct {
	exclusive bool
	svid      uint32
	span      causeway.Span
}

func (h *holder) encode(e *xdr.Encoder, wide bool) {
	e.Bool(h.exclusive)
	e.Uint32(h.svid)
	e.Opaque(nil)
	length := h.span.Length
	if h.span.End() > math.MaxInt64 || !wide && h.span.End() > math.MaxInt32 {
		length = 0
	}
	encodeOffset(e, h.span.Offset, wide)
	encodeOffset(e, length, wide)
}

// result is the answer of all procedures about locks: nlm4_res, nlm4_testres where test is set, nlm4_shareres where share is.
type result struct {
	cookie []byte
	status status
	test   bool
	share  bool
	holder holder
}

func (r *result) encode(e *xdr.Encoder, wide bool) {
	e.Opaque(r.cookie)
	e.Uint32(r.status.of(wide))
	switch {
	case r.test && r.status == denied:
		r.holder.encode(e, wide)
	case r.share:
		e.Uint32(0) // sequence
	}
}

// decodeResult reads nlm4_res: the answer of GRANTED, and the arguments of GRANTED_RES.
func decodeResult(d *xdr.Decoder) (cookie []byte, s status) {
	return d.Opaque(maxNetobj), status(d.Uint32())
}
