package fscc

import (
	"net/netip"

	"causeway"
	"causeway/gateway/smb/ntstatus"
)

// The control codes that the server knows ([MS-FSCC] 2.3, [MS-SMB2] 2.2.31).
const (
	FSCTLPipeTransceive      uint32 = 0x0011C017
	FSCTLDFSGetReferrals     uint32 = 0x00060194
	FSCTLDFSGetReferralsEx   uint32 = 0x000601B0
	FSCTLGetCompression      uint32 = 0x0009003C
	FSCTLSetCompression      uint32 = 0x0009C040
	FSCTLIsPathnameValid     uint32 = 0x0009002C
	FSCTLSetReparsePoint     uint32 = 0x000900A4
	FSCTLGetReparsePoint     uint32 = 0x000900A8
	FSCTLDeleteReparsePoint  uint32 = 0x000900AC
	FSCTLCreateOrGetObjectID uint32 = 0x000900C0
	FSCTLSetSparse           uint32 = 0x000900C4
	FSCTLSetZeroData         uint32 = 0x000980C8
	FSCTLAllocatedRanges     uint32 = 0x000940CF
	FSCTLRequestResumeKey    uint32 = 0x00140078
	FSCTLCopyChunk           uint32 = 0x001440F2
	FSCTLCopyChunkWrite      uint32 = 0x001480F2
	FSCTLNetworkInterfaces   uint32 = 0x001401FC
	FSCTLValidateNegotiate   uint32 = 0x00140204
)

// Bounds of a server-side copy, as Windows has them ([MS-SMB2] 3.3.3).
const (
	MaxChunks     = 256
	MaxChunkBytes = 1 << 20
	MaxCopyBytes  = 16 << 20
)

// ResumeKeySize is the size of an SRV_REQUEST_RESUME_KEY's key; the server chooses its 24 bytes.
const ResumeKeySize = 24

// AppendResumeKey appends an SRV_REQUEST_RESUME_KEY response ([MS-SMB2] 2.2.32.3). Windows sends no byte of context, but its clients
// offer 32 bytes and take nothing less.
func AppendResumeKey(dst []byte, key [ResumeKeySize]byte) []byte {
	return append(append(dst, key[:]...), make([]byte, 8)...)
}

// Chunk is a range to copy.
type Chunk struct {
	Source, Target uint64
	Length         uint32
}

// CopyChunk is an SRV_COPYCHUNK_COPY ([MS-SMB2] 2.2.31.1).
type CopyChunk struct {
	Key    [ResumeKeySize]byte
	Chunks []Chunk
}

// DecodeCopyChunk reads one. InvalidParameter: too short; or beyond a bound (limits is true): then the answer holds the
// bounds, as [AppendCopyLimits] writes them ([MS-SMB2] 3.3.5.15.6).
func DecodeCopyChunk(b []byte) (c CopyChunk, limits bool, err error) {
	if len(b) < 32 {
		return c, false, ntstatus.InvalidParameter
	}
	copy(c.Key[:], b)
	count := le.Uint32(b[24:])
	if count > MaxChunks {
		return c, true, ntstatus.InvalidParameter
	}
	b = b[32:]
	if len(b) < int(count)*24 {
		return c, false, ntstatus.InvalidParameter
	}
	c.Chunks = make([]Chunk, count)
	total := uint64(0)
	for i := range c.Chunks {
		k := &c.Chunks[i]
		*k = Chunk{le.Uint64(b), le.Uint64(b[8:]), le.Uint32(b[16:])}
		if k.Length == 0 || k.Length > MaxChunkBytes {
			return c, true, ntstatus.InvalidParameter
		}
		if k.Source>>63 != 0 || k.Target>>63 != 0 {
			return c, false, ntstatus.InvalidParameter
		}
		total += uint64(k.Length)
		b = b[24:]
	}
	if total > MaxCopyBytes {
		return c, true, ntstatus.InvalidParameter
	}
	return c, false, nil
}

// AppendCopied appends an SRV_COPYCHUNK_RESPONSE of chunks that were written, bytes of a chunk that was written in part, and the
// total of bytes ([MS-SMB2] 2.2.32.1).
func AppendCopied(dst []byte, chunks, part, total uint32) []byte {
	return le.AppendUint32(le.AppendUint32(le.AppendUint32(dst, chunks), part), total)
}

// AppendCopyLimits appends the SRV_COPYCHUNK_RESPONSE that tells a client the bounds.
func AppendCopyLimits(dst []byte) []byte {
	return AppendCopied(dst, MaxChunks, MaxChunkBytes, MaxCopyBytes)
}

// DecodeSetSparse reads a FILE_SET_SPARSE_BUFFER; none means true ([MS-FSCC] 2.3.69).
func DecodeSetSparse(b []byte) bool { return len(b) == 0 || b[0] != 0 }

// DecodeZeroData reads a FILE_ZERO_DATA_INFORMATION ([MS-FSCC] 2.3.71): InvalidParameter for negative or crossed bounds.
func DecodeZeroData(b []byte) (causeway.Span, error) {
	if len(b) < 16 {
		return causeway.Span{}, ntstatus.InvalidParameter
	}
	from, to := le.Uint64(b), le.Uint64(b[8:])
	if from>>63 != 0 || to>>63 != 0 || from > to {
		return causeway.Span{}, ntstatus.InvalidParameter
	}
	return causeway.Span{Offset: from, Length: to - from}, nil
}

// DecodeAllocatedRanges reads a FILE_ALLOCATED_RANGE_BUFFER of a request ([MS-FSCC] 2.3.52): which span is asked for.
func DecodeAllocatedRanges(b []byte) (causeway.Span, error) {
	if len(b) < 16 {
		return causeway.Span{}, ntstatus.InvalidParameter
	}
	s := causeway.Span{Offset: le.Uint64(b), Length: le.Uint64(b[8:])}
	if s.Offset>>63 != 0 || s.Length>>63 != 0 || (s.Offset+s.Length)>>63 != 0 {
		return causeway.Span{}, ntstatus.InvalidParameter
	}
	return s, nil
}

// AppendAllocatedRanges appends the ranges that fit into max bytes: BufferOverflow if some do not, BufferTooSmall if there are
// some and none fits.
func AppendAllocatedRanges(dst []byte, ranges []causeway.Span, max int) ([]byte, error) {
	for i, r := range ranges {
		if max < 16 {
			if i == 0 {
				return dst, ntstatus.BufferTooSmall
			}
			return dst, ntstatus.BufferOverflow
		}
		dst = le.AppendUint64(le.AppendUint64(dst, r.Offset), r.Length)
		max -= 16
	}
	return dst, nil
}

// Interface is an address of this gateway that a client may open further connections to.
type Interface struct {
	Index uint32
	Addr  netip.Addr
	Speed uint64 // bits per second; 0 counts as 1 Gbit/s
	RSS   bool   // several connections over it use several processors
}

// InterfaceSize is the size of a NETWORK_INTERFACE_INFO in bytes.
const InterfaceSize = 152

// AppendInterfaces appends the NETWORK_INTERFACE_INFO list ([MS-SMB2] 2.2.32.5): BufferTooSmall if it is longer than max.
func AppendInterfaces(dst []byte, list []Interface, max int) ([]byte, error) {
	const size = InterfaceSize
	if max < size*len(list) {
		return dst, ntstatus.BufferTooSmall
	}
	for i, n := range list {
		next, capability := uint32(size), uint32(0)
		if i == len(list)-1 {
			next = 0
		}
		if n.RSS {
			capability = 1
		}
		if n.Speed == 0 {
			n.Speed = 1_000_000_000
		}
		dst = le.AppendUint32(dst, next)
		dst = le.AppendUint32(dst, n.Index)
		dst = le.AppendUint32(dst, capability)
		dst = le.AppendUint32(dst, 0)
		dst = le.AppendUint64(dst, n.Speed)
		dst = appendSockaddr(dst, n.Addr.Unmap())
	}
	return dst, nil
}

// appendSockaddr appends a SOCKADDR_STORAGE of 128 bytes; its port and address are in network order.
func appendSockaddr(dst []byte, addr netip.Addr) []byte {
	const familyIPv4, familyIPv6 = 2, 0x17
	start := len(dst)
	if addr.Is4() {
		dst = append(le.AppendUint16(dst, familyIPv4), 0, 0)
		dst = append(dst, addr.AsSlice()...)
	} else {
		dst = append(le.AppendUint16(dst, familyIPv6), 0, 0, 0, 0, 0, 0)
		dst = append(dst, addr.AsSlice()...)
	}
	return append(dst, make([]byte, 128-(len(dst)-start))...)
}
