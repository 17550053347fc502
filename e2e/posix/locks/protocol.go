package locks

// Verb is what an actor shall do.
type Verb uint8

// The verbs.
const (
	Open Verb = iota + 1
	Close
	SetLock
	WaitLock
	TestLock
	Flock
	Read
	Write
	Interrupt // the call of number Target
	Leave     // end the process, without closing or unlocking anything before
)

// Kind is the kind of a lock.
type Kind uint8

// The kinds.
const (
	Unlocked Kind = iota
	Shared
	Exclusive
)

// Range is a byte range; length zero reaches to the end of all files.
type Range struct{ Start, Length int64 }

// Request is one call; an actor works on several at once.
type Request struct {
	Number int
	Verb   Verb
	Path   string
	Kind   Kind
	Range  Range
	Data   []byte
	Target int
}

// Response answers the request of a number.
type Response struct {
	Number int
	Errno  int
	Kind   Kind // of TestLock: what is in the way
	Range  Range
	Data   []byte
}
