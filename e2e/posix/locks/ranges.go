package locks

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"syscall"
)

var rangeScenarios = []Scenario{
	{"exclusive", exclusive},
	{"shared", shared},
	{"split", split},
	{"convert", convert},
	{"to the end", toTheEnd},
	{"far ranges", farRanges},
	{"test", test},
	{"close gives up", closing},
	{"exit gives up", leaving},
	{"flock", flocks},
	{"data follows locks", dataFollows},
	{"counter", counter},
	{"random", random},
}

func exclusive(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Lock(Exclusive, 0, 10), "lock")
		s.denied(b.Lock(Exclusive, 5, 10), "overlapping lock")
		s.denied(b.Lock(Shared, 9, 1), "overlapping shared lock")
		s.ok(b.Lock(Exclusive, 10, 10), "adjacent lock")
		s.denied(a.Lock(Exclusive, 0, 11), "growing into the other's lock")
		s.ok(a.Lock(Unlocked, 0, 10), "unlock")
		s.ok(b.Lock(Exclusive, 5, 10), "lock of what was given up")
		s.ok(a.Lock(Exclusive, 0, 5), "lock of the rest")
		s.ok(b.Lock(Unlocked, 500, 10), "unlock of nothing")
	})
}

func shared(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Lock(Shared, 0, 10), "shared lock")
		s.ok(b.Lock(Shared, 0, 10), "second shared lock")
		s.denied(b.Lock(Exclusive, 0, 10), "upgrade of a lock that is shared")
		s.ok(a.Lock(Unlocked, 0, 10), "unlock")
		s.ok(b.Lock(Exclusive, 0, 10), "upgrade")
		s.denied(a.Lock(Shared, 0, 1), "shared lock of what is exclusive")
		s.ok(b.Lock(Shared, 0, 10), "downgrade")
		s.ok(a.Lock(Shared, 0, 1), "shared lock after the downgrade")
	})
}

func split(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Lock(Exclusive, 0, 100), "lock")
		s.ok(a.Lock(Unlocked, 40, 20), "unlock in the middle")
		s.ok(b.Lock(Exclusive, 40, 20), "lock of the middle")
		s.denied(b.Lock(Exclusive, 39, 1), "lock before the middle")
		s.denied(b.Lock(Exclusive, 60, 1), "lock behind the middle")
		s.ok(a.Lock(Unlocked, 0, 0), "unlock all")
		s.ok(b.Lock(Exclusive, 0, 100), "lock of all")
	})
}

func convert(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Lock(Exclusive, 0, 100), "lock")
		s.ok(a.Lock(Shared, 20, 10), "downgrade of a part")
		s.ok(b.Lock(Shared, 20, 10), "shared lock of the part")
		s.denied(b.Lock(Shared, 19, 1), "shared lock before the part")
		s.denied(b.Lock(Shared, 30, 1), "shared lock behind the part")
		s.denied(a.Lock(Exclusive, 0, 100), "upgrade over the other's shared lock")
		s.ok(b.Lock(Unlocked, 0, 0), "unlock")
		s.ok(a.Lock(Exclusive, 0, 100), "upgrade")
		s.conflict(b, Shared, 25, 1, Exclusive, Range{0, 100})
	})
}

func toTheEnd(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Lock(Exclusive, 50, 0), "lock to the end")
		s.denied(b.Lock(Exclusive, 1<<40, 1), "lock far behind")
		s.denied(b.Lock(Shared, math.MaxInt64-1, 1), "lock of the last byte")
		s.ok(b.Lock(Exclusive, 0, 50), "lock before")
		s.denied(b.Lock(Exclusive, 0, 0), "lock of everything")
		s.ok(a.Lock(Unlocked, 100, 0), "unlock of the tail")
		s.ok(b.Lock(Exclusive, 100, 0), "lock of the tail")
		s.conflict(b, Exclusive, 0, 0, Exclusive, Range{50, 50})
	})
}

func farRanges(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Lock(Exclusive, math.MaxInt64-10, 5), "lock near the end of the range")
		s.denied(b.Lock(Exclusive, math.MaxInt64-7, 1), "lock inside")
		s.ok(b.Lock(Exclusive, math.MaxInt64-5, 5), "lock behind")
		if err := a.Lock(Exclusive, math.MaxInt64, 2); !errors.Is(err, syscall.EOVERFLOW) && !errors.Is(err, syscall.EINVAL) {
			s.fail("a range beyond the greatest offset: %v", err)
		}
		s.ok(a.Lock(Exclusive, 1<<32-5, 10), "lock over 4 GiB")
		s.denied(b.Lock(Exclusive, 1<<32, 1), "lock at 4 GiB")
		s.ok(b.Lock(Exclusive, 1<<32+5, 1), "lock behind")
		s.ok(b.Lock(Exclusive, 0, 1), "lock at zero")
	})
}

func test(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.conflict(b, Exclusive, 0, 0, Unlocked, Range{})
		s.ok(a.Lock(Shared, 10, 10), "shared lock")
		s.conflict(b, Shared, 0, 0, Unlocked, Range{})
		s.conflict(b, Exclusive, 0, 0, Shared, Range{10, 10})
		s.conflict(b, Exclusive, 20, 5, Unlocked, Range{})
		s.conflict(a, Exclusive, 0, 0, Unlocked, Range{})
		s.ok(a.Lock(Exclusive, 1000, 0), "lock to the end")
		s.conflict(b, Shared, 5000, 1, Exclusive, Range{1000, 0})
	})
}

func closing(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Lock(Exclusive, 0, 10), "lock")
		s.ok(a.Lock(Exclusive, 20, 10), "second lock")
		s.denied(b.Lock(Exclusive, 0, 0), "lock of everything")
		s.ok(a.Close(), "close")
		s.ok(b.Lock(Exclusive, 0, 0), "lock of everything after close")
	})
}

func leaving(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Lock(Exclusive, 0, 10), "lock")
		s.ok(a.Lock(Shared, 30, 0), "second lock")
		s.denied(b.Lock(Exclusive, 5, 1), "lock")
		a.Leave()
		s.ok(b.Wait(Exclusive, 0, 0).Result(), "lock of everything after exit")
	})
}

func flocks(s *Stage) {
	s.pairs(func(a, b *Remote) {
		s.ok(a.Flock(Exclusive), "flock")
		s.denied(b.Flock(Exclusive), "second flock")
		s.denied(b.Flock(Shared), "shared flock")
		s.ok(a.Flock(Unlocked), "unlock")
		s.ok(b.Flock(Shared), "shared flock")
		s.ok(a.Flock(Shared), "second shared flock")
		s.denied(a.Flock(Exclusive), "upgrade")
	})
}

// dataFollows: what was written under a lock is seen by the next holder.
func dataFollows(s *Stage) {
	s.pairs(func(a, b *Remote) {
		for round := range 10 {
			writer, reader := a, b
			if round%2 == 1 {
				writer, reader = b, a
			}
			text := []byte{byte('a' + round), byte('0' + round)}
			s.ok(writer.Lock(Exclusive, 0, 10), "lock")
			s.ok(writer.Write(0, text), "write")
			s.ok(writer.Lock(Unlocked, 0, 10), "unlock")
			s.ok(reader.Lock(Shared, 0, 10), "shared lock")
			if got, err := reader.Read(0, 2); err != nil || string(got) != string(text) {
				s.fail("round %d: read %q, %v, want %q", round, got, err, text)
			}
			s.ok(reader.Lock(Unlocked, 0, 10), "unlock")
		}
	})
}

// counter lets actors of both machines increment a number under a lock; none of it may be lost.
func counter(s *Stage) {
	const actors, rounds = 4, 15
	first := s.actor(0)
	s.ok(first.Write(0, make([]byte, 8)), "write")
	s.ok(first.Close(), "close")
	var wg sync.WaitGroup
	errs := make(chan error, actors)
	for i := range actors {
		actor := s.actor(i % 2)
		wg.Go(func() {
			for range rounds {
				if err := increment(actor); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		s.fail("increment: %v", err)
	}
	last := s.actor(1)
	s.ok(last.Lock(Shared, 0, 8), "lock")
	data, err := last.Read(0, 8)
	if err != nil || len(data) != 8 || binary.LittleEndian.Uint64(data) != actors*rounds {
		s.fail("the counter is %v, %v, want %d", data, err, actors*rounds)
	}
}

func increment(actor *Remote) error {
	if err := actor.Wait(Exclusive, 0, 8).Result(); err != nil {
		return err
	}
	data, err := actor.Read(0, 8)
	if err != nil {
		return err
	}
	if len(data) != 8 {
		return errors.New("short read")
	}
	value := binary.LittleEndian.AppendUint64(nil, binary.LittleEndian.Uint64(data)+1)
	return errors.Join(actor.Write(0, value), actor.Lock(Unlocked, 0, 8))
}

// random compares the answers to random calls of four actors with a model of every byte.
func random(s *Stage) {
	const size, calls = 24, 300
	actors := []*Remote{s.actor(0), s.actor(1), s.actor(0), s.actor(1)}
	held := make([][size]Kind, len(actors))
	dice := rand.New(rand.NewPCG(7, 7))
	for range calls {
		who, kind := dice.IntN(len(actors)), Kind(dice.IntN(3))
		start := dice.IntN(size)
		length := 1 + dice.IntN(size-start)
		free := true
		for other := range actors {
			for at := start; at < start+length && other != who; at++ {
				free = free && (kind == Unlocked || held[other][at] == Unlocked || kind == Shared && held[other][at] == Shared)
			}
		}
		err := actors[who].Lock(kind, int64(start), int64(length))
		if free {
			s.ok(err, "lock that nothing is in the way of")
			for at := start; at < start+length; at++ {
				held[who][at] = kind
			}
		} else {
			s.denied(err, "lock that another one is in the way of")
		}
	}
}
