package gatewaytest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"causeway"
	"causeway/gateway"
)

// patience bounds what is waited for.
const patience = 30 * time.Second

// upcalls are the events that a front was told.
type upcalls chan gateway.Event

// Deliver implements gateway.Events.
func (u upcalls) Deliver(_ context.Context, e gateway.Event) error {
	u <- e
	return nil
}

// next returns the next event.
func (s *suite) next(from upcalls, what string) gateway.Event {
	s.Helper()
	select {
	case e := <-from:
		return e
	case <-time.After(patience):
		s.Fatal("nobody tells of anything: " + what)
		return gateway.Event{}
	}
}

// process is a caller that locks: a process of a client.
func process(client string, n int) *gateway.Caller {
	c := alice()
	c.Owner = causeway.Owner{Kind: causeway.OwnerNLM, Client: client, Opaque: fmt.Sprint(n)}
	return c
}

func span(off, n uint64) causeway.Span { return causeway.Span{Offset: off, Length: n} }

func exclusive(off, n uint64) gateway.LockSpec {
	return gateway.LockSpec{Span: span(off, n), Exclusive: true}
}

func shared(off, n uint64) gateway.LockSpec { return gateway.LockSpec{Span: span(off, n)} }

func (s *suite) lock(c *gateway.Caller, h causeway.Handle, spec gateway.LockSpec) error {
	_, err := s.Access.Lock(s.ctx, c, h, spec)
	return err
}

func testLocks(s *suite) {
	f, other := s.file(alice(), s.root, "f", 0o644), s.file(alice(), s.root, "other", 0o644)
	a, b := process("a", 1), process("b", 1)
	s.must(s.lock(a, f, exclusive(10, 10)), "lock")
	for _, spec := range []gateway.LockSpec{exclusive(0, 11), shared(19, 1), shared(0, causeway.ToEOF)} {
		for what, ask := range map[string]func(context.Context, *gateway.Caller, causeway.Handle, gateway.LockSpec) (gateway.Lock, error){
			"lock": s.Access.Lock, "test": s.Access.TestLock,
		} {
			by, err := ask(s.ctx, b, f, spec)
			s.want(causeway.ErrLocked, err, what+" beside a lock")
			if by.Owner != a.Owner || by.Span != span(10, 10) || !by.Exclusive {
				s.Errorf("%s: in the way is %+v", what, by)
			}
		}
	}
	s.must(s.lock(b, other, exclusive(10, 10)), "another file")
	s.must(s.lock(process("a", 2), f, exclusive(20, 1)), "another process, behind it")
	s.must(s.lock(b, f, exclusive(0, 10)), "before it")
	s.must(s.lock(a, f, shared(14, 2)), "his own, in part, to share")
	s.must(s.lock(b, f, shared(14, 2)), "what is shared")
	s.want(causeway.ErrLocked, s.lock(b, f, shared(13, 2)), "more than what is shared")
	s.want(causeway.ErrLocked, s.lock(a, f, exclusive(10, 10)), "his own again, which another one shares")
	s.must(s.Access.Unlock(s.ctx, a, f, span(16, 2)), "unlock the middle")
	s.must(s.lock(b, f, exclusive(16, 2)), "the middle")
	s.want(causeway.ErrLocked, s.lock(b, f, exclusive(18, 1)), "behind the middle")
	s.must(s.Access.Unlock(s.ctx, a, f, span(100, 1)), "unlock nothing")

	s.want(causeway.ErrAccess, s.lock(&gateway.Caller{Cred: bob().Cred, Owner: b.Owner}, s.file(alice(), s.root, "hers", 0o600), shared(0, 1)), "without rights")
	s.want(causeway.ErrInval, s.lock(a, s.root, shared(0, 1)), "a directory")

	s.must(s.Access.ReleaseClient(s.ctx, causeway.OwnerNLM, "a"), "the client is gone")
	s.must(s.lock(b, f, exclusive(0, causeway.ToEOF)), "after it has gone")
	list, err := s.Access.Locks(s.ctx)
	s.must(err, "list")
	if len(list) != 2 || slices.ContainsFunc(list, func(l gateway.Lock) bool { return l.Owner != b.Owner || !l.Exclusive }) {
		s.Errorf("held is %+v", list)
	}
}

func testLockWaits(s *suite) {
	told := make(upcalls, 16)
	s.Access.Subscribe(causeway.OwnerNLM, told)
	f := s.file(alice(), s.root, "f", 0o644)
	a, b, c := process("a", 1), process("b", 1), process("c", 1)
	wait := func(off, n uint64) gateway.LockSpec {
		return gateway.LockSpec{Span: span(off, n), Exclusive: true, Wait: true}
	}
	granted := func(c *gateway.Caller, where causeway.Span) {
		s.Helper()
		if e := s.next(told, "a lock"); e.Kind != gateway.LockGranted || e.Lock.Owner != c.Owner || e.Lock.Span != where || e.Lock.Handle.Object != f.Object {
			s.Errorf("told is %+v", e)
		}
	}
	s.must(s.lock(a, f, wait(0, 10)), "nobody is in the way")
	s.want(causeway.ErrBlocked, s.lock(b, f, wait(5, 10)), "behind a")
	s.want(causeway.ErrBlocked, s.lock(b, f, wait(5, 10)), "asked again")
	s.want(causeway.ErrBlocked, s.lock(c, f, wait(5, 1)), "behind a and b")
	s.must(s.lock(c, f, exclusive(20, 5)), "elsewhere")
	s.want(causeway.ErrDeadlock, s.lock(a, f, wait(22, 1)), "a waits for c, which waits for a")
	s.must(s.Access.Unlock(s.ctx, a, f, span(5, 5)), "a part")
	granted(b, span(5, 10))
	s.must(s.Access.Cancel(s.ctx, c, f, wait(5, 1)), "c gives up")
	s.want(causeway.ErrNoEnt, s.Access.Cancel(s.ctx, c, f, wait(5, 1)), "c gives up again")
	s.must(s.Access.ReleaseClient(s.ctx, causeway.OwnerNLM, "b"), "b is gone")
	s.want(causeway.ErrBlocked, s.lock(b, f, wait(4, 1)), "b is back, behind a")
	s.must(s.Access.ReleaseClient(s.ctx, causeway.OwnerNLM, "a"), "a is gone")
	granted(b, span(4, 1))
	if len(told) > 0 {
		s.Errorf("told besides: %+v", <-told)
	}
}

// lockBytes is how many bytes the random spans cover.
const lockBytes = 24

// held is what the processes have locked of a file: of each byte who shares it and who has it alone.
type held [lockBytes]map[causeway.Owner]bool

// blocked reports whether a lock is in another one's way.
func (h *held) blocked(o causeway.Owner, spec gateway.LockSpec) bool {
	for _, byte := range h[spec.Span.Offset:spec.Span.End()] {
		for other, alone := range byte {
			if other != o && (alone || spec.Exclusive) {
				return true
			}
		}
	}
	return false
}

// testLockModel: locks are what one finds who keeps a book of each byte.
func testLockModel(s *suite) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	f := s.file(alice(), s.root, "f", 0o644)
	book := held{}
	for i := range book {
		book[i] = map[causeway.Owner]bool{}
	}
	for step := range 300 {
		c := process(string(rune('a'+r.IntN(3))), r.IntN(2))
		spec := gateway.LockSpec{Exclusive: r.IntN(2) == 0}
		spec.Span.Offset = r.Uint64N(lockBytes)
		spec.Span.Length = 1 + r.Uint64N(lockBytes-spec.Span.Offset)
		want := causeway.OK
		if book.blocked(c.Owner, spec) {
			want = causeway.ErrLocked
		}
		bytes := book[spec.Span.Offset:spec.Span.End()]
		what, err := "unlock", error(nil)
		switch r.IntN(3) {
		case 0:
			what, want, err = "unlock", causeway.OK, s.Access.Unlock(s.ctx, c, f, spec.Span)
			for _, byte := range bytes {
				delete(byte, c.Owner)
			}
		case 1:
			what = "test"
			_, err = s.Access.TestLock(s.ctx, c, f, spec)
		default:
			what, err = "lock", s.lock(c, f, spec)
			for _, byte := range bytes {
				if want == causeway.OK {
					byte[c.Owner] = spec.Exclusive
				}
			}
		}
		if causeway.CodeOf(err) != want {
			s.Fatalf("seed %d, step %d: %s %+v by %v: got %v, want %v", seed, step, what, spec, c.Owner, err, want)
		}
	}
}
