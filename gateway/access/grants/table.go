// Package grants is the table of what gateways hold of the objects of one volume, as a pure state machine: calls are the
// events, results and [Table.Effects] are what follows, and each call is told what time it is. It has no goroutines, does no
// I/O and takes no locks: its owner serialises the calls.
//
// It decides who may hold what beside whom, whom to recall when somebody asks for what conflicts, and how long to wait for a
// holder that does not answer: until its lease ends, never longer. What a grant contains, how a recall reaches its holder, and
// which object a name stands for do not belong here.
//
// Every gateway has at most two holdings of an object: the right to move its bytes, and leases on its attributes and names.
// They end apart, since different parts of a gateway use them. Those of one gateway never conflict.
package grants

import (
	"container/list"
	"time"

	"causeway"
)

// Rules are what a volume's grants must ensure.
type Rules struct {
	// Exclusive: only the gateways change the volume, so attributes and names may be leased, and a writer of bytes is alone.
	// Otherwise the storage itself is coherent: bytes are granted to everybody, leases to nobody.
	Exclusive bool
	// Apart: writers of an exclusive volume may hold different ranges of one object at once.
	// What one holds of an object is one span: an ask while he holds some is for the least that covers both. Who is in
	// nobody's way gets all of the object.
	Apart bool
	// Fence: the storage can be told to refuse a gateway. Then a right to write that was not given up does not end by time
	// alone, but when Fenced says so, as the effect Fence asks for.
	Fence bool
}

// Limits bound the table. Zero means the default.
type Limits struct {
	Holdings int           // beyond which the ones unused for longest are recalled; default 1 << 18
	Waiting  int           // asks and changes that wait, per object; default 1024
	Lease    time.Duration // of every grant, but those of Local; default 3 s
	Quiet    time.Duration // after a change no lease on the object is given for so long; default 100 ms
}

// Local is the holder in the table's own process. What it holds never expires, and no change recalls it.
const Local = ""

// Ask is a holding that is asked for.
type Ask struct {
	Handle causeway.Handle
	Holder string
	Mode   causeway.IOMode // at least; 0: no bytes
	Span   causeway.Span
	Leases causeway.Leases // if they can be had at once
	NoWait bool            // rather nothing than wait
	First  bool            // with NoWait: rather nothing than beside another holding, or a second one of the same holder
}

// Given is what an ask got: leases may be missing, the mode may be more than was asked for.
type Given struct {
	Seq    uint64
	Mode   causeway.IOMode
	Span   causeway.Span
	Leases causeway.Leases
}

// Ticket names an ask or a change. Zero is none.
type Ticket uint64

// EffectKind says what an Effect is.
type EffectKind uint8

// The effects.
const (
	Recall  EffectKind = iota + 1 // tell Holder to give up all of Handle up to Seq beyond Mode, and Leases
	Granted                       // the ask of Ticket got Given
	Ready                         // the change of Ticket may be made
	Ended                         // Holder, another gateway, writes Handle no more
	Fence                         // tell the storage to refuse Holder, and then Fenced with Seq
)

// Effect is something that others must be told or do.
type Effect struct {
	Kind   EffectKind
	Handle causeway.Handle
	Holder string
	Seq    uint64
	Mode   causeway.IOMode
	Leases causeway.Leases
	Ticket Ticket
	Given  Given
}

// Table is the state of one volume. Its zero value is not ready: see New.
type Table struct {
	rules   Rules
	limits  Limits
	objects map[causeway.Handle]*object
	tickets map[Ticket]*request
	idle    *list.List // of *holding with a lease, by the end of it
	spare   *list.List // of *holding with a lease that is not recalled, by the end of it
	recent  *list.List // of *object that changed less than Quiet ago, by that time
	told    *list.List // of *holding whose recall has no answer
	foreign int        // holdings that are not Local
	writers int        // of these, that allow to write
	seq     uint64
	ticket  Ticket
	effects []Effect
	fencing map[string]bool // holders for whom Fenced must follow
}

type object struct {
	handle  causeway.Handle
	held    []*holding
	queue   []*request // that wait, in the order of arrival
	changes []*request // that run
	changed time.Duration
	recent  *list.Element
}

// holding is one gateway's right to bytes, or its leases.
type holding struct {
	object *object
	holder string
	mode   causeway.IOMode // 0: these are leases
	span   causeway.Span
	leases causeway.Leases
	seq    uint64
	born   uint64        // the number of its first grant
	ends   time.Duration // with a lease
	place  *list.Element
	spare  *list.Element
	recall *recall // under way, or nil
	told   *list.Element
	fence  uint64 // not 0: it has ended, once its holder is fenced by this number
}

// recall is what a holder was told to give up, and has not yet.
type recall struct {
	seq    uint64
	mode   causeway.IOMode
	leases causeway.Leases
}

// request is an ask or a change.
type request struct {
	Ask
	ticket Ticket
	object *object
	change bool
	keep   causeway.IOMode // change: the most that may stay
}

// New returns an empty table.
func New(r Rules, l Limits) *Table {
	if l.Holdings <= 0 {
		l.Holdings = 1 << 18
	}
	if l.Waiting <= 0 {
		l.Waiting = 1024
	}
	if l.Lease <= 0 {
		l.Lease = 3 * time.Second
	}
	if l.Quiet <= 0 {
		l.Quiet = 100 * time.Millisecond
	}
	return &Table{
		rules: r, limits: l, objects: map[causeway.Handle]*object{}, tickets: map[Ticket]*request{},
		idle: list.New(), spare: list.New(), told: list.New(), recent: list.New(), fencing: map[string]bool{},
	}
}

// Follow makes a table that nothing was asked of number its grants behind those of an earlier one, whose holders believe in the same epoch.
func (t *Table) Follow(last *Table) { t.seq = max(t.seq, last.seq) }

// Lease returns how long grants last.
func (t *Table) Lease() time.Duration { return t.limits.Lease }

// Rules returns what the table was made for.
func (t *Table) Rules() Rules { return t.rules }

// Foreign returns how much other gateways hold.
func (t *Table) Foreign() int { return t.foreign }

// Writers returns how many rights to write other gateways hold.
func (t *Table) Writers() int { return t.writers }

// Len returns how much is held.
func (t *Table) Len() (n int) {
	for _, o := range t.objects {
		n += len(o.held)
	}
	return n
}

// Effects returns what came up since it was called last.
func (t *Table) Effects() []Effect {
	out := t.effects
	t.effects = nil
	return out
}

func (t *Table) object(h causeway.Handle) *object {
	o := t.objects[h]
	if o == nil {
		o = &object{handle: h}
		t.objects[h] = o
	}
	return o
}

// tidy forgets an object of which there is nothing to know.
func (t *Table) tidy(o *object) {
	if len(o.held) == 0 && len(o.queue) == 0 && len(o.changes) == 0 && o.recent == nil {
		delete(t.objects, o.handle)
	}
}

// Writer returns a gateway other than the asking one and Local that holds the right to write an object, and the grant's number;
// "" and 0 if nobody does.
func (t *Table) Writer(h causeway.Handle, but string) (holder string, seq uint64) {
	for _, w := range t.WritersOf(h) {
		if w.Holder != but {
			return w.Holder, w.Seq
		}
	}
	return "", 0
}

// Writer is a gateway that may write an object, by the grant of a number.
type Writer struct {
	Holder string
	Seq    uint64
}

// WritersOf lists the gateways other than Local that may write an object: several, if they write apart.
func (t *Table) WritersOf(h causeway.Handle) (list []Writer) {
	if o := t.objects[h]; o != nil {
		for _, x := range o.held {
			if x.mode == causeway.IOReadWrite && x.holder != Local && x.fence == 0 {
				list = append(list, Writer{x.holder, x.seq})
			}
		}
	}
	return list
}

// Written reports whether a gateway other than Local may write an object, or has not been fenced yet.
func (t *Table) Written(h causeway.Handle) bool {
	if o := t.objects[h]; o != nil {
		for _, x := range o.held {
			if x.mode == causeway.IOReadWrite && x.holder != Local {
				return true
			}
		}
	}
	return false
}
