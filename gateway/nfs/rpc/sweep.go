package rpc

import (
	"errors"
	"time"
)

var (
	errIdle        = errors.New("idle for too long")
	errSlowRecord  = errors.New("the rest of a call did not come")
	errSlowReplies = errors.New("the client does not take its replies")
)

// sweep ends connections that hold something for too long, until the server stops and all connections are gone.
func (s *Server) sweep() {
	defer s.running.Done()
	period := min(s.cfg.RecordTimeout, s.cfg.WriteTimeout)
	if s.cfg.IdleTimeout > 0 {
		period = min(period, s.cfg.IdleTimeout)
	}
	tick := time.NewTicker(min(max(period/4, time.Millisecond), 5*time.Second))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ended:
			return
		}
		now := s.now()
		for _, c := range s.snapshot() {
			if err := c.overdue(now); err != nil && c.fail(err) {
				s.counts.timedOut.Add(1)
			}
		}
	}
}

// overdue says what c has held for too long.
func (c *conn) overdue(now time.Duration) error {
	passed := func(since int64, limit time.Duration) bool {
		return since != 0 && limit > 0 && now-time.Duration(since) > limit
	}
	cfg := &c.srv.cfg
	switch {
	case passed(c.stalledSince.Load(), cfg.WriteTimeout):
		return errSlowReplies
	case passed(c.recordSince.Load(), cfg.RecordTimeout):
		return errSlowRecord
	case passed(c.lastCall.Load(), cfg.IdleTimeout) && c.quiet():
		return errIdle
	}
	return nil
}

// quiet reports that no call runs and no reply waits.
func (c *conn) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inflight == 0 && !c.out.flushing
}
