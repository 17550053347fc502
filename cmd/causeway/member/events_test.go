package member

import (
	"strings"
	"testing"
	"time"

	"causeway"
	"causeway/cluster/record"
)

// story feeds changes to events, one revision after the other, with time between them.
type story struct {
	*events
	clock time.Time
}

func newStory() *story {
	s := &story{clock: time.Unix(1000, 0)}
	s.events = newEvents(func() time.Time { return s.clock })
	return s
}

func (s *story) at(ms int, changes ...record.Change) {
	s.clock = time.Unix(1000, int64(ms)*1e6)
	s.see(changes)
}

func put1(k record.Key, v record.Record) record.Change {
	return record.Change{Key: k, Item: &record.Item{Key: k, Value: v}}
}

func gone1(k record.Key) record.Change { return record.Change{Key: k} }

func volume1(name string) record.Change {
	return put1(record.Of(record.KindVolume, 1), &record.Volume{ID: 1, Name: name})
}

func owner1(node string, serving bool) record.Change {
	return put1(record.Of(record.KindOwner, 1), &record.Owner{Node: node, Serving: serving})
}

var (
	ownerKey = record.Of(record.KindOwner, 1)
	planKey  = record.Sole(record.KindPlan)
)

func member1(name string) record.Key { return record.Named(record.KindMember, name) }

// said is what the events say, one a line.
func (s *story) said() string {
	var lines []string
	for _, e := range s.last() {
		lines = append(lines, e.String())
	}
	return strings.Join(lines, "\n")
}

func TestEvents(t *testing.T) {
	plan := put1(planKey, &record.Plan{Moves: []record.Move{{Volume: causeway.VolumeID(1)}}})
	for name, c := range map[string]struct {
		tell func(*story)
		want string
	}{
		"a death": {func(s *story) {
			s.at(100, gone1(member1("a")), gone1(ownerKey))
			s.at(150, owner1("b", false))
			s.at(350, owner1("b", true))
		}, "a died\n/home moved from a to b in 250 ms: a died"},
		"an orderly end": {func(s *story) {
			s.at(100, gone1(ownerKey))
			s.at(120, gone1(member1("a")))
			s.at(200, owner1("b", true))
		}, "a left\n/home moved from a to b in 100 ms: it was given up"},
		"a plan": {func(s *story) {
			s.at(100, plan)
			s.at(140, gone1(planKey), gone1(ownerKey))
			s.at(160, owner1("b", false))
			s.at(180, owner1("b", true))
		}, "/home moved from a to b in 80 ms: placement"},
		"a plan that is given up": {func(s *story) {
			s.at(100, plan)
			s.at(1100, gone1(planKey))
			s.at(2000, owner1("a", true))
		}, ""},
		"a drop": {func(s *story) {
			s.at(100, gone1(member1("a")), put1(record.Named(record.KindFence, "a"), &record.Fence{Node: "a", Reason: "did not confirm"}))
		}, "a was dropped: it did not confirm"},
		"others": {func(s *story) {
			s.at(100, put1(member1("c"), &record.Member{Node: "c"}), put1(record.Sole(record.KindLock), &record.Lock{Node: "c"}))
			s.at(200, put1(record.Refused(1, "c"), &record.Refusal{Reason: "no path"}))
		}, "c joined\nc is master now: it places volumes\nc cannot administer /home: no path"},
	} {
		s := newStory()
		s.at(0, volume1("home"), owner1("a", true))
		s.ring = nil
		c.tell(s)
		if got := s.said(); got != c.want {
			t.Errorf("%s:\n%s\nnot\n%s", name, got, c.want)
		}
	}
}

// TestEventsBounded: old events are forgotten, and what was there before is none.
func TestEventsBounded(t *testing.T) {
	s := newStory()
	var table record.Table
	table.Apply(1, []record.Change{volume1("home"), owner1("a", true)})
	s.begin(&table)
	if got := s.said(); got != "" {
		t.Errorf("what was there: %s", got)
	}
	for range 3 * maxEvents {
		s.at(0, put1(member1("c"), &record.Member{Node: "c"}))
	}
	if n := len(s.last()); n != maxEvents {
		t.Errorf("%d events", n)
	}
}
