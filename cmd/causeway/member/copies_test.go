package member

import (
	"context"
	"sync"
	"testing"
	"time"

	"causeway"
	"causeway/gateway"
	"causeway/gateway/replies"
	"causeway/gateway/shadow"
	"causeway/lockmgr"
)

type engine = gateway.Access

// state is what clients hold.
type state struct {
	gateway.Keeper
	mu      sync.Mutex
	held    []causeway.Held
	entered chan struct{} // if not nil: Held tells that it was called, and waits for leave
	leave   chan struct{}
}

func (s *state) Held(context.Context, causeway.VolumeID, string) ([]causeway.Held, error) {
	if s.entered != nil {
		s.entered <- struct{}{}
		<-s.leave
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held, nil
}

func (s *state) Drop(causeway.VolumeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = nil
}

func (s *state) BeginGrace(causeway.VolumeID, []lockmgr.Client, time.Duration, time.Duration) {}
func (s *state) Told(lockmgr.Client)                                                          {}

func newCopies(t *testing.T, s *state) *copies {
	t.Helper()
	m := &Member{}
	m.cfg.Cluster.Node = "g1"
	c := &copies{split: &Split{m: m, engines: Engines{State: s, Locks: s}}, owned: map[causeway.VolumeID]causeway.Epoch{}}
	var err error
	if c.split.memory, err = replies.New(replies.Config{Access: struct{ engine }{}}); err != nil {
		t.Fatal(err)
	}
	if c.sender, err = shadow.New(shadow.Config{
		Network: struct{ shadow.Network }{}, Choose: func(causeway.VolumeID) []string { return nil }, All: c.whole,
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

func at(revision uint64) causeway.Epoch { return causeway.Epoch{Incarnation: 1, Revision: revision} }

// TestNextOwnerAsksWhileTheLastEnds: whenever the next owner asks, and however often, it gets what clients hold.
func TestNextOwnerAsksWhileTheLastEnds(t *testing.T) {
	const v = causeway.VolumeID(3)
	s := &state{held: []causeway.Held{{Kind: causeway.HeldLock, Handle: causeway.Handle{Volume: v}, Owner: causeway.Owner{Client: "c"}}}}
	c := newCopies(t, s)
	c.begin(v, at(5))
	ask := func() int {
		t.Helper()
		got, err := c.Collect(t.Context(), v, at(7))
		if err != nil {
			t.Error(err)
		}
		return len(got.Records)
	}
	s.entered, s.leave = make(chan struct{}), make(chan struct{})
	asked, ended := make(chan int, 1), make(chan error, 1)
	go func() { asked <- ask() }()
	<-s.entered // it is about to look
	go func() { ended <- c.end(context.Background(), v) }()
	select {
	case <-s.entered:
		t.Error("the end does not wait for the answer")
		s.leave <- struct{}{}
	case <-time.After(50 * time.Millisecond):
		s.leave <- struct{}{}
		<-s.entered
	}
	s.leave <- struct{}{}
	if n, err := <-asked, <-ended; n != 1 || err != nil {
		t.Errorf("%d records while the last owner ends, which says %v", n, err)
	}
	s.entered = nil
	if n := ask(); n != 1 {
		t.Errorf("%d records when it asks again", n)
	}
}

// TestNoCopyOfWhatWasGivenUp: a copy that begins when the volume has been given up is none.
func TestNoCopyOfWhatWasGivenUp(t *testing.T) {
	const v = causeway.VolumeID(3)
	c := newCopies(t, &state{held: []causeway.Held{{Kind: causeway.HeldLock, Handle: causeway.Handle{Volume: v}, Owner: causeway.Owner{Client: "c"}}}})
	c.begin(v, at(5))
	if list, err := c.whole(t.Context(), v); err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if err := c.end(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if list, err := c.whole(t.Context(), v); causeway.CodeOf(err) != causeway.ErrStaleEpoch {
		t.Error("what is left of a volume is sent as all that there is of it:", list, err)
	}
}

// TestInherited: what clients held in a volume that was removed is not held in the one that is made of its directory, and what an old copy
// says is not what they hold now.
func TestInherited(t *testing.T) {
	version := func(e, term uint64) shadow.Version { return shadow.Version{Epoch: at(e), Term: term} }
	for _, c := range []struct {
		what  string
		last  shadow.Version
		least shadow.Version
		e     causeway.Epoch
		born  int64
		want  int
		lost  bool
	}{
		{"of the same volume", version(20, 1), version(20, 1), at(30), 10, 2, false},
		{"nobody has noted any", version(20, 1), shadow.Version{}, at(30), 10, 2, false},
		{"the last owner knows more than its copies", latest(at(20)), version(20, 9), at(30), 10, 2, false},
		{"of the owner before the last one", version(20, 1), version(25, 1), at(30), 10, 1, true},
		{"of a gateway that kept the copy before", version(20, 1), version(20, 2), at(30), 10, 1, true},
		{"none", shadow.Version{}, version(20, 2), at(30), 10, 1, true},
		{"of the volume before", version(20, 1), shadow.Version{}, at(30), 25, 0, false},
		{"of the volume before, which nobody forgot", version(20, 1), version(21, 1), at(30), 25, 0, false},
		{"of the volume before, and of this one nothing", version(20, 1), version(27, 1), at(30), 25, 0, true},
		{"of before the database was restored", version(20, 1), version(20, 1), causeway.Epoch{Incarnation: 2, Revision: 30}, 25, 2, false},
	} {
		copied := shadow.Copy{Version: c.last, Records: []shadow.Record{{Kind: shadow.KindHeld}, {Kind: shadow.KindReply}}}
		if got, lost := inherited(copied, c.least, c.e, c.born); len(got.Records) != c.want || lost != c.lost {
			t.Errorf("%s: %d records, lost: %v", c.what, len(got.Records), lost)
		}
	}
}
