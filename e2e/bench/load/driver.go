package load

import "causeway/e2e/bench/nfs3"

// A Driver decides the calls of one connection and judges their replies. It is used by one thread only. A slot is one of
// the calls that are outstanding at a time; a driver may keep a state per slot, so that a file is made and then written.
type Driver interface {
	// Next returns the next call of a slot: a sealed record and what is sent behind it (a multiple of 4 bytes, may be nil).
	// Both are the driver's; the record is copied before Next is called again, a payload over 16 KiB is not copied and must
	// stay unchanged. ok false: this slot has no work any more.
	Next(slot int) (record nfs3.Record, payload []byte, ok bool)
	// Done judges the reply to the slot's call and returns how many units of work it completed.
	Done(slot int, reply *nfs3.Reply) (units int64, err error)
}
