package redirect_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"causeway/redirect"
)

// times feeds Responses.
type times struct {
	redirect.Responses
	now time.Time
}

// add has calls that end one after the other, and reports whether they are called slow, and after how many.
func (r *times) add(n int, method string, size int, took func() time.Duration) (bool, int) {
	for i := range n {
		x := took()
		r.now = r.now.Add(x)
		if r.Add(method, size, x, r.now) {
			return true, i + 1
		}
	}
	return false, n
}

// normally are the times of a busy machine: mostly even, now and then a call is held up.
func normally() time.Duration {
	if rand.N(16) == 0 {
		return time.Duration(rand.N(200)) * time.Millisecond
	}
	return time.Duration(900+rand.N(200)) * time.Microsecond
}

func TestResponses(t *testing.T) {
	var r times
	for range 10 {
		if slow, _ := r.add(1000, "read", 8<<10, normally); slow {
			t.Fatal("normal times")
		}
		if slow, _ := r.add(1000, "read", 1<<20, func() time.Duration { return 30 * normally() }); slow {
			t.Fatal("more to carry takes longer")
		}
		if slow, _ := r.add(1000, "commit", 100, func() time.Duration { return 50 * normally() }); slow {
			t.Fatal("another method takes longer")
		}
	}
	slow, n := r.add(10000, "read", 8<<10, func() time.Duration { return 250 * time.Millisecond })
	if !slow || n > 20 {
		t.Errorf("slow times are noticed: %v, after %d", slow, n)
	}
	if slow, _ := r.add(1000, "read", 8<<10, func() time.Duration { return 250 * time.Millisecond }); slow {
		t.Error("what is normal now has been learned, and is called slow")
	}
}

// TestResponsesInterleaved: of the calls to a slow gateway only those that carry much are late.
func TestResponsesInterleaved(t *testing.T) {
	var r times
	ms := func(n time.Duration) func() time.Duration {
		return func() time.Duration { return n * time.Millisecond }
	}
	for range 100 {
		r.add(1, "getattr", 100, ms(1))
		r.add(1, "read", 1<<20, ms(20))
	}
	for range 100 {
		r.add(1, "getattr", 100, ms(1))
		if slow, _ := r.add(1, "read", 1<<20, ms(100)); slow {
			return
		}
	}
	t.Error("slow reads are not noticed")
}

// TestResponsesHeldUp: the machine stands still, and all calls under way are late at once.
func TestResponsesHeldUp(t *testing.T) {
	var r times
	for range 10 {
		if slow, _ := r.add(200, "read", 8<<10, func() time.Duration { return time.Millisecond }); slow {
			t.Fatal("normal times")
		}
		r.now = r.now.Add(3 * time.Second)
		for range 64 {
			if r.Add("read", 8<<10, 3*time.Second, r.now) {
				t.Fatal("one moment makes a gateway slow")
			}
		}
	}
}
