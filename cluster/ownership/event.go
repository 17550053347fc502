package ownership

import (
	"time"

	"causeway"
	"causeway/cluster/record"
)

// Event is something that happened. The driver hands events to [Machine.Step] one after another.
type Event interface{ event() }

// Changed says that the copy of the database advanced. Changes come in the database's order, a revision's all at once.
type Changed struct {
	Revision int64
	Changes  []record.Change
}

// Joined says that the gateway is a member, as [Join] asked.
type Joined struct {
	Incarnation uint64
	Lease       int64
	Member      int64 // create revision of the member's key
}

// LeaseLost says that the gateway's lease has ended or that its end can no longer be ruled out.
type LeaseLost struct{ Lease int64 }

// TxnDone answers [Transact]. Outcomes that are not known are such that may still come true.
type TxnDone struct {
	ID       uint64
	Outcome  Outcome
	Revision int64 // of the database when it decided; 0 if unknown
}

// Outcome of a transaction.
type Outcome uint8

// The outcomes.
const (
	Unknown Outcome = iota
	Done            // all conditions held, and the operations were made
	Refused         // some condition did not hold
)

// HookDone answers [RunHook].
type HookDone struct {
	Volume causeway.VolumeID
	Hook   Hook
	Failed string // why, if it did: counts for Acquire only
}

// Placed answers [Compute]: the node for each volume. A volume that is missing cannot be served.
type Placed struct {
	ID     uint64
	Owners map[causeway.VolumeID]string
}

// Revoked answers [Revoke].
type Revoked struct {
	Lease int64
	OK    bool
}

// Tick lets time pass. One every 20 to 100 ms is right.
type Tick struct{}

// Rebalance asks the master, and only him, to compute placement again.
type Rebalance struct{}

// Stop asks for an orderly end. [Stopped] answers.
type Stop struct{}

func (Changed) event()   {}
func (Joined) event()    {}
func (LeaseLost) event() {}
func (TxnDone) event()   {}
func (HookDone) event()  {}
func (Placed) event()    {}
func (Revoked) event()   {}
func (Tick) event()      {}
func (Stop) event()      {}
func (Rebalance) event() {}

// Effect is something that the driver must do. It may do effects in any order and at the same time.
type Effect interface{ effect() }

// Join asks to become a member: a new lease, a new incarnation, the member's record by [JoinTxn]. What the gateway did as an
// earlier member has ended. [Joined] answers, later, however often it fails.
type Join struct{}

// Fence says that the gateway is no member any more: keep-alives end, and no I/O is done until the next [Joined].
type Fence struct{}

// Transact asks for a transaction. [TxnDone] always answers.
type Transact struct {
	ID  uint64
	Txn record.Txn
}

// RunHook asks the gateway to do something with a volume. [HookDone] always answers. There is one at a time per volume.
type RunHook struct {
	Volume causeway.VolumeID
	Hook   Hook
	Epoch  causeway.Epoch // of the ownership that is taken, given up or resumed; zero for Pause
}

// Hook is what a gateway does with a volume.
type Hook uint8

// The hooks.
const (
	Pause   Hook = iota + 1 // requests of the volume wait, those under way have ended
	Resume                  // requests of the volume go on, under the epoch
	Acquire                 // the gateway becomes the administrative one; no requests are served yet
	Release                 // the gateway is no longer the administrative one
)

// String returns the hook's name.
func (h Hook) String() string {
	return [...]string{"none", "pause", "resume", "acquire", "release"}[h]
}

// Compute asks for a placement. [Placed] always answers.
type Compute struct {
	ID    uint64
	Input Input
}

// Input is what placement is computed from. All is sorted by name or id, and immutable.
type Input struct {
	Nodes   []*record.Node                        // that may own volumes: running and not draining
	Volumes []*record.Volume                      //
	Owners  map[causeway.VolumeID]string          // as published, dead nodes included
	Refused map[causeway.VolumeID]map[string]bool // nodes that said that they cannot own a volume

	Settings *record.Settings     // of the cluster
	Returned map[string]time.Time // nodes that were members before, since when they are again
	HeldDown map[string]bool      // those of them that came back too short a time ago; the driver, which has a clock, says so
	Thorough bool                 // optimise, though that moves more
}

// Revoke asks to end another node's lease. [Revoked] always answers; a lease that does not exist counts as revoked.
type Revoke struct{ Lease int64 }

// Stopped answers [Stop]: everything is released, and the lease can be revoked.
type Stopped struct{}

func (Join) effect()     {}
func (Fence) effect()    {}
func (Transact) effect() {}
func (RunHook) effect()  {}
func (Compute) effect()  {}
func (Revoke) effect()   {}
func (Stopped) effect()  {}
