package member

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"causeway"
	"causeway/cluster/record"
)

// maxEvents is how many events a gateway remembers.
const maxEvents = 100

// Event is something that happened to the cluster, as one gateway saw it in the records.
type Event struct {
	Time   time.Time `json:"time"`
	What   string    `json:"what"` // "joined", "left", "died", "dropped", "moved", "served", "refused", "master"
	Node   string    `json:"node,omitempty"`
	Volume string    `json:"volume,omitempty"`
	From   string    `json:"from,omitempty"` // of a volume that moved
	Took   float64   `json:"took,omitempty"` // seconds for which nobody served it, as this gateway saw it
	Reason string    `json:"reason,omitempty"`
}

// String is the event in words.
func (e Event) String() string {
	switch e.What {
	case "moved":
		return fmt.Sprintf("/%s moved from %s to %s in %.0f ms: %s", e.Volume, e.From, e.Node, e.Took*1000, e.Reason)
	case "served":
		return fmt.Sprintf("/%s is served by %s", e.Volume, e.Node)
	case "refused":
		return fmt.Sprintf("%s cannot administer /%s: %s", e.Node, e.Volume, e.Reason)
	case "master":
		return fmt.Sprintf("%s is master now: it places volumes", e.Node)
	case "dropped":
		return fmt.Sprintf("%s was dropped: it %s", e.Node, e.Reason)
	}
	return e.Node + " " + e.What
}

// events turns the records' changes into what an operator calls events.
type events struct {
	mu      sync.Mutex
	now     func() time.Time
	count   func(what string) // optional
	ring    []Event
	names   map[causeway.VolumeID]string
	owners  map[causeway.VolumeID]string    // the last that served it
	lost    map[causeway.VolumeID]time.Time // since when nobody serves it
	why     map[causeway.VolumeID]string    // that is so
	planned map[causeway.VolumeID]time.Time
}

func newEvents(now func() time.Time) *events {
	return &events{now: now, names: make(map[causeway.VolumeID]string), owners: make(map[causeway.VolumeID]string),
		lost: make(map[causeway.VolumeID]time.Time), why: make(map[causeway.VolumeID]string), planned: make(map[causeway.VolumeID]time.Time)}
}

// begin notes what is there already: it did not happen now.
func (e *events) begin(t *record.Table) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for item := range t.All(record.KindVolume) {
		e.names[item.Key.Volume] = item.Value.(*record.Volume).Name
	}
	for item := range t.All(record.KindOwner) {
		if o := item.Value.(*record.Owner); o.Serving {
			e.owners[item.Key.Volume] = o.Node
		}
	}
}

func (e *events) add(one Event) {
	one.Time = e.now().UTC()
	if e.count != nil {
		e.count(one.What)
	}
	if len(e.ring) >= maxEvents {
		e.ring = slices.Delete(e.ring, 0, len(e.ring)-maxEvents+1)
	}
	e.ring = append(e.ring, one)
}

// last returns the events, the latest last.
func (e *events) last() []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Event{}, e.ring...)
}

// see takes the changes of one revision.
func (e *events) see(changes []record.Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	gone := make(map[string]string) // members that this revision removes, and why
	for _, c := range changes {
		if c.Key.Kind == record.KindMember && c.Item == nil {
			gone[c.Key.Name] = "left"
		}
	}
	for _, c := range changes {
		if owner := e.owners[c.Key.Volume]; c.Key.Kind == record.KindOwner && c.Item == nil && gone[owner] != "" {
			gone[owner] = "died" // who leaves in order has given up its volumes before
		}
		if c.Key.Kind == record.KindFence && c.Item != nil && gone[c.Key.Name] != "" {
			gone[c.Key.Name] = "dropped"
		}
	}
	for _, c := range changes {
		e.one(c, gone)
	}
	for _, c := range changes { // after the owners, whose end the end of a plan explains
		if c.Key.Kind == record.KindPlan {
			e.plan(c.Item)
		}
	}
}

func (e *events) one(c record.Change, gone map[string]string) {
	id := c.Key.Volume
	switch c.Key.Kind {
	case record.KindMember:
		if c.Item != nil {
			e.add(Event{What: "joined", Node: c.Key.Name})
		} else if gone[c.Key.Name] != "dropped" {
			e.add(Event{What: gone[c.Key.Name], Node: c.Key.Name})
		}
	case record.KindFence:
		if c.Item != nil {
			e.add(Event{What: "dropped", Node: c.Key.Name, Reason: c.Item.Value.(*record.Fence).Reason})
		}
	case record.KindLock:
		if c.Item != nil {
			e.add(Event{What: "master", Node: c.Item.Value.(*record.Lock).Node})
		}
	case record.KindRefusal:
		if c.Item != nil {
			e.add(Event{What: "refused", Node: c.Key.Name, Volume: e.name(id), Reason: c.Item.Value.(*record.Refusal).Reason})
		}
	case record.KindVolume:
		if c.Item != nil {
			e.names[id] = c.Item.Value.(*record.Volume).Name
		}
	case record.KindOwner:
		e.owner(c.Item, id, gone)
	}
}

// plan notes since when the volumes of a plan are paused.
func (e *events) plan(item *record.Item) {
	clear(e.planned)
	if item != nil {
		for _, move := range item.Value.(*record.Plan).Moves {
			e.planned[move.Volume] = e.now()
		}
	}
}

// owner notes the end of an ownership, and the beginning of the next.
func (e *events) owner(item *record.Item, id causeway.VolumeID, gone map[string]string) {
	if item == nil {
		since, planned := e.planned[id]
		if !planned {
			since = e.now()
		}
		e.lost[id], e.why[id] = since, "it was given up"
		switch how := gone[e.owners[id]]; {
		case how != "":
			e.why[id] = fmt.Sprintf("%s %s", e.owners[id], map[string]string{"left": "left", "died": "died", "dropped": "was dropped"}[how])
		case planned:
			e.why[id] = "placement"
		}
		return
	}
	o := item.Value.(*record.Owner)
	if !o.Serving {
		return
	}
	from, since, why := e.owners[id], e.lost[id], e.why[id]
	delete(e.lost, id)
	delete(e.why, id)
	e.owners[id] = o.Node
	switch {
	case from == "":
		e.add(Event{What: "served", Node: o.Node, Volume: e.name(id)})
	case !since.IsZero():
		e.add(Event{What: "moved", Node: o.Node, From: from, Volume: e.name(id), Took: e.now().Sub(since).Seconds(), Reason: why})
	}
}

func (e *events) name(id causeway.VolumeID) string {
	if name := e.names[id]; name != "" {
		return name
	}
	return id.String()
}
