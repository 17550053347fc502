package address

import (
	"fmt"
	"net/netip"

	"causeway"
)

// State says how this machine stands to an address.
type State uint8

// The states.
const (
	Free      State = iota // this machine does not answer for it, as far as the Manager knows
	Held                   // added with a lifetime, and renewed
	Listening              // only listened on: a loopback address, or a system other than Linux
	Fixed                  // the operator's own: it was there without our lifetime; listened on, never touched, does not move
)

var stateNames = [...]string{Free: "free", Held: "held", Listening: "listening", Fixed: "fixed"}

// String returns the state in a word.
func (s State) String() string { return stateNames[s] }

// Kind says what happened to an address.
type Kind uint8

// The kinds of events.
const (
	Taken     Kind = iota // held, listened on or found fixed: State says which
	Dropped               // given up, because that was asked for
	Lapsed                // given up until held again: the process was stopped or unreachable for longer than the lifetime, or is not entitled (Err)
	Restored              // somebody removed it; it is back
	Unrenewed             // a renewal failed (Err); the next one is tried in time
	LinkDown              // its interface is down; it stays held
	LinkUp                // and up again; it was announced again
	Conflict              // the machine that it was taken over from answers for it still (Holder: its hardware address); it stays held
	Seized                // the operator made it his own while it was held; it is fixed from now on
)

var kindNames = [...]string{
	Taken: "taken", Dropped: "dropped", Lapsed: "lapsed", Restored: "restored", Unrenewed: "unrenewed", LinkDown: "link down", LinkUp: "link up",
	Conflict: "conflict", Seized: "seized",
}

// String returns the kind in a word or two.
func (k Kind) String() string { return kindNames[k] }

// Event is something that happened to an address.
type Event struct {
	Kind      Kind
	Addr      netip.Addr
	State     State  // after it
	Interface string // empty if only listened on
	Holder    string // of a Conflict
	Err       error  // of an Unrenewed or Lapsed
}

// ConflictError is the cause of a refused Hold: another machine answers for the address.
type ConflictError struct {
	Addr   netip.Addr
	Holder string // its hardware address
}

// Error names the address and its holder.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("the machine with hardware address %s answers for %v", e.Holder, e.Addr)
}

// FixedError is the cause of a refused Drop: the address is the operator's own.
type FixedError struct {
	Addr      netip.Addr
	Interface string
}

// Error names the address and says what to do.
func (e *FixedError) Error() string {
	return fmt.Sprintf("%v is configured on %s outside of causeway and cannot move; remove it there to let it move", e.Addr, e.Interface)
}

// failure makes the error of an operation on an address.
func failure(op string, addr netip.Addr, code causeway.Code, err error) error {
	return &causeway.Error{Op: fmt.Sprintf("%s %v", op, addr), Code: code, Err: err}
}

// tell sends an event to the log and to whoever wants it.
func (m *Manager) tell(e Event) {
	log := m.cfg.Logger.With("addr", e.Addr, "interface", e.Interface, "state", e.State.String())
	switch e.Kind {
	case Taken, Dropped, Restored, LinkUp:
		log.Info("service address " + e.Kind.String())
	default:
		log.Warn("service address "+e.Kind.String(), "holder", e.Holder, "err", e.Err)
	}
	m.cfg.Notify(e)
}
