package gateway

import (
	"context"

	"causeway"
)

// ReadResult is the answer of a read. EOF: the read reached the end of the file (RFC 1813 §3.3.6).
type ReadResult struct {
	N    int
	EOF  bool
	Attr causeway.Attr
}

// FileRange is a read whose bytes are still in the storage: a range of a descriptor, to splice into a socket. The holder
// calls Release when he is done. The file may shrink meanwhile: what is missing then is sent as zeros, or the connection is
// dropped.
type FileRange struct {
	FD     int
	Offset int64
	ReadResult
	Hold Releaser
	// Free says that nothing but the caller's rights stands between him and any of the file's bytes: no lock denies some, and none has to be asked
	// for each read. That holds until the grant is recalled.
	Free bool
}

// Releaser ends a borrowing.
type Releaser interface{ Release() }

// WriteResult is the answer of a write: all of the data was written, or there is an error.
type WriteResult struct {
	N        int
	Stable   causeway.Stability // at least what was asked for
	Verifier causeway.Verifier
	causeway.Change
}

// SyncResult is the answer of Sync.
type SyncResult struct {
	Verifier causeway.Verifier
	causeway.Change
}

// Transfer is the data part: it finds or gets the grant of the handle itself, counts its users and decides rights from the
// object's attributes alone.
type Transfer interface {
	// Read fills dst from off. With NoWait it fails with ErrWouldBlock if the bytes are not in memory.
	Read(ctx context.Context, c *Caller, h causeway.Handle, off uint64, dst []byte) (ReadResult, error)
	// ReadRange is Read of n bytes without moving them; ErrNotSupp where the storage has no descriptor: use Read then.
	ReadRange(ctx context.Context, c *Caller, h causeway.Handle, off uint64, n int) (FileRange, error)
	// Write writes all of data at off, as stable as asked.
	Write(ctx context.Context, c *Caller, h causeway.Handle, off uint64, data []byte, how causeway.Stability) (WriteResult, error)
	// Sync makes unstable writes stable (RFC 1813 §3.3.21). The verifier that it returns differs from that of any write
	// which may have been lost, and changes after any failed sync.
	Sync(ctx context.Context, c *Caller, h causeway.Handle, s causeway.Span) (SyncResult, error)
}

// Sparse is an optional power of a Transfer, about files with holes. What the storage of a volume cannot do, or this gateway cannot do without
// reaching it, is ErrNotSupp.
type Sparse interface {
	// Punch makes a span read as zeros and gives its storage back, as far as there are whole blocks of it. It is an unstable write that makes
	// no file longer: what lies behind the end is nothing to it.
	Punch(ctx context.Context, c *Caller, h causeway.Handle, s causeway.Span) (WriteResult, error)
	// Data returns the parts of a span that take storage, in order, at most max of them; more tells that there are others.
	Data(ctx context.Context, c *Caller, h causeway.Handle, s causeway.Span, max int) (parts []causeway.Span, more bool, err error)
}
