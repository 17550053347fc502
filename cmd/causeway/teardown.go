package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// teardown is how to stop what was started, in the order in which it was started; it is undone from the end.
type teardown []stopper

type stopper struct {
	name string
	stop func(context.Context) error
}

func (t *teardown) add(name string, stop func(context.Context) error) {
	*t = append(*t, stopper{name, stop})
}

// addClose is add for what stops without waiting.
func (t *teardown) addClose(name string, stop func() error) {
	t.add(name, func(context.Context) error { return stop() })
}

// run stops everything, also after errors.
func (t *teardown) run(ctx context.Context, log *slog.Logger) error {
	var all error
	for _, s := range slices.Backward(*t) {
		log.Debug("stopping", "op", s.name)
		if err := s.stop(ctx); err != nil {
			all = errors.Join(all, fmt.Errorf("stop %s: %w", s.name, err))
		}
	}
	*t = nil
	return all
}
