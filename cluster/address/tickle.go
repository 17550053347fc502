package address

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"causeway/internal/sleep"
)

// Tickler wakes the clients of a dead gateway. The zero value of a field means its default.
type Tickler struct {
	Rate   int           // segments per second, at most 1,000,000; default 20,000
	Rounds int           // how often each connection is tickled, at most 20; default 3
	Pause  time.Duration // from the start of a round to the next, at most 10 s; default 600 ms: Linux heeds one in 500 ms
}

// Validate sets defaults and names the field at fault.
func (t *Tickler) Validate() error {
	if t.Rate == 0 {
		t.Rate = 20_000
	}
	if t.Rounds == 0 {
		t.Rounds = 3
	}
	if t.Pause == 0 {
		t.Pause = 600 * time.Millisecond
	}
	switch {
	case t.Rate < 0 || t.Rate > 1_000_000:
		return fmt.Errorf("address.Tickler.Rate: %d is not 1 to 1000000", t.Rate)
	case t.Rounds < 0 || t.Rounds > 20:
		return fmt.Errorf("address.Tickler.Rounds: %d is not 1 to 20", t.Rounds)
	case t.Pause < 0 || t.Pause > 10*time.Second:
		return fmt.Errorf("address.Tickler.Pause: %v is not between 0 and 10s", t.Pause)
	}
	return nil
}

// batchTime is how much of the rate is sent at once.
const batchTime = 5 * time.Millisecond

// Tickle makes every client of conns find out at once that its connection is gone, instead of by its own timers. This machine
// must answer for the service addresses already. It returns when all rounds are sent, which takes about
// (Rounds − 1) × Pause, with the number of segments sent; what could not be sent to one client does not keep it from the next.
// It needs CAP_NET_RAW, and does nothing on systems other than Linux.
func (t Tickler) Tickle(ctx context.Context, conns []Conn) (sent int, err error) {
	if err := t.Validate(); err != nil {
		return 0, err
	}
	conns = normal(conns)
	if len(conns) == 0 {
		return 0, nil
	}
	s, err := openRaw()
	if err != nil {
		return 0, err
	}
	defer s.close()
	errs := []error{}
	for round := range t.Rounds {
		next := time.Now().Add(t.Pause)
		data := []byte(nil)
		if round == 0 {
			data = []byte{0}
		}
		n, err := t.round(ctx, s, conns, data)
		sent += n
		if err != nil && len(errs) < t.Rounds {
			errs = append(errs, err)
		}
		if round == t.Rounds-1 || !sleep.For(ctx, time.Until(next)) {
			break
		}
	}
	return sent, errors.Join(append(errs, ctx.Err())...)
}

// round sends one segment per connection in batches. Of errors it returns the first.
func (t Tickler) round(ctx context.Context, s *rawSocket, conns []Conn, data []byte) (sent int, err error) {
	size := max(1, int(int64(t.Rate)*int64(batchTime)/int64(time.Second)))
	begun := time.Now()
	done := 0
	for batch := range slices.Chunk(conns, size) {
		due := begun.Add(time.Duration(done) * time.Second / time.Duration(t.Rate))
		if !sleep.For(ctx, time.Until(due)) {
			return sent, err
		}
		for _, c := range batch {
			if sendErr := s.send(c.Client, tickle(c, data...)); sendErr == nil {
				sent++
			} else if err == nil {
				err = fmt.Errorf("tickle %v from %v: %w", c.Client, c.Local, sendErr)
			}
		}
		done += len(batch)
	}
	return sent, err
}
