package gateway

import (
	"context"

	"causeway"
)

// GrantSpec says what a gateway wants to hold.
type GrantSpec struct {
	Holder string // the gateway that asks: its node name; "" is the one that is asked. The network's receiving end fills it in
	Handle causeway.Handle
	Epoch  causeway.Epoch // of the ownership that is believed in; zero where there is only one
	Mode   causeway.IOMode
	Span   causeway.Span // of the bytes, with a Mode
	Leases causeway.Leases
	// With LeaseNames, entries of the directory come along, each with a lease on its attributes: the one of this name, or
	// with List at most so many behind Cookie. List is at most MaxGrantList.
	Name   string
	List   int
	Cookie uint64
	NoWait bool // ErrWouldBlock, before any side effect, where a holder or the storage has to be waited for
	First  bool // with NoWait: ErrWouldBlock too where some gateway holds bytes of the object already, and on an exclusive volume
}

// MaxGrantList bounds the entries of one GrantReply.
const MaxGrantList = 1024

// GrantReply is what a gateway got. Leases that could not be had now are missing in the grant: what came is then true at the
// moment of the answer only. Mode is all or an error.
type GrantReply struct {
	causeway.Grant
	Entries []GrantEntry // of GrantSpec.Name: none if the directory has no such name
	EOF     bool         // of GrantSpec.List: there is nothing behind the last entry
}

// GrantEntry is an entry of a directory. Seq is that of the grant of LeaseAttr on the entry's object; 0: there is none, and
// the attributes are true at the moment of the answer only. Epoch and Lease are those of the directory's grant.
type GrantEntry struct {
	causeway.DirEntry
	Seq uint64
}

// Held names a grant that a gateway holds.
type Held struct {
	Handle causeway.Handle
	Mode   causeway.IOMode
	Span   causeway.Span
	Leases causeway.Leases
	Seq    uint64
	// Written tells a Renew that data was written since the last one, under this grant or an earlier one: who watches is told. With neither
	// Mode nor Leases nothing is to be renewed.
	Written bool
}

// Commit is what a writer under grants knows and the owner must: the end of what it wrote, times, and the provisional extents
// that now hold data. Written is false where there is nothing to tell.
type Commit struct {
	Written      bool
	Size         uint64 // the first offset behind all that was written; the file may be longer
	Mtime, Ctime causeway.Time
	Extents      []causeway.Extent
}

// Layouts gives out grants (RFC 8881 §12): to gateways, not to clients. A holder that waits for an answer must be able to
// answer a recall meanwhile. Every method fails with ErrStaleEpoch for an epoch that is not the volume's.
type Layouts interface {
	// Grant returns the right to move bytes of the object and to rely on attributes and names. It checks no user's rights:
	// those are a pure function of his credentials and the object's attributes. With a Mode ErrIsDir, ErrInval for what is not
	// a regular file; with LeaseNames ErrNotDir. It ends what others hold and conflicts, which takes no longer than a lease.
	// The mode may be more than was asked for. Bytes and leases are held apart: a grant of one replaces an earlier one of the
	// same object and kind, with the sum of both. The right to write comes without LeaseAttr, and
	// its holder no longer relies on what it was told of the attributes before. Seq 0: the owner keeps no record of it, there is nothing to renew or return.
	// Of a volume with a block map the span may be more than was asked for, up to all that the gateway holds by then, and
	// extents come for the beginning of what was asked for: who needs more asks again.
	Grant(ctx context.Context, s *GrantSpec) (GrantReply, error)
	// Renew lengthens leases, counted from when it was sent. It returns those that were not: they have ended, or are being
	// recalled, and must not be relied on any more. All are of one volume.
	Renew(ctx context.Context, holder string, e causeway.Epoch, held []Held) (ended []Held, err error)
	// Commit makes what was written under a grant part of the file (RFC 8881 §18.42). ErrStale if the grant is not held.
	Commit(ctx context.Context, holder string, e causeway.Epoch, held Held, c *Commit) error
	// Return gives a grant back, and says what must be committed. One that is not held any more is ignored; earlier ones whose
	// replies are still to come must not be used.
	Return(ctx context.Context, holder string, e causeway.Epoch, held Held, c *Commit) error
}

// Taker is a holder of bytes to whom a grant may come that he did not ask for, with the answer to another question: who makes a file
// mostly writes it next.
type Taker interface {
	// Expect is called before a question of the volume is sent. It returns who takes a grant that comes with the answer; nil: none is
	// wanted. A grant that is not taken ends by its lease.
	Expect(v causeway.VolumeID) func(*causeway.Grant)
}

// Recall says what a holder has to give up: of all its grants of the object up to Seq, also those whose reply has not arrived.
type Recall struct {
	Handle causeway.Handle
	Epoch  causeway.Epoch
	Seq    uint64
	Mode   causeway.IOMode // the most that may stay: 0 ends reads and writes, IORead only writes, IOReadWrite neither
	Leases causeway.Leases // these end
	Gone   bool            // the last name was removed: nothing of the object needs to reach the storage
}

// Holder is who holds grants and can be asked to give them up: transfer and near, at each gateway.
type Holder interface {
	// Recall ends grants: it waits for I/O that runs under them and returns when none can start any more without a new
	// grant. The reply carries what must be committed, so that no call goes back. It never asks the caller for anything.
	// Recalled again, also for more, it waits for the same and carries the same; without a grant it answers that there is nothing to
	// commit. ErrStaleEpoch if the holder knows a
	// later ownership.
	Recall(ctx context.Context, r *Recall) (Commit, error)
	// Reassert tells a new owner what this gateway holds of a volume, and takes these grants over into the new epoch. The
	// rest of the volume ends. At most so many as one owner keeps for a holder; more are given up.
	Reassert(ctx context.Context, v causeway.VolumeID, e causeway.Epoch) ([]Held, error)
}

// Holders reaches the Holder of every gateway by its node name, over the network. An error says that the gateway did not
// answer: its leases have to be waited for.
type Holders interface {
	Recall(ctx context.Context, node string, r *Recall) (Commit, error)
}
