package contexts

import (
	"unicode/utf16"

	"causeway/gateway/smb/ntstatus"
)

// What macOS asks for in an AAPL context, and what it is told. The context has no public specification; the numbers are those of Apple's
// open-source client (smb_2.h of its SMBClient).
const (
	appleServerQuery = 1

	AppleServerCaps uint64 = 1 // bits of AppleQuery.Wanted
	AppleVolumeCaps uint64 = 2
	AppleModelInfo  uint64 = 4

	AppleReadDirAttr uint64 = 1 // bits of AppleAnswer.Server: listings carry rights, resource fork size and Finder info
	AppleCopyFile    uint64 = 2
	AppleUnixBased   uint64 = 4
	AppleNFSACE      uint64 = 8

	AppleResolveID     uint64 = 1 // bits of AppleAnswer.Volume
	AppleCaseSensitive uint64 = 2
	AppleFullSync      uint64 = 4
)

// maxModel is the longest model string in UTF-16 units.
const maxModel = 64

// AppleQuery is the request: what is asked for, and what the client can do.
type AppleQuery struct {
	Wanted, ClientCaps uint64
}

// DecodeApple reads one: NotSupported for another command than the server query, which clients take for a server that knows none.
func DecodeApple(b []byte) (AppleQuery, error) {
	if len(b) < 8 {
		return AppleQuery{}, ntstatus.InvalidParameter
	}
	if le.Uint32(b) != appleServerQuery {
		return AppleQuery{}, ntstatus.NotSupported
	}
	if len(b) < 24 {
		return AppleQuery{}, ntstatus.InvalidParameter
	}
	return AppleQuery{Wanted: le.Uint64(b[8:]), ClientCaps: le.Uint64(b[16:])}, nil
}

// AppleAnswer is what macOS is told about server and volume.
type AppleAnswer struct {
	Server, Volume uint64
	Model          string // at most 64 UTF-16 units, cut there
}

// Context returns the answer to what was wanted.
func (a *AppleAnswer) Context(q AppleQuery) Context {
	const known = AppleServerCaps | AppleVolumeCaps | AppleModelInfo
	b := le.AppendUint32(nil, appleServerQuery)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, q.Wanted&known)
	if q.Wanted&AppleServerCaps != 0 {
		b = le.AppendUint64(b, a.Server)
	}
	if q.Wanted&AppleVolumeCaps != 0 {
		b = le.AppendUint64(b, a.Volume)
	}
	if q.Wanted&AppleModelInfo != 0 {
		model := utf16.Encode([]rune(a.Model))
		model = model[:min(len(model), maxModel)]
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, uint32(2*len(model)))
		for _, u := range model {
			b = le.AppendUint16(b, u)
		}
	}
	return Context{Apple, b}
}
