// Package shadow keeps second copies: what a volume's owner may not lose with itself (what clients hold, how their last changes
// ended) is known to another gateway before a client hears of it. When the owner dies, the next one asks all gateways for what they
// have, and takes the newest copy.
//
// Records are opaque: a kind, a name within the kind, and bytes; a record without bytes takes back an earlier one. How gateways reach
// each other and which of them live is handed in. Nothing is on disk here: a copy in a second memory is what makes one death
// harmless; what becomes of two is for the protocols' grace periods.
package shadow

import (
	"context"
	"time"

	"causeway"
)

// Kind says whose record it is.
type Kind uint8

// The kinds.
const (
	KindReply Kind = iota + 1 // how a change ended; Name is its causeway.OpID
	KindHeld                  // what a client holds; Name is chosen by who encodes it
)

// Record is one thing that must not be lost.
type Record struct {
	Kind Kind
	Name string
	Data []byte // empty: it is no more
}

// Version orders the copies of a volume: of two, the one with the higher version is whole and newer. Term counts the times at which the
// owner began with a new copy, because it changed the gateway that keeps it.
type Version struct {
	Epoch causeway.Epoch
	Term  uint64
}

// Before reports whether v is older than w.
func (v Version) Before(w Version) bool {
	return v.Epoch.Before(w.Epoch) || v.Epoch == w.Epoch && v.Term < w.Term
}

// Batch carries records to the gateway that keeps them.
type Batch struct {
	Volume  causeway.VolumeID
	Version Version
	Whole   bool   // all there is: it replaces what was kept before
	Seq     uint64 // counts the batches of a version from 1, which is whole
	Records []Record
}

// Network reaches other gateways.
type Network interface {
	// Keep gives a batch to a gateway; nil when it has it.
	Keep(ctx context.Context, node string, b *Batch) error
	// Collect asks a gateway for the copy that it keeps of a volume, or for what it knows as the owner that it was. e is the new
	// ownership: what an older one sends afterwards is refused.
	Collect(ctx context.Context, node string, v causeway.VolumeID, e causeway.Epoch) (Copy, error)
}

// Poster is a Network that can send a batch without a goroutine that waits for the answer.
type Poster interface {
	// Post begins to give a batch to a gateway, which has within to take it, and returns; done is called once, by another goroutine,
	// which it must not keep. False: it would have to wait, and nothing was sent.
	Post(node string, b *Batch, within time.Duration, done func(error)) bool
}

// Copy is all that one gateway keeps of a volume. Its zero value is no copy.
type Copy struct {
	Version Version
	Records []Record
}
