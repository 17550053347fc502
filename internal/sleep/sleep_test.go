package sleep

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if !For(t.Context(), time.Second) || time.Since(start) != time.Second {
			t.Error("slept for", time.Since(start))
		}
		if !For(t.Context(), 0) || !For(t.Context(), -time.Second) || time.Since(start) != time.Second {
			t.Error("no time is none")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if For(ctx, time.Hour) || time.Since(start) != time.Minute+time.Second {
			t.Error("slept on for", time.Since(start))
		}
		if For(ctx, 0) || For(ctx, time.Hour) {
			t.Error("nobody waits")
		}
	})
}
