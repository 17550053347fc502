// Package backend holds the interfaces of what a volume lives in: Tree (names and attributes, by object id), Store (a Tree
// whose objects' bytes can be opened at any gateway with reach) and Object (the bytes of one regular file).
//
// A backend decides no rights and knows no protocol, lock or grant: access and transfer do. It is trusted with valid single
// name components (not empty, no NUL, no "/", at most MaxName bytes, neither "." nor ".." unless a method says so); names
// and byte slices are borrowed for the call. Everything may be called by many goroutines at once. Errors are causeway.Code
// or *causeway.Error values; what a backend cannot do is ErrNotSupp.
//
// Every implementation passes backendtest.
package backend

import (
	"context"

	"causeway"
)

// CreateSpec says what Tree.Create makes: with this owner and mode from the first moment on, so that a crash leaves nothing
// that belongs to someone else.
type CreateSpec struct {
	Type         causeway.FileType
	Mode         uint32
	UID, GID     uint32
	Target       string         // of a symbolic link
	Major, Minor uint32         // of a device
	Atime, Mtime *causeway.Time // set at creation if not nil: the verifier of an exclusive create lives there
}

// Tree is names and attributes.
type Tree interface {
	Root() causeway.ObjectID
	// Lookup finds name in dir; ".." is understood, the root is its own parent. It never leads out of the tree, follows no
	// symbolic link and crosses no mount. ErrNoEnt, ErrNotDir, ErrStale.
	Lookup(ctx context.Context, dir causeway.ObjectID, name string) (causeway.ObjectID, causeway.Attr, error)
	// Stat returns the attributes; either with the ACL if there is one, or marked as Extended where reading it costs.
	// ErrStale if the object is gone.
	Stat(ctx context.Context, id causeway.ObjectID) (causeway.Attr, error)
	// ACL returns the access ACL beyond the mode bits, nil if there is none.
	ACL(ctx context.Context, id causeway.ObjectID) (*causeway.ACL, error)
	// SetStat changes attributes; a change of size is done first, then owner, mode and ACL, times last. Changing the owner
	// of a file clears set-user-id and set-group-id as the storage does, unless the mode is set too.
	SetStat(ctx context.Context, id causeway.ObjectID, set *causeway.SetAttr) error
	// List calls emit for the entries of dir behind cookie (0: from the start) until it returns false or the end (eof). "."
	// and ".." are included. With attrs, Object and Attr are filled as far as they can be found. A cookie stays good while
	// entries come and go, and after a restart: entries that stay are listed once each. ErrBadCookie.
	List(ctx context.Context, dir causeway.ObjectID, cookie uint64, attrs bool, emit func(*causeway.DirEntry) bool) (eof bool, err error)
	ReadLink(ctx context.Context, id causeway.ObjectID) (string, error)
	// Create makes a new object; ErrExist if the name is taken by anything. The mode is exact (no umask), except that a
	// default ACL of dir applies as the storage does it.
	Create(ctx context.Context, dir causeway.ObjectID, name string, spec *CreateSpec) (causeway.ObjectID, causeway.Attr, error)
	// Remove removes a name: of a directory if dir is true (ErrNotDir, ErrNotEmpty), else of anything else (ErrIsDir).
	Remove(ctx context.Context, parent causeway.ObjectID, name string, dir bool) error
	// Rename moves a name and replaces what stood at its target, as rename(2) does, also when both are links to one object.
	Rename(ctx context.Context, from causeway.ObjectID, name string, to causeway.ObjectID, newName string) error
	Link(ctx context.Context, id, dir causeway.ObjectID, name string) error
	StatFS(ctx context.Context) (causeway.FSStat, error)
	// Persist returns when all earlier changes of the names in and attributes of these objects are on stable storage. Calls
	// that arrive together are done together. A zero id is skipped.
	Persist(ctx context.Context, ids ...causeway.ObjectID) error
}

// Store is a Tree with contents.
type Store interface {
	Tree
	// Open returns the bytes of a regular file: ErrIsDir, ErrInval for others. Objects of one id share their state; each is
	// closed by its opener. The locator is what Extents returned at the owner, may be nil; an old or false one leads to ErrMoved or to
	// the object, never to another.
	Open(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, loc causeway.Locator) (Object, error)
	// Extents maps a span of the file, allocating when the mode is IOReadWrite. Storage whose blocks a file system below
	// owns answers one extent that covers the file.
	Extents(ctx context.Context, id causeway.ObjectID, mode causeway.IOMode, s causeway.Span) ([]causeway.Extent, causeway.Locator, error)
	Close() error
}

// Object is the open bytes of one regular file.
type Object interface {
	// Stat is Tree.Stat of this object, cheaper.
	Stat(ctx context.Context) (causeway.Attr, error)
	// ReadAt returns fewer than len(p) bytes, and no error, only at the end of the file.
	ReadAt(ctx context.Context, p []byte, off uint64) (int, error)
	// WriteAt writes all of p or returns an error. It clears set-user-id and set-group-id as write(2) of an unprivileged
	// user does. ErrFBig, ErrNoSpc, ErrDQuot.
	WriteAt(ctx context.Context, p []byte, off uint64) (int, error)
	// Sync makes all earlier writes to the file, by whomever, stable; with dataOnly only what is needed to read them back.
	// Calls that arrive together are done together. A failed sync means that unstable data may be lost, and that a later
	// success does not bring it back.
	Sync(ctx context.Context, dataOnly bool) error
	// Close ends the use of the object. Writes that were not synced stay unstable: the store answers for them, and tells by the
	// hook that it was made with if it learns later that they may be lost.
	Close() error
}

// ErrMoved is what Open answers when a locator does not lead to its object any more: whoever gave it knows another one by now, or that
// the object is gone. To clients it means "try later".
var ErrMoved = &causeway.Error{Op: "locate", Code: causeway.ErrDelay}

// Descriptor is an optional power of an Object: its bytes are those of a file descriptor, good until Close.
type Descriptor interface {
	FD() int
}

// NoWaitReader is an optional power of an Object: ReadAtNoWait is ReadAt that fails with ErrWouldBlock rather than wait for a
// disk.
type NoWaitReader interface {
	ReadAtNoWait(p []byte, off uint64) (int, error)
}

// Puncher is an optional power of an Object: Punch makes a range read as zeros and gives its storage back.
type Puncher interface {
	Punch(ctx context.Context, s causeway.Span) error
}

// DataFinder is an optional power of an Object: Data returns the first span from off on that takes storage, as far as the storage tells; a
// zero one if there is none up to the end of the file. What lies between such spans reads as zeros.
type DataFinder interface {
	Data(ctx context.Context, off uint64) (causeway.Span, error)
}

// Xattrs is an optional power of a Store: extended attributes of objects, by names that begin with "user.". What an object cannot
// have (a symbolic link, a file system without them) is ErrNotSupp; ErrNoEnt says that there is no attribute of the name.
type Xattrs interface {
	Xattr(ctx context.Context, id causeway.ObjectID, name string) ([]byte, error)
	// SetXattr sets one: ErrNoSpc if the storage has no room for it.
	SetXattr(ctx context.Context, id causeway.ObjectID, name string, value []byte, how causeway.XattrHow) error
	RemoveXattr(ctx context.Context, id causeway.ObjectID, name string) error
	// ListXattrs returns the names, in no order.
	ListXattrs(ctx context.Context, id causeway.ObjectID) ([]string, error)
}

// Forgetter is an optional power of a Store that remembers what it read: Forget makes it read anew what is known of an object,
// or with a zero id of all. Whatever was read before, and is not yet remembered, is not remembered later.
type Forgetter interface {
	Forget(id causeway.ObjectID)
}

// Namer is an optional power of a Store: Name returns a directory that an object is in, and its name there, one of them if there are
// several; ErrNoEnt where the storage cannot tell any, although there may be one. It takes as many steps as the tree is deep.
type Namer interface {
	Name(ctx context.Context, id causeway.ObjectID) (dir causeway.ObjectID, name string, err error)
}
