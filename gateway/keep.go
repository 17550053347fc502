package gateway

import (
	"context"

	"causeway"
)

// Keeper is what a volume's owner offers to other gateways for the second copies of its state.
type Keeper interface {
	// Held lists what clients of one gateway hold in a volume, or of all if it is empty.
	Held(ctx context.Context, v causeway.VolumeID, gateway string) ([]causeway.Held, error)
	// Assert takes back what an earlier owner of the volume had granted. It may be called again with the same, and by several
	// gateways in any order: what contradicts what was taken back before is refused, and returned.
	Assert(ctx context.Context, v causeway.VolumeID, list []causeway.Held) (refused []causeway.Held, err error)
	// ReleaseGateway drops what clients of a gateway hold that is dead, unless another one asserts it first: its opens are
	// disconnected, and its locks given up by whoever is left to say so.
	ReleaseGateway(ctx context.Context, v causeway.VolumeID, gateway string) error
	// Observe registers who is told of each change, in order, before it is answered. It is called once, before the first request;
	// an error is logged by the observer and changes nothing here.
	Observe(o Observer)
}

// Observer is told what is held and given up. It may block: the answer waits for it.
type Observer func(ctx context.Context, changes []causeway.Held)
