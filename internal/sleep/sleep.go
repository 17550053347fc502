// Package sleep waits for time to pass, as long as somebody wants it. Waiting for anything else is not its business.
package sleep

import (
	"context"
	"time"
)

// For waits for d, and reports false as soon as ctx has ended, also where d is not positive.
func For(ctx context.Context, d time.Duration) bool {
	if d <= 0 || ctx.Err() != nil {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
