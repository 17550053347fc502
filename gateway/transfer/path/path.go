// Package path decides what becomes of I/O that storage fails: which path is tried, what an error says about the path and about the
// data, when and how often something is tried again, and when a path counts as dead or alive. All of it is pure: who does the I/O, probes and
// waits is gateway/transfer (Paths). A Policy that is loaded later fills the same three questions.
package path

import (
	"slices"
	"time"

	"causeway"
)

// Path is a way to a volume's storage: this gateway's own, or by way of another gateway.
type Path struct {
	Node string // the gateway that moves the bytes; empty: this one, by its own path
	Own  int    // which of this gateway's own paths, from 0, where there are several
}

// Here reports whether the path is this gateway's own.
func (p Path) Here() bool { return p.Node == "" }

// Op is what was tried. All of them may be repeated: a read changes nothing, a write brings the same bytes to the same place under a
// grant that is still held, a sync can only be late.
type Op uint8

// The operations.
const (
	Read Op = iota + 1
	Write
	Sync
)

// Failure is an attempt that failed.
type Failure struct {
	Op   Op
	Path Path
	Err  error // its code counts, and the errno in it where there is one
}

// Code is the code of the error.
func (f *Failure) Code() causeway.Code { return causeway.CodeOf(f.Err) }

// Action is what is done about a failure.
type Action uint8

// The actions.
const (
	Answer       Action = iota // the storage has answered, or asking elsewhere would change nothing: the client is told the error
	Here                       // the same path again, after a pause: something was short for a moment
	OtherPath                  // another path of this gateway, else another gateway
	OtherGateway               // another gateway: this machine is at fault, or that one has no path
	Ask                        // the path is probed: if it is dead OtherPath, else Answer
)

// Verdict is what an error means.
type Verdict struct {
	Action  Action
	Suspect bool // the path may be dead: it is probed
}

// Try is how far a call has come.
type Try struct {
	Tried  []Path // in order, since the last pause
	Rounds int    // how often it has paused
	Since  time.Duration
}

// Policy decides. Its methods are called by many goroutines at once, and must neither block nor keep what they are given.
type Policy interface {
	// Choose returns which of the paths is tried next: an index, or -1 if none is left in this round. Dead ones are not among them.
	Choose(paths []Path, t *Try) int
	// Schedule says after which pause another round begins, if there is to be one.
	Schedule(t *Try) (pause time.Duration, again bool)
	// Analyse says what an error means.
	Analyse(f *Failure) Verdict
}

// Default is the policy that is built in: this gateway's own paths first, then the other gateways in the order in which they are
// given, each once a round.
type Default struct {
	Patience time.Duration // how long a call tries; zero: 20 s
}

var _ Policy = Default{}

// Choose implements Policy.
func (Default) Choose(paths []Path, t *Try) int {
	for _, here := range []bool{true, false} {
		for i, p := range paths {
			if p.Here() == here && !slices.Contains(t.Tried, p) {
				return i
			}
		}
	}
	return -1
}

// Pauses between rounds, and how long they go on.
const (
	firstPause = 5 * time.Millisecond
	mostPause  = 200 * time.Millisecond
	patience   = 20 * time.Second
)

// Schedule implements Policy.
func (d Default) Schedule(t *Try) (time.Duration, bool) {
	limit := d.Patience
	if limit <= 0 {
		limit = patience
	}
	return min(firstPause<<min(t.Rounds, 10), mostPause), t.Since < limit
}

// Unsettled is the error of a write of which nobody knows whether it is, or will be, done: another gateway was asked and has not
// answered. Until it is over the same bytes may come late, so that only the same gateway, which does one after the other, may be asked
// to write them again.
type Unsettled struct {
	Err  error
	Over func() bool // the gateway cannot do it any more
}

// Error returns the cause's text.
func (u *Unsettled) Error() string { return u.Err.Error() }

// Unwrap returns the cause.
func (u *Unsettled) Unwrap() error { return u.Err }
