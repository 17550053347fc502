package dfs

import (
	"time"
	"unicode/utf16"

	"causeway/gateway/smb/ntstatus"
)

// Bounds of an answer.
const (
	MaxTargets = 64
	maxAnswer  = 56 << 10 // its offsets and those of the client's buffer have 16 bits
)

const (
	headerReferralServers = 0x1 // the targets answer referrals themselves
	headerStorageServers  = 0x2
	headerTargetFailback  = 0x4
	targetSetBoundary     = 0x4 // of a version 4 entry: the first of targets of equal cost
	serverRoot            = 1
)

// Referral is the answer for one path: where the part of it that Consumed counts is found.
type Referral struct {
	Path     string        // the root or link, as the client is to remember it: a prefix of what it asked for
	Consumed string        // the part of the client's path that the targets replace, as it was sent
	Targets  []string      // "\server\share" or "\server\share\path", the first to be tried first
	Root     bool          // Path is the root of a namespace; else a link in it
	Failback bool          // go back to a better target when it answers again
	TTL      time.Duration // rounded down to seconds
}

// Append appends the RESP_GET_DFS_REFERRAL ([MS-DFSC] 2.2.4), of the highest version up to 4 that the client understands, in at most max
// bytes. It is never cut within an entry: BufferOverflow, and nothing, if it does not fit, upon which clients ask again with a larger
// buffer. InvalidParameter: no targets or more than MaxTargets, or a version below 1.
func (r *Referral) Append(dst []byte, maxLevel, max int) ([]byte, error) {
	if len(r.Targets) == 0 || len(r.Targets) > MaxTargets || maxLevel < 1 {
		return dst, ntstatus.InvalidParameter
	}
	b := le.AppendUint16(nil, uint16(2*len(utf16.Encode([]rune(r.Consumed)))))
	b = le.AppendUint16(b, uint16(len(r.Targets)))
	b = le.AppendUint32(b, r.headerFlags())
	switch {
	case maxLevel == 1:
		b = r.appendV1(b)
	case maxLevel == 2:
		b = r.appendWithStrings(b, 2, 22)
	default:
		b = r.appendWithStrings(b, uint16(min(maxLevel, 4)), 34)
	}
	if len(b) > min(max, maxAnswer) {
		return dst, ntstatus.BufferOverflow
	}
	return append(dst, b...), nil
}

// headerFlags: a root's targets answer referrals, a link's store files; ours do both, being gateways.
func (r *Referral) headerFlags() uint32 {
	flags := uint32(headerStorageServers)
	if r.Root {
		flags |= headerReferralServers
	}
	if r.Failback {
		flags |= headerTargetFailback
	}
	return flags
}

func (r *Referral) serverType() uint16 {
	if r.Root {
		return serverRoot
	}
	return 0
}

// appendV1 appends entries that hold their target ([MS-DFSC] 2.2.5.1).
func (r *Referral) appendV1(b []byte) []byte {
	for _, t := range r.Targets {
		start := len(b)
		b = append(le.AppendUint16(b, 1), 0, 0)
		b = le.AppendUint16(le.AppendUint16(b, r.serverType()), 0)
		b = appendText(b, t)
		le.PutUint16(b[start+2:], uint16(len(b)-start))
	}
	return b
}

// appendWithStrings appends entries of version 2, 3 or 4 of a size, whose strings stand behind all entries ([MS-DFSC] 2.2.5.2 ff). Offsets
// count from the start of the entry that has them.
func (r *Referral) appendWithStrings(b []byte, version uint16, size int) []byte {
	first := len(b)
	b = append(b, make([]byte, size*len(r.Targets))...)
	path := len(b)
	b = appendText(b, r.Path)
	short := len(b)
	b = appendText(b, r.Path) // there is no other spelling of 8.3 names
	ttl := uint32(min(max(r.TTL/time.Second, 0), 1<<32-1))
	for i, t := range r.Targets {
		at := first + i*size
		target := len(b)
		b = appendText(b, t)
		e := le.AppendUint16(nil, version)
		e = le.AppendUint16(e, uint16(size))
		e = le.AppendUint16(e, r.serverType())
		if version == 4 && i == 0 {
			e = le.AppendUint16(e, targetSetBoundary)
		} else {
			e = le.AppendUint16(e, 0)
		}
		if version == 2 {
			e = le.AppendUint32(e, 0) // proximity
		}
		e = le.AppendUint32(e, ttl)
		for _, to := range [3]int{path, short, target} {
			e = le.AppendUint16(e, uint16(to-at))
		}
		copy(b[at:], e)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	for _, u := range utf16.Encode([]rune(s)) {
		b = le.AppendUint16(b, u)
	}
	return append(b, 0, 0)
}
