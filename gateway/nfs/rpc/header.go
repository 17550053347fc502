package rpc

import (
	"causeway"
	"causeway/gateway/nfs/xdr"
)

// The numbers of RFC 5531 §9.
const (
	version = 2

	msgCall  = 0
	msgReply = 1

	replyAccepted = 0
	replyDenied   = 1

	acceptSuccess      = 0
	acceptProgUnavail  = 1
	acceptProgMismatch = 2
	acceptProcUnavail  = 3
	acceptGarbageArgs  = 4
	acceptSystemErr    = 5

	rejectMismatch = 0
	rejectAuth     = 1

	authBadCred      = 1
	authRejectedCred = 2
	authBadVerf      = 3
	authTooWeak      = 5
)

// Bounds of RFC 5531 §8.2 and its appendix A.
const (
	maxAuthBody = 400
	maxMachine  = 255
	maxGroups   = 16
)

// outcome of parsing a call's header.
type outcome uint8

const (
	callGood    outcome = iota
	callCut             // too short to be a call: whoever sends this does not speak RPC
	callReply           // not a call
	callVersion         // another version of RPC
	callBadCred
	callBadVerf
	callFlavor // a flavor that nobody here speaks
)

// parse reads the header of a call. The views in c are good as long as record is; groups is where the credential's groups go.
func (c *Call) parse(record []byte, groups *[maxGroups]uint32) outcome {
	d := xdr.NewDecoder(record)
	c.XID = d.Uint32()
	kind := d.Uint32()
	c.Prog, c.Vers, c.Proc, c.Flavor = 0, 0, 0, AuthNone
	c.Cred = causeway.Cred{UID: causeway.Nobody, GID: causeway.Nobody}
	c.Machine = ""
	if !d.OK() {
		return callCut
	}
	if kind != msgCall {
		return callReply
	}
	if v := d.Uint32(); d.OK() && v != version {
		return callVersion
	}
	c.Prog, c.Vers, c.Proc = d.Uint32(), d.Uint32(), d.Uint32()
	c.Flavor = Flavor(d.Uint32())
	if !d.OK() {
		return callCut
	}
	credential := d.Opaque(maxAuthBody)
	if !d.OK() {
		return callBadCred
	}
	d.Uint32() // the verifier's flavor: with AUTH_NONE and AUTH_SYS it has no meaning
	d.Opaque(maxAuthBody)
	if !d.OK() {
		return callBadVerf
	}
	c.Args = d
	switch c.Flavor {
	case AuthNone:
		return callGood
	case AuthSys:
		if !c.parseSys(credential, groups) {
			return callBadCred
		}
		return callGood
	}
	return callFlavor
}

// parseSys reads the body of an AUTH_SYS credential (RFC 5531, appendix A).
func (c *Call) parseSys(body []byte, groups *[maxGroups]uint32) bool {
	d := xdr.NewDecoder(body)
	d.Uint32() // stamp
	machine := d.String(maxMachine)
	uid, gid := d.Uint32(), d.Uint32()
	n := d.Uint32()
	if n > maxGroups {
		return false
	}
	for i := range n {
		groups[i] = d.Uint32()
	}
	if !d.OK() {
		return false
	}
	c.Machine = machine
	c.Cred = causeway.Cred{UID: uid, GID: gid, Groups: groups[:n:n]}
	return true
}

// accept writes the header of an accepted reply.
func accept(e *xdr.Encoder, xid, stat uint32) {
	e.Uint32(xid)
	e.Uint32(msgReply)
	e.Uint32(replyAccepted)
	e.Uint64(0) // verifier: AUTH_NONE, empty
	e.Uint32(stat)
}

// acceptMismatch writes PROG_MISMATCH with the versions that there are.
func acceptMismatch(e *xdr.Encoder, xid, low, high uint32) {
	accept(e, xid, acceptProgMismatch)
	e.Uint32(low)
	e.Uint32(high)
}

// rejectVersion writes RPC_MISMATCH.
func rejectVersion(e *xdr.Encoder, xid uint32) {
	e.Uint32(xid)
	e.Uint32(msgReply)
	e.Uint32(replyDenied)
	e.Uint32(rejectMismatch)
	e.Uint32(version)
	e.Uint32(version)
}

// rejectCred writes AUTH_ERROR.
func rejectCred(e *xdr.Encoder, xid, why uint32) {
	e.Uint32(xid)
	e.Uint32(msgReply)
	e.Uint32(replyDenied)
	e.Uint32(rejectAuth)
	e.Uint32(why)
}
