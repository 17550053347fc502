package contexts

import (
	"time"

	"causeway/gateway/smb/ntstatus"
)

// FileID is an SMB2_FILEID ([MS-SMB2] 2.2.14.1).
type FileID struct {
	Persistent, Volatile uint64
}

func fileIDOf(b []byte) FileID { return FileID{le.Uint64(b), le.Uint64(b[8:])} }

// PersistentFlag asks for a handle that outlives the server's failure ([MS-SMB2] 2.2.13.2.11).
const PersistentFlag uint32 = 0x2

// DurableV2 is a DH2Q: the client's id of the create, and for how long it would like the handle to be kept (0: as the server likes).
type DurableV2 struct {
	Timeout  time.Duration
	Flags    uint32
	CreateID [16]byte
}

// ReconnectV2 is a DH2C.
type ReconnectV2 struct {
	File     FileID
	CreateID [16]byte
	Flags    uint32
}

// DecodeDurable checks a DHnQ, whose 16 bytes say nothing.
func DecodeDurable(b []byte) error { return exactly(b, 16) }

// DecodeReconnect reads a DHnC.
func DecodeReconnect(b []byte) (FileID, error) {
	if err := exactly(b, 16); err != nil {
		return FileID{}, err
	}
	return fileIDOf(b), nil
}

// DecodeDurableV2 reads a DH2Q.
func DecodeDurableV2(b []byte) (DurableV2, error) {
	if err := exactly(b, 32); err != nil {
		return DurableV2{}, err
	}
	return DurableV2{Timeout: time.Duration(le.Uint32(b)) * time.Millisecond, Flags: le.Uint32(b[4:]), CreateID: [16]byte(b[16:])}, nil
}

// DecodeReconnectV2 reads a DH2C.
func DecodeReconnectV2(b []byte) (ReconnectV2, error) {
	if err := exactly(b, 36); err != nil {
		return ReconnectV2{}, err
	}
	return ReconnectV2{File: fileIDOf(b), CreateID: [16]byte(b[16:]), Flags: le.Uint32(b[32:])}, nil
}

// DurableAnswer is the answer to a DHnQ ([MS-SMB2] 2.2.14.2.3).
func DurableAnswer() Context { return Context{DurableRequest, make([]byte, 8)} }

// DurableV2Answer is the answer to a DH2Q: for how long the handle is kept, rounded down to milliseconds ([MS-SMB2] 2.2.14.2.12).
func DurableV2Answer(timeout time.Duration, flags uint32) Context {
	ms := min(max(timeout.Milliseconds(), 0), 1<<32-1)
	return Context{DurableV2Request, le.AppendUint32(le.AppendUint32(nil, uint32(ms)), flags)}
}

func exactly(b []byte, n int) error {
	if len(b) != n {
		return ntstatus.InvalidParameter
	}
	return nil
}
