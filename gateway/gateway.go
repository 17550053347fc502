// Package gateway holds the interfaces between protocol fronts and engines. Fronts (nfs, smb) speak to Access and Transfer
// and know neither nodes nor storage; access and transfer implement them at one gateway, peer carries them to another.
//
// All methods may be called by many goroutines at once. Arguments passed by pointer, byte slices and names are borrowed:
// valid until the call returns; who keeps one copies it. Results are filled as far as they are known also when an error is
// returned, because protocols report attributes with failures. Errors are causeway.Code or *causeway.Error values.
//
// With Caller.NoWait a method fails with ErrWouldBlock before any side effect where it would have to wait for storage, the
// network or another owner; the front then calls again without it from a goroutine that may block.
package gateway

import (
	"context"
	"net/netip"

	"causeway"
)

// Caller is who asks: every call carries it, on the data path too.
type Caller struct {
	Cred     causeway.Cred
	Open     causeway.OpenID // zero for NFSv3
	Owner    causeway.Owner  // lock owner; zero where there is none
	Client   netip.Addr      // for records and status, never for rights
	Op       causeway.OpID   // of a change whose repetition shall be answered as it was the first time; zero: none
	Gateway  string          // the gateway that received the request, where events go; empty: this one
	Later    *Pending        // if not nil, a change may leave the waiting for stable storage to whoever asked
	ReadOnly bool            // the client's export rule forbids changes: they fail with ErrROFS
	Life     uint64          // one more than how often this gateway had been cut off when the call came; zero: not known. An older one is ErrDelay
	Wrote    bool            // of a Close: data was written through the open, which those who watch its directory are told
	NoWait   bool
}

// Pending is what a change of names or attributes still has to wait for: it was made, and may be acknowledged when Persist has
// returned for these objects.
type Pending struct {
	Volume  causeway.VolumeID // zero: nothing
	Objects [2]causeway.ObjectID
}

// Persister makes changes stable: one call for many of them. Zero object ids are skipped.
type Persister interface {
	Persist(ctx context.Context, v causeway.VolumeID, ids ...causeway.ObjectID) error
}

// Entry is a found or created object.
type Entry struct {
	Handle causeway.Handle
	Attr   causeway.Attr
}

// CreateHow says what happens if the name exists (RFC 1813 §3.3.8, createhow3).
type CreateHow uint8

// The ways to create.
const (
	Unchecked CreateHow = iota // an existing regular file is taken; of SetAttr only the size is applied to it
	Guarded                    // ErrExist
	Exclusive                  // ErrExist unless the object was made by a call with the same verifier; SetAttr is not used
)

// CreateSpec says what to create. A type other than TypeRegular is always Guarded. The new object belongs to the caller,
// unless Set says otherwise and he may; the group comes from a setgid directory.
type CreateSpec struct {
	Type         causeway.FileType
	How          CreateHow
	Set          causeway.SetAttr  // Mode counts as 0 when absent
	Verifier     causeway.Verifier // with Exclusive
	Target       string            // of a symbolic link
	Major, Minor uint32            // of a device
}

// RemoveKind says what Remove may remove.
type RemoveKind uint8

// The kinds.
const (
	RemoveFile RemoveKind = iota // anything but a directory: ErrIsDir (RFC 1813 §3.3.12)
	RemoveDir                    // an empty directory: ErrNotDir, ErrNotEmpty (§3.3.13)
	RemoveAny
)

// ReadDirWant says what a listing needs beyond names, cookies and file ids.
type ReadDirWant uint8

// What can be wanted.
const (
	WantNames ReadDirWant = iota
	WantAttr              // Object and Attr of every entry, as far as they can be found
)

// Namespace is the part of Access about names and attributes: by handle and one name component, never by path. Rights are
// checked by each method for its caller. Names are checked too: empty, with NUL or "/", or "." and ".." where an entry is
// made or removed are ErrBadName/ErrInval/ErrExist as POSIX has it; longer than MaxName is ErrNameTooLong. What a method
// changed is on stable storage when it returns, unless the volume is async or the caller takes the waiting over (Caller.Later).
type Namespace interface {
	// Root returns the root of a volume. It checks no rights.
	Root(ctx context.Context, c *Caller, v causeway.VolumeID) (Entry, error)
	// Lookup finds name in dir; "." and ".." are understood, ".." of the root is the root. dirAttr are dir's attributes.
	Lookup(ctx context.Context, c *Caller, dir causeway.Handle, name string) (found Entry, dirAttr causeway.Attr, err error)
	GetAttr(ctx context.Context, c *Caller, h causeway.Handle) (causeway.Attr, error)
	// Access returns those of the wanted rights that the caller has.
	Access(ctx context.Context, c *Caller, h causeway.Handle, want causeway.Rights) (causeway.Rights, causeway.Attr, error)
	// SetAttr changes attributes. With a guard it fails with ErrNotSync unless the object's ctime equals it.
	SetAttr(ctx context.Context, c *Caller, h causeway.Handle, set *causeway.SetAttr, guard *causeway.Time) (causeway.Change, error)
	// ReadDir calls emit for the entries behind cookie (0: from the start, "." and ".." first) until it returns false, then
	// stops with that entry not consumed. eof: there is nothing behind the last consumed entry.
	ReadDir(ctx context.Context, c *Caller, dir causeway.Handle, cookie uint64, want ReadDirWant, emit func(*causeway.DirEntry) bool) (dirAttr causeway.Attr, eof bool, err error)
	ReadLink(ctx context.Context, c *Caller, h causeway.Handle) (target string, attr causeway.Attr, err error)
	Create(ctx context.Context, c *Caller, dir causeway.Handle, name string, spec *CreateSpec) (Entry, causeway.Change, error)
	Remove(ctx context.Context, c *Caller, dir causeway.Handle, name string, kind RemoveKind) (causeway.Change, error)
	Rename(ctx context.Context, c *Caller, from causeway.Handle, name string, to causeway.Handle, newName string) (fromDir, toDir causeway.Change, err error)
	Link(ctx context.Context, c *Caller, h, dir causeway.Handle, name string) (attr causeway.Attr, dirChange causeway.Change, err error)
	StatFS(ctx context.Context, c *Caller, h causeway.Handle) (causeway.FSStat, causeway.Attr, error)
}

// LockSpec is a byte-range lock that is asked for.
type LockSpec struct {
	Span      causeway.Span
	Exclusive bool
	Wait      bool // queue the request on a conflict: ErrBlocked, and an Event with LockGranted follows
	Reclaim   bool // taken in the grace period only, from clients that are known to have held locks
}

// Lock is a lock that is held: the answer of a test, a line of status.
type Lock struct {
	Handle    causeway.Handle
	Owner     causeway.Owner
	Span      causeway.Span
	Exclusive bool
}

// Locker is the part of Access about byte-range locks. The owner is Caller.Owner. POSIX rules: an owner's new lock replaces
// what it overlaps of his own, unlocking splits.
type Locker interface {
	// Lock fails with ErrLocked and the conflicting lock, ErrBlocked (queued), ErrDeadlock, ErrGrace, ErrNoGrace, ErrNoLocks.
	Lock(ctx context.Context, c *Caller, h causeway.Handle, s LockSpec) (conflict Lock, err error)
	Unlock(ctx context.Context, c *Caller, h causeway.Handle, s causeway.Span) error
	// TestLock returns ErrLocked and the conflicting lock if s could not be had now.
	TestLock(ctx context.Context, c *Caller, h causeway.Handle, s LockSpec) (conflict Lock, err error)
	// Cancel takes a queued request back; ErrNoEnt if none is queued (it may have been granted).
	Cancel(ctx context.Context, c *Caller, h causeway.Handle, s LockSpec) error
	// ReleaseClient drops all locks and queued requests of a client that is gone (reboot, FREE_ALL), in all volumes.
	ReleaseClient(ctx context.Context, kind causeway.OwnerKind, client string) error
	// ReleaseVia is ReleaseClient for those of its owners whose latest request a gateway received (Caller.Gateway; empty: this one). What the client
	// has asked for again by way of another gateway stays.
	ReleaseVia(ctx context.Context, kind causeway.OwnerKind, client, gateway string) error
	// Locks lists what is held, for status.
	Locks(ctx context.Context) ([]Lock, error)
}

// EventKind says what an Event tells.
type EventKind uint8

// The events.
const (
	LockGranted EventKind = iota + 1 // Lock
	LeaseBroken                      // Break: an oplock, a lease or a delegation has to be given up
	OpenLost                         // Break.Open: a disconnected open gave way to another one, or its time is over
	Noticed                          // Watch, Notices: a watched directory changed
)

// Event is an upcall to the front that registered for its owner's kind.
type Event struct {
	Kind    EventKind
	Gateway string // whose client it is for; empty: this gateway's
	Lock    Lock
	Break   Break
	Watch   WatchID
	Notices []Notice // in order
	Missed  bool     // there were more changes than fit: the client lists the directory again
}

// Events receives upcalls. Deliver must not block for long; a front that has to call its client queues.
type Events interface {
	Deliver(ctx context.Context, e Event) error
}

// Access is the access part of every volume: local in access, remote in peer.
type Access interface {
	Namespace
	Locker
	Layouts
	Persister
	// Subscribe registers the receiver of events for owners of a kind. It is called once per kind, before the first request.
	Subscribe(kind causeway.OwnerKind, e Events)
}
