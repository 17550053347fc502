package gateway

import (
	"context"
	"time"

	"causeway"
)

// Disposition says what Open does when the name exists and when not ([MS-SMB2] 2.2.13, CreateDisposition, in its numbers).
type Disposition uint8

// The dispositions.
const (
	Supersede       Disposition = iota // replace what exists, else create
	OpenExisting                       // ErrNoEnt
	CreateNew                          // ErrExist
	OpenOrCreate                       //
	Overwrite                          // empty what exists, ErrNoEnt
	OverwriteOrMake                    // empty what exists, else create
)

// OpenSpec is an open that is asked for. With a name, the handle is the directory's, and finding, making, emptying and opening
// are one decision; without one the handle is the object's, and the disposition is OpenExisting or one that empties it.
type OpenSpec struct {
	Name        string
	Disposition Disposition
	Create      CreateSpec // what to make; its size and type count, How does not
	OnlyDir     bool       // ErrNotDir for anything but a directory
	NoDir       bool       // ErrIsDir for a directory

	Access        causeway.AccessMask // ErrAccess unless the caller has all of it
	Share         causeway.Sharing
	DeleteOnClose bool // needs Delete in Access
	Lease         LeaseSpec
	Keep          KeepSpec
	// Upgrade: if Caller.Open names an open of the same owner and object, it takes this access and share mode besides its own
	// (RFC 8881 §18.16.3), instead of another open being made.
	Upgrade bool
	Reclaim bool // taken in the grace period only (CLAIM_PREVIOUS)
}

// LeaseSpec is the caching that an open asks for. It may be given less, never fails for it.
type LeaseSpec struct {
	ID      causeway.LeaseID // Key is chosen for oplocks and delegations
	Caching causeway.Caching
	Parent  causeway.LeaseKey // of the directory's lease, which this open's changes do not break; zero if none
	V2      bool              // counts epochs ([MS-SMB2] 3.3.5.9.11)
	Epoch   uint16            // the client's, for a new lease
}

// KeepSpec says whether an open outlives its connection ([MS-SMB2] 3.3.5.9.6, 3.3.5.9.10). It needs CacheHandle, or is refused
// by a zero Opened.Keep.
type KeepSpec struct {
	For  time.Duration // 0: not at all
	GUID [16]byte      // CreateGuid, zero for version 1
}

// OpenAction is what Open did ([MS-SMB2] 2.2.14, CreateAction, in its numbers).
type OpenAction uint8

// The actions.
const (
	Superseded OpenAction = iota
	DidOpen
	DidCreate
	Overwritten
)

// Opened is an open.
type Opened struct {
	Entry
	ID     causeway.OpenID
	Owner  causeway.Owner // of its byte-range locks
	Action OpenAction
	Dir    causeway.Change // the directory's, where a name was given
	Access causeway.AccessMask
	Share  causeway.Sharing
	Lease  LeaseState
	Keep   time.Duration // how long it outlives its connection
	Delete bool          // DeleteOnClose is set
}

// LeaseState is the state of a lease.
type LeaseState struct {
	ID       causeway.LeaseID
	Caching  causeway.Caching
	Breaking bool // a break waits for its acknowledgement
	Epoch    uint16
	Parent   causeway.LeaseKey
}

// Break is what the holder of a lease is told ([MS-SMB2] 2.2.23, RFC 8881 §20.2). Without Ack the lease is what To says
// already; with it, the client has until Within to return cached changes and call Acknowledge.
type Break struct {
	Handle   causeway.Handle
	ID       causeway.LeaseID
	Owner    causeway.Owner  // of the open
	Open     causeway.OpenID // of an oplock or delegation; for a lease one of its opens
	From, To causeway.Caching
	Epoch    uint16
	Ack      bool
	Within   time.Duration
}

// Opener is the part of Access about opens, share modes and leases. The owner is Caller.Owner, whose Kind says which rules
// count (OwnerSMB or OwnerV4). OpenIDs are unique in the cluster, for ever. Open, Lock and changes of others may have to wait
// until holders of leases have given way: with NoWait they fail with ErrWouldBlock and break nothing.
type Opener interface {
	// Open fails with ErrSharing, ErrDeletePending, ErrGrace, ErrNoGrace, ErrNoLocks besides what Create and Lookup answer.
	// When a new name was asked for and exists, Opened.Entry tells it also with the error.
	Open(ctx context.Context, c *Caller, h causeway.Handle, spec *OpenSpec) (Opened, error)
	// Reconnect takes an open over that is disconnected, or whose gateway has died: ErrBadOpen if there is none with this id (or,
	// where id is zero, of this GUID), if it is another client's, user's, object's or lease's, or still connected.
	Reconnect(ctx context.Context, c *Caller, h causeway.Handle, id causeway.OpenID, guid [16]byte, lease causeway.LeaseID) (Opened, error)
	// Disconnect tells that the client's connection has ended: the open is kept as long as it may be, or closed.
	Disconnect(ctx context.Context, c *Caller, h causeway.Handle, id causeway.OpenID) error
	// Downgrade takes rights from an open (OPEN_DOWNGRADE): ErrInval unless it has them.
	Downgrade(ctx context.Context, c *Caller, h causeway.Handle, id causeway.OpenID, access causeway.AccessMask, share causeway.Sharing) error
	// SetDelete sets or takes back that the last close removes the name under which the object was opened (FileDispositionInformation).
	SetDelete(ctx context.Context, c *Caller, h causeway.Handle, id causeway.OpenID, on bool) error
	// Close ends an open with its locks, and its lease if that has no other. removed: the name went with it.
	Close(ctx context.Context, c *Caller, h causeway.Handle, id causeway.OpenID) (removed bool, err error)
	// Acknowledge answers a Break: the client keeps what caching says, which may be less than the break asked for. ErrInval if it
	// is more, ErrNotSync if no break waits, ErrBadOpen if there is no such lease.
	Acknowledge(ctx context.Context, c *Caller, h causeway.Handle, id causeway.LeaseID, caching causeway.Caching) (LeaseState, error)
	// Opens lists what is open in a volume, for status.
	Opens(ctx context.Context, v causeway.VolumeID) ([]Opened, error)
}

// Guard is asked before I/O on an object whose grant is Guarded.
type Guard interface {
	// Admit breaks the leases of others that the I/O conflicts with, and waits for them (ErrWouldBlock with NoWait). ErrLocked
	// if a mandatory lock of another owner or open forbids it. The caller's open is Caller.Open. It costs one atomic load
	// in a volume without opens and mandatory locks.
	Admit(ctx context.Context, c *Caller, h causeway.Handle, s causeway.Span, write bool) error
}

// WatchID names a watch; its owner chooses it.
type WatchID struct {
	Owner causeway.Owner
	Open  causeway.OpenID
}

// Notice is one change of a directory ([MS-FSCC] 2.7.1, in its numbers).
type Notice struct {
	Action NoticeAction
	Name   string // relative to the watched directory, with "/" between components
}

// NoticeAction says what happened to a name.
type NoticeAction uint8

// The actions. A rename within what is watched is a pair, old name first.
const (
	Added NoticeAction = iota + 1
	Removed
	Modified
	RenamedFrom
	RenamedTo
)

// NoticeFilter says which changes are meant ([MS-SMB2] 2.2.35, CompletionFilter, in its bits).
type NoticeFilter uint32

// The filters.
const (
	NoticeFileName NoticeFilter = 1 << iota
	NoticeDirName
	NoticeAttributes
	NoticeSize
	NoticeLastWrite
	NoticeLastAccess
	NoticeCreation
	NoticeEA
	NoticeSecurity
)

// Watcher is the part of Access about change notification.
type Watcher interface {
	// Watch begins to collect the changes of a directory, and of all below it if deep. What is collected is delivered as
	// Events with Noticed, until Unwatch. Watching again with the same id changes the filter.
	Watch(ctx context.Context, c *Caller, dir causeway.Handle, id WatchID, filter NoticeFilter, deep bool) error
	Unwatch(ctx context.Context, dir causeway.Handle, id WatchID) error
}

// Xattrs is the part of Access about extended attributes (RFC 8276). Names begin with "user."; others are ErrNotSupp, as all are where
// the storage keeps none. ErrNoEnt: there is none of the name. Those whose names begin with causeway.OwnXattr belong to the fronts: they
// are part of an object's attributes, read without a right and set by who may set times or write.
type Xattrs interface {
	Xattr(ctx context.Context, c *Caller, h causeway.Handle, name string) ([]byte, error)
	SetXattr(ctx context.Context, c *Caller, h causeway.Handle, name string, value []byte, how causeway.XattrHow) (causeway.Change, error)
	RemoveXattr(ctx context.Context, c *Caller, h causeway.Handle, name string) (causeway.Change, error)
	ListXattrs(ctx context.Context, c *Caller, h causeway.Handle) ([]string, error)
}

// Stateful is what Access has beyond names and grants, for protocols that open.
type Stateful interface {
	Opener
	Guard
	Watcher
	Xattrs
}
