package gateway

import (
	"errors"

	"causeway"
)

// Standing says where the access part of a volume is answered.
type Standing struct {
	Open  bool // calls are let in; else they wait
	Here  bool // this gateway answers
	Node  string
	Epoch causeway.Epoch
}

// ErrUnknown is the error of a change that may have been made or not: the gateway that was asked is gone. Its code is ErrDelay; a
// front whose client repeats calls as they are gives no answer instead, because "try later" says that nothing was done.
var ErrUnknown error = &causeway.Error{Op: "peer", Code: causeway.ErrDelay, Err: errors.New("whether it was done is not known")}
