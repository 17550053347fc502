package shadow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"causeway"
	"causeway/internal/sleep"
)

// Collect asks gateways for their copies of a volume, on behalf of its new owner, and returns the newest. It insists on an answer of each
// gateway as long as alive says that it lives: the one that does not answer may be the one that knows.
func Collect(ctx context.Context, n Network, nodes []string, alive func(node string) bool, v causeway.VolumeID, e causeway.Epoch) (Copy, error) {
	copies, errs := make([]Copy, len(nodes)), make([]error, len(nodes))
	var asked sync.WaitGroup
	for i, node := range nodes {
		asked.Go(func() { copies[i], errs[i] = insist(ctx, n, node, alive, v, e) })
	}
	asked.Wait()
	var newest Copy
	for _, c := range copies {
		if newest.Version.Before(c.Version) {
			newest = c
		}
	}
	return newest, errors.Join(errs...)
}

// Pause before a gateway is asked again, and how long it has for an answer.
const (
	askAgain  = 50 * time.Millisecond
	askWithin = time.Second
)

func insist(ctx context.Context, n Network, node string, alive func(string) bool, v causeway.VolumeID, e causeway.Epoch) (Copy, error) {
	for {
		once, cancel := context.WithTimeout(ctx, askWithin)
		c, err := n.Collect(once, node, v, e)
		cancel()
		switch {
		case err == nil:
			return c, nil
		case !alive(node):
			return Copy{}, nil
		}
		if !sleep.For(ctx, askAgain) {
			return Copy{}, fmt.Errorf("the copy at %s: %w", node, err)
		}
	}
}
