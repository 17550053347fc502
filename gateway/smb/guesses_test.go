package smb

import (
	"net/netip"
	"testing"
	"time"
)

// guesser is somebody at an address at some time.
type guesser struct {
	t   *testing.T
	g   *guesses
	now time.Time
}

func newGuesser(t *testing.T) *guesser {
	x := &guesser{t: t, g: new(guesses), now: time.Unix(1e9, 0)}
	x.g.init(x.now)
	return x
}

// try tries a password at once, and returns how long it would have waited.
func (x *guesser) try(addr, user string, right bool) (wait time.Duration, ok bool) {
	try, wait, ok := x.g.begin(x.now, netip.MustParseAddr(addr), user)
	if ok {
		x.g.end(x.now, &try, right)
	}
	return wait, ok
}

func (x *guesser) wants(what, addr, user string, right bool, least, most time.Duration) {
	x.t.Helper()
	if wait, ok := x.try(addr, user, right); !ok || wait < least || wait > most {
		x.t.Errorf("%s: waits %v, %v", what, wait, ok)
	}
}

// TestGuessesAreSlowedDown: some wrong passwords are looked at at once, then few, and after a while some again.
func TestGuessesAreSlowedDown(t *testing.T) {
	x := newGuesser(t)
	for range 8 {
		x.wants("early", "10.0.0.1", "Ann", false, 0, 0)
	}
	x.wants("late", "10.0.0.1", "aNN", false, time.Second, 10*time.Second)
	if _, ok := x.try("10.0.0.1", "ann", true); ok {
		t.Error("the tenth was looked at")
	}
	x.wants("another user there", "10.0.0.1", "bob", true, 0, 0)
	x.wants("the same user elsewhere", "10.0.0.2", "ann", true, 0, 0)
	x.now = x.now.Add(time.Hour)
	x.wants("an hour later", "10.0.0.1", "ann", true, 0, 0)
}

// TestGuessesOfAnAddress: whoever tries many names from one network, of IPv6 too, waits; who has logged on from there before does not.
func TestGuessesOfAnAddress(t *testing.T) {
	for _, addr := range []string{"10.0.0.1", "2001:db8::%d"} {
		x := newGuesser(t)
		at := func(i int) string {
			if addr == "10.0.0.1" {
				return addr
			}
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i)}).String()
		}
		x.wants("who is known", at(1), "ann", true, 0, 0)
		refused := 0
		for i := range 100 {
			if _, ok := x.try(at(i), "user"+string(rune('a'+i)), false); !ok {
				refused++
			}
		}
		if refused < 50 {
			t.Errorf("%s: %d of 100 were refused", addr, refused)
		}
		if _, ok := x.try(at(2), "carl", true); ok {
			t.Error("who is not known was looked at at once")
		}
		x.wants("who is known, afterwards", at(1), "ann", true, 0, 0)
		x.wants("elsewhere", "10.0.0.9", "carl", true, 0, 0)
	}
}

// TestNobodyIsLockedOut: however many addresses try the passwords of an account, its user waits for little from a new address, and for nothing
// from his own.
func TestNobodyIsLockedOut(t *testing.T) {
	x := newGuesser(t)
	x.wants("at home", "192.0.2.1", "ann", true, 0, 0)
	for i := range 5000 {
		x.try(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String(), "ann", false)
	}
	x.wants("at home, under attack", "192.0.2.1", "ann", true, 0, 0)
	x.wants("elsewhere, under attack", "192.0.2.2", "ann", true, time.Second, 5*time.Second)
	x.wants("elsewhere, the second time", "192.0.2.2", "ann", true, 0, 0)
	x.now = x.now.Add(time.Minute)
	x.wants("elsewhere, later", "192.0.2.3", "ann", true, 0, 0)
}

// TestRightPasswordsCostNothing: a crowd behind one address logs on at once.
func TestRightPasswordsCostNothing(t *testing.T) {
	x := newGuesser(t)
	for i := range 1000 {
		x.wants("one of many", "10.0.0.1", "user"+string(rune('a'+i)), true, 0, 0)
	}
}

// TestFailuresAreLoggedInMeasure: the log tells how many it left out.
func TestFailuresAreLoggedInMeasure(t *testing.T) {
	x := newGuesser(t)
	lines := 0
	for range 1000 {
		if n, ok := x.g.logs(x.now); ok {
			lines++
			if n != 0 {
				t.Error(n, "were left out already")
			}
		}
	}
	if lines == 0 || lines > 100 {
		t.Error(lines, "lines")
	}
	x.now = x.now.Add(10 * time.Second)
	if n, ok := x.g.logs(x.now); !ok || n != int64(1000-lines) {
		t.Error(n, ok)
	}
}
